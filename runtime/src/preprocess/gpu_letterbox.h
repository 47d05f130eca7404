// The letterbox on a GPU as a detector uses it: pictures that lie in the CPU's memory, written into
// the accelerator's input by a kernel on the accelerator's stream (docs/preprocessing.md).
#pragma once

#include <chrono>
#include <memory>

#include "unina/accelerator.h"
#include "unina/letterbox.h"

namespace unina {

class GpuLetterbox : public InputWriter {
 public:
  // `input` is the accelerator's. Throws Error in a build without CUDA.
  static std::unique_ptr<GpuLetterbox> make(const PixelSpec& pixels, const TensorView& input);

  // The picture that enqueue() will copy and write; it must stay valid until then. Throws Error for
  // one that is none.
  virtual void take(const ImageView& picture) = 0;
  // Of the picture that was enqueued last, and when that was done.
  virtual const Placement& placement() const = 0;
  virtual std::chrono::steady_clock::time_point enqueued() const = 0;
};

}  // namespace unina
