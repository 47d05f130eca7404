#include "unina/letterbox_cuda.h"

#include <cuda_runtime_api.h>

#include <string>

#include "cuda_preprocess/letterbox_kernel.h"
#include "preprocess/letterbox_definition.h"
#include "unina/error.h"

namespace unina {
namespace {

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  throw Error(std::string("letterbox on the GPU: ") + what + ": " + cudaGetErrorString(result));
}

// Device memory that holds a copy of `count` values.
template <typename T>
class DeviceCopy {
 public:
  DeviceCopy(const T* values, std::size_t count) {
    check(cudaMalloc(&data_, count * sizeof(T)), "cudaMalloc");
    const cudaError_t copied = cudaMemcpy(data_, values, count * sizeof(T), cudaMemcpyHostToDevice);
    if (copied != cudaSuccess) cudaFree(data_);  // the destructor will not run
    check(copied, "cudaMemcpy");
  }
  ~DeviceCopy() { cudaFree(data_); }
  DeviceCopy(const DeviceCopy&) = delete;
  DeviceCopy& operator=(const DeviceCopy&) = delete;

  const T* get() const { return static_cast<const T*>(data_); }

 private:
  void* data_ = nullptr;
};

// A thread writes a pixel's channels with wide stores, which must not straddle their size.
void require_alignment(std::size_t value, const TensorFormat& format, const char* what) {
  const auto pixel = static_cast<std::size_t>(format.channels_per_pixel());
  const std::size_t alignment = pixel < 16 ? pixel : 16;
  if (value % alignment == 0) return;
  throw Error("letterbox on the GPU: the tensor's " + std::string(what) + " (" +
              std::to_string(value) + ") is not a multiple of " + std::to_string(alignment) +
              " bytes, one store of a pixel");
}

bool same_memory(const TensorFormat& a, const TensorFormat& b) {
  return a.type == b.type && a.layout == b.layout && a.channels == b.channels &&
         a.height == b.height && a.width == b.width && a.row_stride == b.row_stride &&
         a.channel_stride == b.channel_stride && a.scale == b.scale;
}

}  // namespace

struct CudaLetterbox::Tables {
  Tables(int source_width, int source_height, const PixelSpec& pixels, const TensorFormat& to,
         PixelFormat from)
      : definition(source_width, source_height, pixels, to),
        format(to),
        source_format(from),
        columns(definition.columns().data(), definition.columns().size()),
        rows(definition.rows().data(), definition.rows().size()),
        stored(definition.stored().data(), definition.stored().size()),
        plan(definition.plan()) {
    plan.columns = columns.get();
    plan.rows = rows.get();
    plan.stored = stored.get();
    // A copy from the CPU's memory may still be under way, and other streams do not wait for it.
    check(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
  }

  LetterboxDefinition definition;
  TensorFormat format;
  PixelFormat source_format;
  DeviceCopy<BilinearTap> columns, rows;
  DeviceCopy<std::int8_t> stored;
  LetterboxPlan plan;  // points into device memory
};

CudaLetterbox::CudaLetterbox(int source_width, int source_height, const PixelSpec& pixels,
                             const TensorFormat& destination, PixelFormat source_format) {
  require_sides(source_width, source_height, source_format, "letterbox on the GPU");
  require_picture_tensor(destination);
  require_alignment(destination.row_stride, destination, "row stride");
  tables_ =
      std::make_unique<Tables>(source_width, source_height, pixels, destination, source_format);
}

CudaLetterbox::~CudaLetterbox() = default;
CudaLetterbox::CudaLetterbox(CudaLetterbox&&) noexcept = default;
CudaLetterbox& CudaLetterbox::operator=(CudaLetterbox&&) noexcept = default;

const Placement& CudaLetterbox::placement() const { return tables_->definition.placement(); }

bool CudaLetterbox::fits(const ImageView& source) const {
  return source.width == placement().source_width && source.height == placement().source_height &&
         source.format == tables_->source_format;
}

void CudaLetterbox::preprocess_on_stream(CUstream_st* stream, const ImageView& source,
                                         const TensorView& destination) const {
  require_image(source, "letterbox on the GPU");
  if (!fits(source)) {
    throw Error(
        "letterbox on the GPU: made for " +
        described(placement().source_width, placement().source_height, tables_->source_format) +
        " pictures, got " + described(source));
  }
  if (!same_memory(destination.format, tables_->format)) {
    throw Error("letterbox on the GPU: tensor " + destination.name +
                " has another format than the one it was made for");
  }
  require_alignment(reinterpret_cast<std::uintptr_t>(destination.data), tables_->format, "address");
  check(launch_letterbox(tables_->source_format, tables_->plan, source_pixels(source),
                         static_cast<std::int8_t*>(destination.data), stream),
        "launch");
}

}  // namespace unina
