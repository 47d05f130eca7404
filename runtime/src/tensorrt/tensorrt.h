// A TensorRT engine on the GPU, captured once into a CUDA graph and replayed, or on a DLA core.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tensorrt/tensorrt_seam.h"
#include "unina/accelerator.h"
#include "unina/manifest.h"
#include "unina/tensorrt_options.h"

namespace unina {

class TensorRt final : public Accelerator {
 public:
  // Throws Error naming the engine's file; what had been made is released again, in reverse order.
  static std::unique_ptr<TensorRt> load(const TensorRtOptions& options, const Manifest& manifest,
                                        std::unique_ptr<TrtRuntime> runtime);
  // close(), with failures written to stderr.
  ~TensorRt() override;

  std::string name() const override { return "tensorrt"; }
  const std::vector<TensorView>& inputs() const override { return inputs_; }
  const std::vector<TensorView>& outputs() const override { return outputs_; }

  // Throws Error. After a timeout every call throws: the GPU may still write into the buffers.
  void infer() override;
  bool gpu_sees_input() const override { return true; }
  void infer_on(InputWriter& writer) override;

  // Throws Error naming the calls that failed, after all were made. Once; after it only the
  // destructor may be called.
  void close();

 private:
  struct Session;
  TensorRt(const TensorRtOptions& options, const Manifest& manifest,
           std::unique_ptr<TrtRuntime> runtime, const std::vector<std::uint8_t>& plan);
  // Puts one frame on the stream, behind what `writer` puts there, and waits for it. Null for
  // nothing.
  void run(InputWriter* writer);
  // After it, run() launches a graph.
  void capture();

  TensorRtOptions options_;
  std::unique_ptr<Session> session_;
  std::vector<TensorView> inputs_, outputs_;
};

}  // namespace unina
