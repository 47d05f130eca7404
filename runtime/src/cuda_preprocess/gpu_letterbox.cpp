#include "preprocess/gpu_letterbox.h"

#include <cstring>
#include <optional>

#include "cuda/cuda_runtime.h"
#include "cuda/mapped_buffer.h"
#include "cuda/release_failures.h"
#include "unina/letterbox_cuda.h"

namespace unina {
namespace {

std::size_t chroma_rows(const ImageView& picture) {
  return picture.format == PixelFormat::kNv12 ? static_cast<std::size_t>(picture.height) / 2 : 0;
}

void copy_rows(const std::uint8_t* from, std::size_t stride, std::size_t row_bytes,
               std::size_t rows, std::uint8_t* to) {
  for (std::size_t y = 0; y < rows; ++y) {
    std::memcpy(to + y * row_bytes, from + y * stride, row_bytes);
  }
}

// Sources give pictures in the CPU's own memory, which the GPU of a Jetson cannot read, so they are
// copied once into memory that both see.
class StagedLetterbox final : public GpuLetterbox {
 public:
  StagedLetterbox(const PixelSpec& pixels, const TensorView& input)
      : cuda_(CudaRuntime::get()), pixels_(pixels), input_(input) {}

  void take(const ImageView& picture) override {
    require_image(picture, "letterbox on the GPU");
    picture_ = picture;
  }
  const Placement& placement() const override { return letterbox_->placement(); }
  std::chrono::steady_clock::time_point enqueued() const override { return enqueued_; }

  void enqueue(CUstream_st* stream, void* input) override {
    if (!letterbox_ || !letterbox_->fits(picture_)) make_for_picture();
    TensorView to = input_;
    to.data = input;
    letterbox_->preprocess_on_stream(stream, staged(), to);
    enqueued_ = std::chrono::steady_clock::now();
  }

 private:
  void make_for_picture() {
    letterbox_.reset();
    const std::size_t rows = static_cast<std::size_t>(picture_.height) + chroma_rows(picture_);
    memory_.emplace(cuda_, rows * picture_.least_row_stride(), failures_);
    letterbox_.emplace(picture_.width, picture_.height, pixels_, input_.format, picture_.format);
  }

  // The picture as the GPU sees it, its rows without gaps.
  ImageView staged() const {
    const std::size_t row = picture_.least_row_stride();
    const auto rows = static_cast<std::size_t>(picture_.height);
    auto* memory = static_cast<std::uint8_t*>(memory_->host());
    copy_rows(picture_.data, picture_.row_stride, row, rows, memory);
    ImageView seen = picture_;
    seen.data = static_cast<const std::uint8_t*>(memory_->device());
    seen.row_stride = row;
    if (picture_.format == PixelFormat::kNv12) {
      copy_rows(picture_.chroma, picture_.chroma_stride, row, chroma_rows(picture_),
                memory + rows * row);
      seen.chroma = seen.data + rows * row;
      seen.chroma_stride = row;
    }
    return seen;
  }

  const CudaRuntime& cuda_;
  PixelSpec pixels_;
  TensorView input_;
  ImageView picture_;
  std::chrono::steady_clock::time_point enqueued_;
  ReleaseFailures failures_;
  std::optional<MappedBuffer> memory_;
  std::optional<CudaLetterbox> letterbox_;  // of the size and format that came last
};

}  // namespace

std::unique_ptr<GpuLetterbox> GpuLetterbox::make(const PixelSpec& pixels, const TensorView& input) {
  return std::make_unique<StagedLetterbox>(pixels, input);
}

}  // namespace unina
