// unina-bench --overhead: what the service adds to the network, from the capture of a picture until
// its detections are published.
#pragma once

#include <string>
#include <vector>

#include "samples.h"
#include "unina/image.h"

namespace unina {

struct Overhead {
  struct Stage {
    const char* name;
    Samples times;  // ms
  };
  std::vector<Stage> stages;  // the service's: its last is the whole, from capture to publish
  Samples resize;             // one cv::resize of the same picture, between two pictures
};

// Runs the service's own threads and sinks on an accelerator that computes nothing, a picture at a
// time: each is timed from the source's stamp until ring and socket have its message. Throws Error.
Overhead measure_overhead(const std::string& bundle, const ImageView& picture, int iterations);

}  // namespace unina
