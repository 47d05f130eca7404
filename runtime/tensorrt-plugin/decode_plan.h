// What the decode kernels work on: a network's raw maps (docs/bundle.md), the numbers of its
// manifest, and where the answer goes. Plain, so that it travels to a GPU as it is; it owns
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "unina/host_device.h"

namespace unina::plugin {

// A kernel's parameters are at most 4 KiB, and the whole plan travels in them.
constexpr std::int32_t kMostLevels = 8;
constexpr std::int32_t kMostClasses = 512;
// Of a picture, by falling score, that NMS looks at.
constexpr std::int32_t kNmsCandidates = 1024;

// The two maps of one level, float32, N x channels x height x width.
struct LevelPlan {
  const float* classes;
  const float* boxes;
  std::int32_t height, width, stride;
  std::int32_t first_cell;  // of this level, among those of a picture
};

struct DecodePlan {
  LevelPlan levels[kMostLevels];
  float thresholds[kMostClasses];
  float least_logit;  // slightly below what the least threshold asks for: a cheap first test
  float nms_iou;      // 1: no NMS
  std::int32_t level_count, class_count, reg_max;
  std::int32_t pictures;                   // of the batch
  std::int32_t cells;                      // of a picture
  std::int32_t input_width, input_height;  // boxes are clipped to it
};
static_assert(sizeof(DecodePlan) <= 3072, "leaves room for the other parameters");

// The answer: pictures x most of everything. What lies behind the count is zero, and of class -1.
struct Found {
  std::int32_t most;
  std::int32_t* count;  // pictures
  float* boxes;         // x 4: x0, y0, x1, y1 in pixels of the network's input
  float* scores;        // falling
  std::int32_t* classes;
};

// A cell that passed, as the first kernel leaves it. A larger key comes first, and no two of a
// picture are equal: score above, what is left to count of the cells' order below.
struct alignas(16) Candidate {
  std::uint64_t key;
  std::int32_t class_id;
  float box[4];
};

struct Workspace {
  std::int32_t* counts;   // pictures; zero before the first kernel
  Candidate* candidates;  // pictures x cells, of which each picture fills `counts`, in any order
  Found sorted;           // with NMS: what it reads
};

UNINA_HOST_DEVICE inline bool has_nms(const DecodePlan& plan) { return plan.nms_iou < 1.0f; }

// Bytes of workspace, and where in it what lies. `memory` is aligned to 256 bytes, as TensorRT's
// is.
std::size_t workspace_bytes(const DecodePlan& plan);
Workspace workspace_in(const DecodePlan& plan, void* memory);

UNINA_HOST_DEVICE inline void put(const Found& found, std::int32_t picture, std::int32_t slot,
                                  const float* box, float score, std::int32_t class_id) {
  const std::int64_t at = static_cast<std::int64_t>(picture) * found.most + slot;
  for (int side = 0; side < 4; ++side) found.boxes[4 * at + side] = box[side];
  found.scores[at] = score;
  found.classes[at] = class_id;
}

UNINA_HOST_DEVICE inline void put_nothing(const Found& found, std::int32_t picture,
                                          std::int32_t slot) {
  const float empty[4] = {0, 0, 0, 0};
  put(found, picture, slot, empty, 0, -1);
}

}  // namespace unina::plugin
