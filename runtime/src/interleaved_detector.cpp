#include "unina/interleaved_detector.h"

#include "turns.h"
#include "unina/error.h"

namespace unina {

class InterleavedDetector::Lanes : public Turns<ImageView, Answer> {
 public:
  using Turns::Turns;
};

InterleavedDetector::InterleavedDetector(const std::string& bundle, const DetectorOptions& options,
                                         const std::vector<DlaOptions>& dla) {
  if (dla.empty()) throw Error("no DLA core was named; expected at least one");
  std::vector<Lanes::Work> workers;
  for (const DlaOptions& one : dla) {
    DetectorOptions own = options;
    own.dla = one;
    detectors_.push_back(std::make_unique<Detector>(bundle, own));
    Detector* detector = detectors_.back().get();
    workers.push_back([detector](const ImageView& image) {
      Answer answer;
      answer.detections = detector->detect(image);
      answer.times = detector->times();
      return answer;
    });
    if (detectors_.front()->accelerator_name() != "cudla-hybrid") break;
  }
  lanes_ = std::make_unique<Lanes>(workers);
}

InterleavedDetector::~InterleavedDetector() = default;

std::size_t InterleavedDetector::under_way() const { return lanes_->under_way(); }

void InterleavedDetector::put(const ImageView& image) { lanes_->put(image); }

Answer InterleavedDetector::take() { return lanes_->take(); }

}  // namespace unina
