// A CUDA stream of its own: work on it neither waits for nor holds up the legacy default stream.
#pragma once

#include "cuda/cuda_runtime.h"
#include "cuda/release_failures.h"

namespace unina {

class CudaStream {
 public:
  // Throws Error. `failures` outlives the stream.
  CudaStream(const CudaRuntime& cuda, ReleaseFailures& failures);
  ~CudaStream();
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  cudaStream_t get() const { return stream_; }

 private:
  const CudaRuntime& cuda_;
  ReleaseFailures& failures_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace unina
