// What the detector says about one picture.
#pragma once

#include <vector>

#include "unina/placement.h"

namespace unina {

struct Detection {
  Box box;  // source pixels
  float score = 0;
  int class_id = 0;
};

// Sorted by falling score.
using Detections = std::vector<Detection>;

}  // namespace unina
