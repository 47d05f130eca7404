// In a build without CUDA.
#include "preprocess/gpu_letterbox.h"
#include "unina/error.h"

namespace unina {

std::unique_ptr<GpuLetterbox> GpuLetterbox::make(const PixelSpec&, const TensorView&) {
  throw Error(
      "preprocess gpu: this build has no CUDA (build with -DUNINA_CUDA=ON, which needs nvcc), so "
      "take preprocess cpu");
}

}  // namespace unina
