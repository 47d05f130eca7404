// One DLA core opened in hybrid mode, where work is submitted to a CUDA stream, or standalone.
#pragma once

#include <cstdint>

#include "cuda/release_failures.h"
#include "cudla/cudla_library.h"

namespace unina {

class CudlaDevice {
 public:
  // `mode` is a cudlaMode. Throws Error, naming the cores that there are. `failures` outlives the
  // device.
  CudlaDevice(const CudlaLibrary& cudla, int core, std::uint32_t mode, ReleaseFailures& failures);
  ~CudlaDevice();
  CudlaDevice(const CudlaDevice&) = delete;
  CudlaDevice& operator=(const CudlaDevice&) = delete;

  cudlaDevHandle get() const { return device_; }

 private:
  const CudlaLibrary& cudla_;
  ReleaseFailures& failures_;
  cudlaDevHandle device_ = nullptr;
};

}  // namespace unina
