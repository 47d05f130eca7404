// Preprocessing on the GPU: the same bytes as unina/letterbox.h, written by one kernel on the
// caller's stream (docs/preprocessing.md). Built with -DUNINA_CUDA=ON.
#pragma once

#include <memory>

#include "unina/letterbox.h"

struct CUstream_st;  // what cudaStream_t points to

namespace unina {

// One source size and format into tensors of one format. Owns its tables in device memory, on the
// device that was current when it was made. Many streams may use one object.
class CudaLetterbox {
 public:
  // Throws Error as Letterbox does, for buffers that a GPU cannot write whole pixels into, and with
  // CUDA's own words when the device refuses.
  CudaLetterbox(int source_width, int source_height, const PixelSpec& pixels,
                const TensorFormat& destination, PixelFormat source_format = PixelFormat::kBgr);
  ~CudaLetterbox();
  CudaLetterbox(CudaLetterbox&&) noexcept;
  CudaLetterbox& operator=(CudaLetterbox&&) noexcept;

  const Placement& placement() const;
  // Whether preprocess_on_stream() takes pictures of this size and format.
  bool fits(const ImageView& source) const;

  // Enqueues the kernel and returns; nothing is allocated, copied or waited for, so a CUDA graph
  // can capture it. `source` and `destination.data` are addresses that the GPU reads and writes:
  // device memory, or host memory mapped for it. Throws Error for another picture or tensor format.
  void preprocess_on_stream(CUstream_st* stream, const ImageView& source,
                            const TensorView& destination) const;

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

}  // namespace unina
