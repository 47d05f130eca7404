// The whole way from a picture to detections: preprocess, infer, decode.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "unina/accelerator.h"
#include "unina/accelerators.h"
#include "unina/bundle.h"
#include "unina/decode.h"
#include "unina/detections.h"
#include "unina/letterbox.h"

namespace unina {

class GpuLetterbox;

struct DetectorOptions {
  std::string accelerator = "auto";
  // cpu, or gpu: a kernel writes the input of cudla-hybrid or tensorrt, in builds with CUDA.
  std::string preprocess = "cpu";
  std::optional<float> score_threshold;  // instead of the bundle's threshold of every class
  int threads = 1;
  DlaOptions dla;
  TensorRtOptions tensorrt;
};

// With preprocessing on a GPU its kernel's time is part of infer_ms, and preprocess_ms is what the
// CPU does for it.
struct StageTimes {
  double preprocess_ms = 0, infer_ms = 0, decode_ms = 0;
  double total_ms() const { return preprocess_ms + infer_ms + decode_ms; }
};

// One network and its buffers: one object a thread.
class Detector {
 public:
  // Opens and verifies the bundle. Throws Error, also when accelerator and manifest disagree, and
  // when the GPU is asked for where it cannot preprocess.
  explicit Detector(const std::string& bundle, const DetectorOptions& options = {});

  // Runs the bundle on an accelerator that the caller made. Throws Error as above.
  Detector(Bundle bundle, std::unique_ptr<Accelerator> accelerator,
           std::optional<float> score_threshold = std::nullopt);

  // Throws Error for an empty picture.
  Detections detect(const ImageView& image);
  // The same into memory that is there already: after pictures of one size have warmed it up, it
  // takes none of its own.
  void detect(const ImageView& image, Detections& found);
  // Of the last detect().
  const StageTimes& times() const { return times_; }

  const Bundle& bundle() const { return bundle_; }
  const Manifest& manifest() const { return bundle_.manifest(); }
  std::string accelerator_name() const { return accelerator_->name(); }
  // Why this accelerator, and what the better ones lack.
  const std::string& accelerator_reason() const { return choice_.reason; }

 private:
  using Clock = std::chrono::steady_clock;

  void prepare(std::optional<float> score_threshold);
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
  std::vector<LevelMaps> maps_;  // in the accelerator's output buffers
  std::optional<Decoder> decoder_;
  std::optional<Letterbox> letterbox_;  // of the size and format that came last
  StageTimes times_;
};

}  // namespace unina
