#include "cuda/mapped_buffer.h"

#include <cstring>

namespace unina {

MappedBuffer::MappedBuffer(const CudaRuntime& cuda, std::size_t bytes, ReleaseFailures& failures)
    : cuda_(cuda), failures_(failures), bytes_(bytes) {
  const cudaError_t allocated = cuda_.cudaHostAlloc(&host_, bytes_, cudaHostAllocMapped);
  cuda_.require("cudaHostAlloc", allocated, host_);
  try {
    const cudaError_t mapped = cuda_.cudaHostGetDevicePointer(&device_, host_, 0);
    cuda_.require("cudaHostGetDevicePointer", mapped, device_);
  } catch (...) {
    release();
    throw;
  }
  std::memset(host_, 0, bytes_);
}

MappedBuffer::~MappedBuffer() { release(); }

void MappedBuffer::release() noexcept {
  if (host_ == nullptr) return;
  const cudaError_t error = cuda_.cudaFreeHost(host_);
  if (error != cudaSuccess) failures_.add(cuda_.describe("cudaFreeHost", error));
  host_ = nullptr;
}

}  // namespace unina
