// Sorting by counting: a candidate's place is the number of those that come before it. Needs no
// order among threads, and nothing that is shared; a picture has few candidates.
#pragma once

#include <cstdint>

#include "candidate_thread.h"

namespace unina::plugin {

constexpr std::int32_t kRankThreads = 256;  // of a block, each one candidate and one place

UNINA_HOST_DEVICE inline std::int32_t rank_threads(const DecodePlan& plan, const Found& found) {
  return plan.cells > found.most ? plan.cells : found.most;
}

// Thread `thread` of block `block` of picture `picture`: its candidate goes to its place, and a
// place that stays empty is cleared. Every place is written once.
UNINA_HOST_DEVICE inline void rank_thread(const DecodePlan& plan, const Workspace& workspace,
                                          const Found& found, std::int32_t picture,
                                          std::int32_t block, std::int32_t thread) {
  const std::int32_t i = block * kRankThreads + thread;
  const std::int32_t count = workspace.counts[picture];
  if (i == 0) found.count[picture] = count < found.most ? count : found.most;
  if (i >= count) {
    if (i < found.most) put_nothing(found, picture, i);
    return;
  }
  const Candidate* all = workspace.candidates + static_cast<std::int64_t>(picture) * plan.cells;
  const Candidate mine = all[i];
  std::int32_t rank = 0;
  for (std::int32_t j = 0; j < count && rank < found.most; ++j) rank += all[j].key > mine.key;
  if (rank < found.most) {
    put(found, picture, rank, mine.box, score_of(mine.key), mine.class_id);
  }
}

}  // namespace unina::plugin
