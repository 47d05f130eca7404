// What the host stubs that nvcc compiles call, for stand-ins of the CUDA runtime that play a launch
// on the CPU. Included once in a program, by the stand-in, which defines cudaLaunchKernel.
#pragma once

#include <cuda_runtime_api.h>

#include <cstring>
#include <map>
#include <string>

struct Launch {
  dim3 grid, block;
  std::size_t shared;
  void* stream;
};

// Kernels by the address that the compiler's host stub launches; filled before main().
inline std::map<const void*, std::string>& kernels() {
  static std::map<const void*, std::string> names;
  return names;
}

inline Launch& configured() {
  static Launch launch;
  return launch;
}

extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 0; }

void __cudaRegisterFunction(void**, const char* stub, char*, const char* name, int, void*, void*,
                            void*, void*, int*) {
  kernels()[stub] = name;
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, void* stream) {
  configured() = {grid, block, shared, stream};
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
  const Launch& launch = configured();
  *grid = launch.grid;
  *block = launch.block;
  *shared = launch.shared;
  std::memcpy(stream, &launch.stream, sizeof(void*));
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
  std::memcpy(kernel, &stub, sizeof stub);
  return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               std::size_t shared, cudaStream_t stream) {
  const void* stub = nullptr;
  std::memcpy(&stub, &kernel, sizeof stub);
  return cudaLaunchKernel(stub, grid, block, arguments, shared, stream);
}

}  // extern "C"
