// One frame as a line of JSON (docs/bundle.md, "Detections as JSON Lines").
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "unina/detector.h"
#include "unina/source.h"

namespace unina {

std::string json_line(std::size_t number, const Frame& frame, double read_ms,
                      const StageTimes& times, const Detections& detections,
                      const std::vector<std::string>& classes);

}  // namespace unina
