// Three kernels: which cells hold a detection, in which order they stand, and NMS where it is asked
// for. What a thread does is in the headers, which a CPU can play.
#include <cuda_runtime_api.h>

#include "candidate_thread.h"
#include "decode_launch.h"
#include "nms_block.h"
#include "rank_thread.h"

namespace unina::plugin {
namespace {

__global__ void __launch_bounds__(kCellThreads)
    candidate_kernel(DecodePlan plan, Workspace workspace) {
  candidate_thread(plan, workspace, static_cast<std::int32_t>(blockIdx.y),
                   static_cast<std::int32_t>(blockIdx.x), static_cast<std::int32_t>(threadIdx.x));
}

__global__ void __launch_bounds__(kRankThreads)
    rank_kernel(DecodePlan plan, Workspace workspace, Found found) {
  rank_thread(plan, workspace, found, static_cast<std::int32_t>(blockIdx.y),
              static_cast<std::int32_t>(blockIdx.x), static_cast<std::int32_t>(threadIdx.x));
}

__global__ void __launch_bounds__(kNmsThreads)
    nms_kernel(DecodePlan plan, Found sorted, Found found) {
  __shared__ std::int32_t alive[kNmsCandidates];
  nms_block(plan, sorted, found, static_cast<std::int32_t>(blockIdx.x), alive);
}

unsigned blocks_for(std::int32_t threads, std::int32_t of_a_block) {
  return static_cast<unsigned>((threads + of_a_block - 1) / of_a_block);
}

}  // namespace

const char* launch_decode(const DecodePlan& plan, const Found& found, void* memory,
                          cudaStream_t stream) {
  const Workspace workspace = workspace_in(plan, memory);
  const auto pictures = static_cast<unsigned>(plan.pictures);
  const cudaError_t zeroed =
      cudaMemsetAsync(workspace.counts, 0, pictures * sizeof(std::int32_t), stream);
  if (zeroed != cudaSuccess) return cudaGetErrorString(zeroed);
  const dim3 cells(blocks_for(plan.cells, kCellThreads), pictures);
  candidate_kernel<<<cells, kCellThreads, 0, stream>>>(plan, workspace);
  const Found& sorted = has_nms(plan) ? workspace.sorted : found;
  const dim3 ranks(blocks_for(rank_threads(plan, sorted), kRankThreads), pictures);
  rank_kernel<<<ranks, kRankThreads, 0, stream>>>(plan, workspace, sorted);
  if (has_nms(plan)) nms_kernel<<<pictures, kNmsThreads, 0, stream>>>(plan, sorted, found);
  const cudaError_t launched = cudaGetLastError();
  return launched == cudaSuccess ? nullptr : cudaGetErrorString(launched);
}

}  // namespace unina::plugin
