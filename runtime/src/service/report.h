// What the service says about one picture; every sink writes the same.
#pragma once

#include <cstdint>
#include <string_view>

#include "unina/detections.h"

namespace unina {

struct Report {
  std::uint64_t frame = 0;
  std::string_view source;  // the picture's name
  int width = 0, height = 0;
  std::int64_t captured_ns = 0, submitted_ns = 0, done_ns = 0;  // CLOCK_MONOTONIC
  std::int64_t captured_realtime_ns = 0;
  std::uint64_t drops = 0, gaps = 0;  // since the start
  bool stale = false;
  const Detections* detections = nullptr;
};

}  // namespace unina
