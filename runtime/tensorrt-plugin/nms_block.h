// Greedy NMS, class by class, of one picture by one block: for heads that answer an object more
// than once. The one-to-one head needs none.
#pragma once

#include <cstdint>

#include "decode_plan.h"

namespace unina::plugin {

constexpr std::int32_t kNmsThreads = 256;

// Calls a function for every thread of the block and waits for all: on a GPU each thread calls it
// for itself, on a CPU one plays them, from the last to the first.
struct EveryThread {
  template <typename Function>
  UNINA_HOST_DEVICE void operator()(const Function& function) const {
#if defined(__CUDA_ARCH__)
    function(static_cast<std::int32_t>(threadIdx.x));
    __syncthreads();
#else
    for (std::int32_t thread = kNmsThreads - 1; thread >= 0; --thread) function(thread);
#endif
  }
};

UNINA_HOST_DEVICE inline float least(float a, float b) { return b < a ? b : a; }
UNINA_HOST_DEVICE inline float largest(float a, float b) { return a < b ? b : a; }

// Intersection over union of two boxes that are not empty.
UNINA_HOST_DEVICE inline float box_iou(const float* a, const float* b) {
  const float width = largest(0.0f, least(a[2], b[2]) - largest(a[0], b[0]));
  const float height = largest(0.0f, least(a[3], b[3]) - largest(a[1], b[1]));
  const float shared = width * height;
  const float all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared;
  return shared / all;
}

// `alive`: kNmsCandidates numbers that the block shares.
UNINA_HOST_DEVICE inline void nms_block(const DecodePlan& plan, const Found& sorted,
                                        const Found& found, std::int32_t picture,
                                        std::int32_t* alive) {
  const EveryThread every;
  const std::int32_t count = sorted.count[picture];
  const std::int64_t first = static_cast<std::int64_t>(picture) * sorted.most;
  const float* boxes = sorted.boxes + 4 * first;
  const std::int32_t* classes = sorted.classes + first;

  every([&](std::int32_t thread) {
    for (std::int32_t j = thread; j < count; j += kNmsThreads) alive[j] = 1;
  });
  std::int32_t kept = 0;
  for (std::int32_t i = 0; i < count && kept < found.most; ++i) {
    if (alive[i] == 0) continue;  // the same for all threads: nobody writes it from here on
    every([&](std::int32_t thread) {
      if (thread == 0) {
        put(found, picture, kept, boxes + 4 * i, sorted.scores[first + i], classes[i]);
      }
      for (std::int32_t j = i + 1 + thread; j < count; j += kNmsThreads) {
        if (classes[j] == classes[i] && box_iou(boxes + 4 * i, boxes + 4 * j) > plan.nms_iou) {
          alive[j] = 0;
        }
      }
    });
    ++kept;
  }
  every([&](std::int32_t thread) {
    if (thread == 0) found.count[picture] = kept;
    for (std::int32_t slot = kept + thread; slot < found.most; slot += kNmsThreads) {
      put_nothing(found, picture, slot);
    }
  });
}

}  // namespace unina::plugin
