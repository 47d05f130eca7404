// Pinned host memory that the device sees under an address of its own: nothing is copied between.
#pragma once

#include <cstddef>

#include "cuda/cuda_runtime.h"
#include "cuda/release_failures.h"

namespace unina {

class MappedBuffer {
 public:
  // Zeroed. Throws Error. `failures` outlives the buffer.
  MappedBuffer(const CudaRuntime& cuda, std::size_t bytes, ReleaseFailures& failures);
  ~MappedBuffer();
  MappedBuffer(const MappedBuffer&) = delete;
  MappedBuffer& operator=(const MappedBuffer&) = delete;

  void* host() const { return host_; }
  void* device() const { return device_; }
  std::size_t bytes() const { return bytes_; }
  // Keeps the memory for the rest of the process: hardware may still write into it.
  void abandon() { host_ = nullptr; }

 private:
  void release() noexcept;

  const CudaRuntime& cuda_;
  ReleaseFailures& failures_;
  std::size_t bytes_;
  void* host_ = nullptr;
  void* device_ = nullptr;
};

}  // namespace unina
