// One frame as a line of JSON (docs/bundle.md, "Detections as JSON Lines").
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "unina/detector.h"
#include "unina/source.h"

namespace unina {

// What made the detections. Every line says it, so that lines of different runs can't be mixed
// unseen, and whoever scores them needs nothing else.
struct DetectionRun {
  std::string bundle, manifest_sha256, accelerator;
  std::vector<std::string> classes;
  int input_width = 0, input_height = 0;
  std::vector<float> thresholds;  // that applied: one score a class
  int max_detections = 0;

  static DetectionRun of(const Detector& detector);
};

std::string json_line(const DetectionRun& run, std::size_t number, const Frame& frame,
                      double read_ms, const StageTimes& times, const Detections& detections);

}  // namespace unina
