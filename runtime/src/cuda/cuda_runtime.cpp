#include "cuda/cuda_runtime.h"

#include "unina/error.h"

namespace unina {
namespace {

CudaRuntime open_runtime() {
  CudaRuntime runtime;
#define UNINA_CALL(name) CudaRuntime::library().find(#name, runtime.name);
  UNINA_CUDART_CALLS(UNINA_CALL)
#undef UNINA_CALL
  return runtime;
}

}  // namespace

const DynamicLibrary& CudaRuntime::library() {
  // JetPack 6 has CUDA 12, JetPack 7 has 13; what is called here is the same in both.
  static const DynamicLibrary library({"libcudart.so.12", "libcudart.so.13"});
  return library;
}

const CudaRuntime& CudaRuntime::get() {
  static const CudaRuntime runtime = open_runtime();
  return runtime;
}

std::string CudaRuntime::describe(const char* call, cudaError_t error) const {
  const char* name = cudaGetErrorName(error);
  const char* text = cudaGetErrorString(error);
  return std::string(call) + ": " + (name != nullptr ? name : "CUDA error") + " (" +
         std::to_string(static_cast<int>(error)) + ")" +
         (text != nullptr ? std::string(", ") + text : "");
}

void CudaRuntime::require(const char* call, cudaError_t error) const {
  if (error != cudaSuccess) throw Error(describe(call, error));
}

void CudaRuntime::require(const char* call, cudaError_t error, const void* given) const {
  require(call, error);
  if (given == nullptr) throw Error(std::string(call) + ": cudaSuccess, but it gave nothing");
}

}  // namespace unina
