// What a program of the decode kernels needs of the CUDA runtime, on the CPU: device memory is host
// memory, and a launch plays every thread of its grid. For tests only; it can check what the host's
// code hands over, never what a GPU computes.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "candidate_thread.h"
#include "nms_block.h"
#include "nvcc_host_stubs.h"
#include "rank_thread.h"

namespace {

using namespace unina::plugin;

template <typename T>
const T& argument(void** arguments, int number) {
  return *static_cast<const T*>(arguments[number]);
}

template <typename Thread>
void play(const dim3& grid, const dim3& block, Thread thread) {
  for (unsigned y = 0; y < grid.y; ++y)
    for (unsigned x = 0; x < grid.x; ++x)
      for (unsigned t = 0; t < block.x; ++t)
        thread(static_cast<int>(y), static_cast<int>(x), static_cast<int>(t));
}

bool play(const std::string& kernel, const dim3& grid, const dim3& block, void** arguments) {
  const auto is = [&](const char* name) { return kernel.find(name) != std::string::npos; };
  const auto& plan = argument<DecodePlan>(arguments, 0);
  const auto pictures = static_cast<unsigned>(plan.pictures);
  if (is("candidate_kernel") && block.x == kCellThreads && grid.y == pictures) {
    const auto& workspace = argument<Workspace>(arguments, 1);
    play(grid, block, [&](int picture, int number, int thread) {
      candidate_thread(plan, workspace, picture, number, thread);
    });
    return true;
  }
  if (is("rank_kernel") && block.x == kRankThreads && grid.y == pictures) {
    const auto& workspace = argument<Workspace>(arguments, 1);
    const auto& found = argument<Found>(arguments, 2);
    play(grid, block, [&](int picture, int number, int thread) {
      rank_thread(plan, workspace, found, picture, number, thread);
    });
    return true;
  }
  if (is("nms_kernel") && block.x == kNmsThreads && grid.x == pictures && grid.y == 1) {
    for (int picture = 0; picture < plan.pictures; ++picture) {
      std::int32_t alive[kNmsCandidates];
      nms_block(plan, argument<Found>(arguments, 1), argument<Found>(arguments, 2), picture, alive);
    }
    return true;
  }
  return false;
}

}  // namespace

extern "C" {

cudaError_t cudaLaunchKernel(const void* stub, dim3 grid, dim3 block, void** arguments,
                             std::size_t shared, cudaStream_t) {
  const auto found = kernels().find(stub);
  if (found == kernels().end()) return cudaErrorInvalidDeviceFunction;
  if (block.y != 1 || block.z != 1 || grid.z != 1 || shared != 0) {
    return cudaErrorInvalidConfiguration;
  }
  return play(found->second, grid, block, arguments) ? cudaSuccess : cudaErrorInvalidConfiguration;
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *data == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t) {
  std::memset(data, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t) { return "an error of the stand-in"; }

}  // extern "C"
