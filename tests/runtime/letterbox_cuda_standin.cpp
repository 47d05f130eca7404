// What a program of the letterbox kernel needs of the CUDA runtime, on the CPU: device memory is
// host memory, and a launch plays every thread of its grid. For tests only; it can check what the
// host's code hands over, never what a GPU computes.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "cuda_preprocess/letterbox_thread.h"
#include "nvcc_host_stubs.h"
#ifdef UNINA_STANDIN_CUDART
#include "standins/state.h"
#endif

namespace {

using unina::Blocks;
using unina::LetterboxPlan;
using unina::PixelFormat;
using unina::SourcePixels;

int live_allocations = 0;
cudaError_t last = cudaSuccess;

#ifdef UNINA_STANDIN_CUDART
// With the stand-in of libcudart: its faults, and its streams, where a kernel runs behind what they
// hold already.
bool fails(const char* function) { return standin::called(function).has_value(); }
bool enqueue(void* stream, const std::function<void()>& work) {
  return standin::enqueue(stream, work);
}
#else
bool fails(const char*) { return false; }
bool enqueue(void*, const std::function<void()>& work) {
  work();
  return true;
}
#endif

// A kernel's arguments, which are gone when the launch returns.
struct Arguments {
  LetterboxPlan plan;
  SourcePixels source;
  std::int8_t* tensor;
};

template <PixelFormat format>
void play(const Launch& launch, const Arguments& arguments) {
  const auto& [plan, source, tensor] = arguments;
  for (unsigned block_y = 0; block_y < launch.grid.y; ++block_y)
    for (unsigned block_x = 0; block_x < launch.grid.x; ++block_x)
      for (unsigned y = 0; y < launch.block.y; ++y)
        for (unsigned x = 0; x < launch.block.x; ++x)
          unina::letterbox_thread<format>(
              plan, source, tensor,
              {static_cast<std::int32_t>(block_x), static_cast<std::int32_t>(block_y)},
              {static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)});
}

}  // namespace

extern "C" {

int unina_cuda_standin_live_allocations() { return live_allocations; }

cudaError_t cudaLaunchKernel(const void* stub, dim3 grid, dim3 block, void** arguments,
                             std::size_t shared, cudaStream_t stream) {
  const Launch launch = {grid, block, shared, stream};
  const auto found = kernels().find(stub);
  if (found == kernels().end()) return cudaErrorInvalidDeviceFunction;
  if (block.x * block.y != 256 || block.z != 1 || grid.z != 1) return cudaErrorInvalidConfiguration;
  if (fails("cudaLaunchKernel")) return last = cudaErrorLaunchFailure;
  const Arguments copied = {*static_cast<const LetterboxPlan*>(arguments[0]),
                            *static_cast<const SourcePixels*>(arguments[1]),
                            *static_cast<std::int8_t**>(arguments[2])};
  constexpr void (*kPlay[])(const Launch&, const Arguments&) = {
      play<PixelFormat::kBgr>, play<PixelFormat::kRgba>, play<PixelFormat::kNv12>,
      play<PixelFormat::kUyvy>};
  for (int format = 0; format < 4; ++format) {
    const std::string mangled = "letterbox_kernelILNS_11PixelFormatE" + std::to_string(format);
    if (found->second.find(mangled) == std::string::npos) continue;
    return enqueue(stream, [=] { kPlay[format](launch, copied); }) ? cudaSuccess
                                                                   : cudaErrorInvalidResourceHandle;
  }
  return cudaErrorInvalidDeviceFunction;
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  if (fails("cudaMalloc")) return cudaErrorMemoryAllocation;
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*data == nullptr) return cudaErrorMemoryAllocation;
  ++live_allocations;
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  if (data != nullptr) --live_allocations;
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  if (fails("cudaMemcpy")) return cudaErrorInvalidValue;
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return std::exchange(last, cudaSuccess); }
const char* cudaGetErrorString(cudaError_t) { return "an error of the stand-in"; }
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 0;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = nullptr;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) {
  *ms = 0;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }

}  // extern "C"
