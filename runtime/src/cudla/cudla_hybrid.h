// The product's accelerator: a DLA core by cuDLA in hybrid mode, submitted to a CUDA stream, on
// buffers that CPU and DLA share (cuDLA's programming guide, "hybrid mode").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "unina/accelerator.h"
#include "unina/dla_options.h"
#include "unina/manifest.h"

namespace unina {

class CudlaHybrid final : public Accelerator {
 public:
  // "" when this machine has the libraries and a core of that number, else what is missing.
  static std::string why_unavailable(int core);

  // create, load, attributes, register. Throws Error naming the loadable and the vendor's call;
  // what had been made is released again, in reverse order.
  static std::unique_ptr<CudlaHybrid> load(const DlaOptions& options, const Manifest& manifest);
  // close(), with failures written to stderr.
  ~CudlaHybrid() override;

  std::string name() const override { return "cudla-hybrid"; }
  const std::vector<TensorView>& inputs() const override { return inputs_; }
  const std::vector<TensorView>& outputs() const override { return outputs_; }

  // submit, synchronise. Throws Error. After a timeout every call throws: the DLA may still write
  // into the buffers, and only a new process gets a core that is known to be idle.
  void infer() override;
  bool gpu_sees_input() const override { return true; }
  void infer_on(InputWriter& writer) override;

  // unregister, unload, destroy. Throws Error naming the calls that failed, after all were made.
  // Once; after it only the destructor may be called.
  void close();

 private:
  struct Session;
  CudlaHybrid(const DlaOptions& options, const Manifest& manifest,
              const std::vector<std::uint8_t>& loadable);

  // One frame, behind what `writer` puts on the stream; null for nothing.
  void run(InputWriter* writer);

  DlaOptions options_;
  std::unique_ptr<Session> session_;
  std::vector<TensorView> inputs_, outputs_;
};

}  // namespace unina
