// One cell of one map: does its best class reach its threshold, and which box is it? The arithmetic
// of runtime/src/decode.cpp, operation by operation; tests/runtime/test_decode_threads.cpp plays
// every thread of the grid on the CPU and compares bit for bit. On a GPU expf() may differ from the
// CPU's in the last bits, and nothing else: nvcc must not contract a * b + c (-fmad=false).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "decode_plan.h"

namespace unina::plugin {

constexpr std::int32_t kCellThreads = 256;  // of a block, each one cell

UNINA_HOST_DEVICE inline float sigmoid(float logit) { return 1.0f / (1.0f + expf(-logit)); }

// Distance of one side in strides: the expectation over its bins, or the value itself. `step`: from
// a bin to the next.
UNINA_HOST_DEVICE inline float distance(const float* bins, std::int64_t step,
                                        std::int32_t reg_max) {
  if (reg_max == 1) return 0.0f < bins[0] ? bins[0] : 0.0f;
  float most = bins[0];
  for (std::int32_t j = 1; j < reg_max; ++j) most = most < bins[j * step] ? bins[j * step] : most;
  float sum = 0.0f, moment = 0.0f;
  for (std::int32_t j = 0; j < reg_max; ++j) {
    const float weight = expf(bins[j * step] - most);
    sum += weight;
    moment += weight * static_cast<float>(j);
  }
  return moment / sum;
}

// A NaN stays one.
UNINA_HOST_DEVICE inline float clipped(float value, std::int32_t side) {
  const float most = static_cast<float>(side);
  return value < 0.0f ? 0.0f : (most < value ? most : value);
}

// Scores are not negative, so their bits order as they do.
UNINA_HOST_DEVICE inline std::uint64_t key_of(float score, std::int32_t cell) {
  std::uint32_t bits;
  memcpy(&bits, &score, sizeof bits);
  return std::uint64_t{bits} << 32 | (0xffffffffu - static_cast<std::uint32_t>(cell));
}

UNINA_HOST_DEVICE inline float score_of(std::uint64_t key) {
  const auto bits = static_cast<std::uint32_t>(key >> 32);
  float score;
  memcpy(&score, &bits, sizeof score);
  return score;
}

// Whether cell `cell` of a picture holds a detection, and which.
UNINA_HOST_DEVICE inline bool decode_cell(const DecodePlan& plan, std::int32_t picture,
                                          std::int32_t cell, Candidate& candidate) {
  std::int32_t number = 0;
  while (number + 1 < plan.level_count && plan.levels[number + 1].first_cell <= cell) ++number;
  const LevelPlan& level = plan.levels[number];
  const std::int32_t here = cell - level.first_cell;
  const std::int64_t plane = static_cast<std::int64_t>(level.height) * level.width;

  const float* logits = level.classes + picture * plan.class_count * plane + here;
  std::int32_t best = 0;
  float most = logits[0];
  for (std::int32_t c = 1; c < plan.class_count; ++c) {
    const float logit = logits[c * plane];
    if (most < logit) most = logit, best = c;
  }
  if (!(most >= plan.least_logit)) return false;
  const float score = sigmoid(most);
  if (!(score >= plan.thresholds[best])) return false;

  const float* bins = level.boxes + picture * 4 * plan.reg_max * plane + here;
  const float stride = static_cast<float>(level.stride);
  float side[4];
  for (int s = 0; s < 4; ++s) {
    side[s] = distance(bins + s * plan.reg_max * plane, plane, plan.reg_max) * stride;
  }
  const float x = (static_cast<float>(here % level.width) + 0.5f) * stride;
  const float y = (static_cast<float>(here / level.width) + 0.5f) * stride;
  candidate.box[0] = clipped(x - side[0], plan.input_width);
  candidate.box[1] = clipped(y - side[1], plan.input_height);
  candidate.box[2] = clipped(x + side[2], plan.input_width);
  candidate.box[3] = clipped(y + side[3], plan.input_height);
  // Written so that a NaN, which compares false, is dropped too.
  if (!(candidate.box[2] > candidate.box[0] && candidate.box[3] > candidate.box[1])) return false;
  candidate.class_id = best;
  candidate.key = key_of(score, cell);
  return true;
}

// The next free place. Which thread gets which is chance, and does not matter: rank_thread.h sorts.
UNINA_HOST_DEVICE inline std::int32_t next_place(std::int32_t* count) {
#if defined(__CUDA_ARCH__)
  return atomicAdd(count, 1);
#else
  return (*count)++;
#endif
}

// Thread `thread` of block `block` of picture `picture`.
UNINA_HOST_DEVICE inline void candidate_thread(const DecodePlan& plan, const Workspace& workspace,
                                               std::int32_t picture, std::int32_t block,
                                               std::int32_t thread) {
  const std::int32_t cell = block * kCellThreads + thread;
  if (cell >= plan.cells) return;
  Candidate candidate{};
  if (!decode_cell(plan, picture, cell, candidate)) return;
  const std::int32_t place = next_place(workspace.counts + picture);
  workspace.candidates[static_cast<std::int64_t>(picture) * plan.cells + place] = candidate;
}

}  // namespace unina::plugin
