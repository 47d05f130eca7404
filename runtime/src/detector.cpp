#include "unina/detector.h"

#include <chrono>
#include <utility>

#include "unina/error.h"

namespace unina {

Detector::Detector(const std::string& bundle, const DetectorOptions& options)
    : network_(bundle, options) {
  prepare(options.score_threshold);
}

Detector::Detector(Bundle bundle, std::unique_ptr<Accelerator> accelerator,
                   std::optional<float> score_threshold)
    : network_(std::move(bundle), std::move(accelerator)) {
  prepare(score_threshold);
}

void Detector::prepare(std::optional<float> score_threshold) {
  const Manifest& expected = manifest();
  if (expected.decode != Decode::kDetect) {
    throw Error(bundle().directory() + ": its network detects nothing, its decode is " +
                (expected.decode == Decode::kClassify ? "classify" : "raw") +
                "; run it with unina_runtime.Network");
  }
  std::vector<LevelFormat> formats;
  for (const ManifestLevel& level : expected.levels) {
    const TensorView& classes = network_.output(level.class_map);
    const TensorView& boxes = network_.output(level.box_map);
    formats.push_back({level.stride, classes.format, boxes.format});
    maps_.push_back({classes.data, boxes.data});
  }
  thresholds_ = expected.thresholds;
  if (score_threshold) thresholds_.assign(expected.classes.size(), *score_threshold);
  decoder_.emplace(DecodeSpec{expected.reg_max, thresholds_, expected.max_detections}, formats);
}

Detections Detector::detect(const ImageView& image) {
  Detections found;
  detect(image, found);
  return found;
}

void Detector::detect(const ImageView& image, Detections& found) {
  network_.run(image);
  const auto inferred = std::chrono::steady_clock::now();
  decoder_->decode(maps_, network_.placement(), found);
  const std::chrono::duration<double, std::milli> decode =
      std::chrono::steady_clock::now() - inferred;
  times_ = {network_.preprocess_ms(), network_.infer_ms(), decode.count()};
}

}  // namespace unina
