// A bundle's network from a picture to its output tensors, whatever becomes of those.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "unina/accelerator.h"
#include "unina/accelerators.h"
#include "unina/bundle.h"
#include "unina/letterbox.h"

namespace unina {

class GpuLetterbox;

struct NetworkOptions {
  std::string accelerator = "auto";
  // cpu, or gpu: a kernel writes the input of cudla-hybrid or tensorrt, in builds with CUDA.
  std::string preprocess = "cpu";
  int threads = 1;
  DlaOptions dla;
  TensorRtOptions tensorrt;
};

// One network and its buffers: one object a thread.
class Network {
 public:
  // Opens and verifies the bundle. Throws Error, also when accelerator and manifest disagree, and
  // when the GPU is asked for where it cannot preprocess.
  explicit Network(const std::string& bundle, const NetworkOptions& options = {});

  // Runs the bundle on an accelerator that the caller made. Throws Error as above.
  Network(Bundle bundle, std::unique_ptr<Accelerator> accelerator);

  // Afterwards the outputs hold the answer, until the next run(). Throws Error for an empty
  // picture.
  void run(const ImageView& image);

  // In the manifest's order, in the accelerator's own buffers.
  const std::vector<TensorView>& outputs() const { return outputs_; }
  // Throws Error for a name that the manifest does not list as an output.
  const TensorView& output(const std::string& name) const;

  // Of the last run(): where the picture lay in the input, and how long it took. With preprocessing
  // on a GPU its kernel's time is part of infer_ms, and preprocess_ms is what the CPU does for it.
  const Placement& placement() const;
  double preprocess_ms() const { return preprocess_ms_; }
  double infer_ms() const { return infer_ms_; }

  const Bundle& bundle() const { return bundle_; }
  const Manifest& manifest() const { return bundle_.manifest(); }
  std::string accelerator_name() const { return accelerator_->name(); }
  // Why this accelerator, and what the better ones lack.
  const std::string& accelerator_reason() const { return choice_.reason; }

 private:
  using Clock = std::chrono::steady_clock;

  void prepare();
  void use_gpu();
  // Both return when the outputs are complete, with the time at which the CPU had done its part of
  // preprocessing.
  Clock::time_point infer_from_cpu(const ImageView& image);
  Clock::time_point infer_from_gpu(const ImageView& image);

  Bundle bundle_;
  AcceleratorCandidate choice_;
  std::shared_ptr<GpuLetterbox> gpu_letterbox_;  // none on the CPU; outlives the accelerator's work
  std::unique_ptr<Accelerator> accelerator_;
  TensorView input_;
  std::vector<TensorView> outputs_;
  std::optional<Letterbox> letterbox_;  // of the size and format that came last
  double preprocess_ms_ = 0, infer_ms_ = 0;
};

}  // namespace unina
