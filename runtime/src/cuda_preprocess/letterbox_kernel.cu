// Letterbox, colour and quantisation in one kernel: a camera's bytes are read once, the tensor's
// written once, and nothing lies in between. The pixel is unina/letterbox_pixel.h's, the same
// function that g++ compiles.
#include "cuda_preprocess/letterbox_kernel.h"

#include "cuda_preprocess/letterbox_thread.h"

namespace unina {
namespace {

template <PixelFormat format>
__global__ void __launch_bounds__(kBlockWidth* kBlockHeight)
    letterbox_kernel(LetterboxPlan plan, SourcePixels source, std::int8_t* tensor) {
  // Every thread looks up three values of its own: shared memory serves that, constant memory not.
  static_assert(kBlockWidth * kBlockHeight == 256, "one thread for each value of the table");
  __shared__ std::int8_t stored[256];
  const unsigned value = threadIdx.y * kBlockWidth + threadIdx.x;
  stored[value] = plan.stored[value];
  __syncthreads();
  plan.stored = stored;
  letterbox_thread<format>(
      plan, source, tensor,
      {static_cast<std::int32_t>(blockIdx.x), static_cast<std::int32_t>(blockIdx.y)},
      {static_cast<std::int32_t>(threadIdx.x), static_cast<std::int32_t>(threadIdx.y)});
}

}  // namespace

cudaError_t launch_letterbox(PixelFormat format, const LetterboxPlan& plan,
                             const SourcePixels& source, std::int8_t* tensor, cudaStream_t stream) {
  const Blocks blocks = blocks_of(plan);
  const dim3 grid(static_cast<unsigned>(blocks.x), static_cast<unsigned>(blocks.y));
  const dim3 block(kBlockWidth, kBlockHeight);
  switch (format) {
    case PixelFormat::kBgr:
      letterbox_kernel<PixelFormat::kBgr><<<grid, block, 0, stream>>>(plan, source, tensor);
      break;
    case PixelFormat::kRgba:
      letterbox_kernel<PixelFormat::kRgba><<<grid, block, 0, stream>>>(plan, source, tensor);
      break;
    case PixelFormat::kNv12:
      letterbox_kernel<PixelFormat::kNv12><<<grid, block, 0, stream>>>(plan, source, tensor);
      break;
    case PixelFormat::kUyvy:
      letterbox_kernel<PixelFormat::kUyvy><<<grid, block, 0, stream>>>(plan, source, tensor);
      break;
  }
  return cudaGetLastError();
}

}  // namespace unina
