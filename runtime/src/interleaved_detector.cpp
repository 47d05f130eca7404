#include "unina/interleaved_detector.h"

#include "one_a_core.h"
#include "turns.h"

namespace unina {

class InterleavedDetector::Lanes : public Turns<ImageView, Answer> {
 public:
  using Turns::Turns;
};

std::vector<std::unique_ptr<Detector>> make_detectors(const std::string& bundle,
                                                      const DetectorOptions& options,
                                                      const std::vector<DlaOptions>& dla) {
  return one_a_core<Detector>(bundle, options, dla);
}

InterleavedDetector::InterleavedDetector(const std::string& bundle, const DetectorOptions& options,
                                         const std::vector<DlaOptions>& dla)
    : detectors_(make_detectors(bundle, options, dla)) {
  make_lanes();
}

InterleavedDetector::InterleavedDetector(std::vector<std::unique_ptr<Detector>> detectors)
    : detectors_(std::move(detectors)) {
  make_lanes();
}

void InterleavedDetector::make_lanes() {
  std::vector<Lanes::Work> workers;
  for (std::size_t i = 0; i < detectors_.size(); ++i) {
    workers.push_back([i, &detector = *detectors_[i]](const ImageView& image, Answer& answer) {
      answer.detector = i;
      answer.detections.reserve(static_cast<std::size_t>(detector.manifest().max_detections));
      answer.begun = std::chrono::steady_clock::now();
      detector.detect(image, answer.detections);
      answer.done = std::chrono::steady_clock::now();
      answer.times = detector.times();
    });
  }
  lanes_ = std::make_unique<Lanes>(workers);
}

InterleavedDetector::~InterleavedDetector() = default;

std::size_t InterleavedDetector::under_way() const { return lanes_->under_way(); }

void InterleavedDetector::put(const ImageView& image) { lanes_->put(image); }

bool InterleavedDetector::done() const { return lanes_->done(); }

void InterleavedDetector::when_finished(std::function<void()> call) {
  lanes_->when_finished(std::move(call));
}

const Answer& InterleavedDetector::take() { return lanes_->take(); }

}  // namespace unina
