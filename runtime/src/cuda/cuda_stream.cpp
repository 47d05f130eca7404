#include "cuda/cuda_stream.h"

namespace unina {

CudaStream::CudaStream(const CudaRuntime& cuda, ReleaseFailures& failures)
    : cuda_(cuda), failures_(failures) {
  const cudaError_t error = cuda_.cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
  cuda_.require("cudaStreamCreateWithFlags", error, stream_);
}

CudaStream::~CudaStream() {
  const cudaError_t error = cuda_.cudaStreamDestroy(stream_);
  if (error != cudaSuccess) failures_.add(cuda_.describe("cudaStreamDestroy", error));
}

}  // namespace unina
