// Memory that the decode kernels work on: a GPU's with UNINA_TEST_CUDA, else the CPU's.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#ifdef UNINA_TEST_CUDA
#include <cuda_runtime_api.h>
#endif

namespace unina {

class GpuMemory {
 public:
  // `bytes` of them, each `fill`.
  GpuMemory(std::size_t bytes, int fill) : bytes_(bytes) {
#ifdef UNINA_TEST_CUDA
    require(cudaMalloc(&data_, bytes));
    const std::vector<unsigned char> filled(bytes, static_cast<unsigned char>(fill));
    require(cudaMemcpy(data_, filled.data(), bytes, cudaMemcpyHostToDevice));
#else
    data_ = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    std::memset(data_, fill, bytes);
#endif
  }
  template <typename T>
  explicit GpuMemory(const std::vector<T>& values) : GpuMemory(values.size() * sizeof(T), 0) {
#ifdef UNINA_TEST_CUDA
    require(cudaMemcpy(data_, values.data(), bytes_, cudaMemcpyHostToDevice));
#else
    std::memcpy(data_, values.data(), bytes_);
#endif
  }
  ~GpuMemory() {
#ifdef UNINA_TEST_CUDA
    cudaFree(data_);
#else
    std::free(data_);
#endif
  }
  GpuMemory(const GpuMemory&) = delete;
  GpuMemory& operator=(const GpuMemory&) = delete;

  template <typename T>
  T* get() const {
    return static_cast<T*>(data_);
  }
  template <typename T>
  std::vector<T> read() const {
    std::vector<T> values(bytes_ / sizeof(T));
#ifdef UNINA_TEST_CUDA
    require(cudaMemcpy(values.data(), data_, bytes_, cudaMemcpyDeviceToHost));
#else
    std::memcpy(values.data(), data_, bytes_);
#endif
    return values;
  }

 private:
#ifdef UNINA_TEST_CUDA
  static void require(cudaError_t result) {
    if (result != cudaSuccess) throw std::runtime_error(cudaGetErrorString(result));
  }
#endif
  std::size_t bytes_;
  void* data_ = nullptr;
};

}  // namespace unina
