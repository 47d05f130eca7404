// Several detectors that take pictures in turn, so that two DLA cores compute at the same time.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "unina/detector.h"

namespace unina {

// What one picture was answered with.
struct Answer {
  Detections detections;
  StageTimes times;
  std::chrono::steady_clock::time_point begun, done;
  std::size_t detector = 0;  // which of them, from 0
};

// One detector for each entry of `dla` (at least one), which takes the place of options.dla. An
// accelerator that is not the DLA is made once, whatever `dla` says: it has one set of threads.
// Throws Error as Detector does.
std::vector<std::unique_ptr<Detector>> make_detectors(const std::string& bundle,
                                                      const DetectorOptions& options,
                                                      const std::vector<DlaOptions>& dla);

// Put a picture in, take an answer out, in the order of the pictures. For one thread; the detectors
// have threads of their own, except a single one, which works in put().
class InterleavedDetector {
 public:
  // On what make_detectors() gives.
  InterleavedDetector(const std::string& bundle, const DetectorOptions& options,
                      const std::vector<DlaOptions>& dla);
  // Detectors that the caller made, at least one, with the same manifest.
  explicit InterleavedDetector(std::vector<std::unique_ptr<Detector>> detectors);
  // Waits for what is under way.
  ~InterleavedDetector();

  // Pictures that may be under way at a time.
  std::size_t capacity() const { return detectors_.size(); }
  std::size_t under_way() const;
  // While under_way() < capacity(). The picture must stay as it is until its answer is taken.
  void put(const ImageView& image);
  // Whether take() has an answer and would not wait for it.
  bool done() const;
  // Called on a detector's thread after each picture from now on; a single detector, which works in
  // put(), does not call.
  void when_finished(std::function<void()> call);
  // The answer to the oldest picture under way, which stays until the next put(); waits for it.
  // Throws what its detector threw, for this picture only.
  const Answer& take();

  // For manifest, accelerator and reason; all are alike.
  const Detector& detector() const { return *detectors_.front(); }

 private:
  void make_lanes();

  class Lanes;
  std::vector<std::unique_ptr<Detector>> detectors_;
  std::unique_ptr<Lanes> lanes_;
};

}  // namespace unina
