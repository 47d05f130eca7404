// The whole way from a picture to detections: preprocess, infer, decode.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "unina/decode.h"
#include "unina/detections.h"
#include "unina/network.h"

namespace unina {

struct DetectorOptions : NetworkOptions {
  std::optional<float> score_threshold;  // instead of the bundle's threshold of every class
};

struct StageTimes {
  double preprocess_ms = 0, infer_ms = 0, decode_ms = 0;
  double total_ms() const { return preprocess_ms + infer_ms + decode_ms; }
};

// One network and its buffers: one object a thread.
class Detector {
 public:
  // Throws Error as Network does, and for a bundle of a network that detects nothing.
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

  const Bundle& bundle() const { return network_.bundle(); }
  const Manifest& manifest() const { return network_.manifest(); }
  // The score that a detection of each class must reach.
  const std::vector<float>& thresholds() const { return thresholds_; }
  std::string accelerator_name() const { return network_.accelerator_name(); }
  // Why this accelerator, and what the better ones lack.
  const std::string& accelerator_reason() const { return network_.accelerator_reason(); }

 private:
  void prepare(std::optional<float> score_threshold);

  Network network_;
  std::vector<LevelMaps> maps_;  // in the accelerator's output buffers
  std::vector<float> thresholds_;
  std::optional<Decoder> decoder_;
  StageTimes times_;
};

}  // namespace unina
