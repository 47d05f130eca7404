// Waiting for a stream with a timeout, which the CUDA runtime does not have.
#pragma once

#include "cuda/cuda_runtime.h"

namespace unina {

class FrameWait {
 public:
  FrameWait(const CudaRuntime& cuda, int timeout_ms) : cuda_(cuda), timeout_ms_(timeout_ms) {}

  // False when the stream is still busy after the timeout. Throws Error.
  bool operator()(cudaStream_t stream);

 private:
  const CudaRuntime& cuda_;
  int timeout_ms_;
  double usual_ms_ = 0;  // of a frame, a little too low
};

}  // namespace unina
