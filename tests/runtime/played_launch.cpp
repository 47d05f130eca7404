// launch_decode() on the CPU: every thread of the kernels' grids, from the last to the first, since
// threads have no order. In place of decode_kernels.cu where there is no GPU.
#include <cstring>

#include "candidate_thread.h"
#include "decode_launch.h"
#include "nms_block.h"
#include "played_launch.h"
#include "rank_thread.h"

namespace unina::plugin {

const char* refusal = nullptr;

namespace {

template <typename Thread>
void play(std::int32_t threads, std::int32_t of_a_block, std::int32_t pictures, Thread thread) {
  for (std::int32_t picture = pictures - 1; picture >= 0; --picture)
    for (std::int32_t block = (threads + of_a_block - 1) / of_a_block - 1; block >= 0; --block)
      for (std::int32_t t = of_a_block - 1; t >= 0; --t) thread(picture, block, t);
}

}  // namespace

const char* launch_decode(const DecodePlan& plan, const Found& found, void* memory, cudaStream_t) {
  if (refusal != nullptr) return refusal;
  const Workspace workspace = workspace_in(plan, memory);
  std::memset(workspace.counts, 0, static_cast<std::size_t>(plan.pictures) * sizeof(std::int32_t));
  play(plan.cells, kCellThreads, plan.pictures,
       [&](std::int32_t picture, std::int32_t block, std::int32_t thread) {
         candidate_thread(plan, workspace, picture, block, thread);
       });
  const Found& sorted = has_nms(plan) ? workspace.sorted : found;
  play(rank_threads(plan, sorted), kRankThreads, plan.pictures,
       [&](std::int32_t picture, std::int32_t block, std::int32_t thread) {
         rank_thread(plan, workspace, sorted, picture, block, thread);
       });
  for (std::int32_t picture = 0; has_nms(plan) && picture < plan.pictures; ++picture) {
    std::int32_t alive[kNmsCandidates];
    nms_block(plan, sorted, found, picture, alive);
  }
  return nullptr;
}

}  // namespace unina::plugin
