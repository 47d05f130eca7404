// The calls of the CUDA runtime that we make, found in libcudart when first needed.
#pragma once

#include <string>

#include "cuda/cudart_abi.h"
#include "cuda/dynamic_library.h"

// Every call, once: the table below and the fault matrix of the tests are made of this list.
#define UNINA_CUDART_CALLS(X)  \
  X(cudaSetDevice)             \
  X(cudaStreamCreateWithFlags) \
  X(cudaStreamQuery)           \
  X(cudaStreamSynchronize)     \
  X(cudaStreamDestroy)         \
  X(cudaHostAlloc)             \
  X(cudaHostGetDevicePointer)  \
  X(cudaFreeHost)              \
  X(cudaGetErrorName)          \
  X(cudaGetErrorString)

namespace unina {

struct CudaRuntime {
#define UNINA_CALL(name) decltype(&::name) name = nullptr;
  UNINA_CUDART_CALLS(UNINA_CALL)
#undef UNINA_CALL

  // The process's one table. Throws Error saying which library or symbol is missing.
  static const CudaRuntime& get();
  // Where it was found, for further calls. Throws Error.
  static const DynamicLibrary& library();

  // "cudaHostAlloc: cudaErrorMemoryAllocation (2), out of memory"
  std::string describe(const char* call, cudaError_t error) const;
  // Throws Error(describe(...)) unless `error` is cudaSuccess.
  void require(const char* call, cudaError_t error) const;
  // For calls that give something: throws also when they report success and give nothing.
  void require(const char* call, cudaError_t error, const void* given) const;
};

}  // namespace unina
