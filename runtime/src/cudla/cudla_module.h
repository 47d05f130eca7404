// A loadable on a DLA core. cuDLA loads one a device handle.
#pragma once

#include <cstdint>
#include <vector>

#include "cudla/cudla_device.h"

namespace unina {

class CudlaModule {
 public:
  // Throws Error. Device and `failures` outlive the module, the bytes need not.
  CudlaModule(const CudlaLibrary& cudla, const CudlaDevice& device,
              const std::vector<std::uint8_t>& loadable, ReleaseFailures& failures);
  ~CudlaModule();
  CudlaModule(const CudlaModule&) = delete;
  CudlaModule& operator=(const CudlaModule&) = delete;

  cudlaModule get() const { return module_; }
  // In the order in which a task names its buffers. Throw Error.
  std::vector<cudlaModuleTensorDescriptor> inputs() const;
  std::vector<cudlaModuleTensorDescriptor> outputs() const;

 private:
  std::uint32_t count(cudlaModuleAttributeType type) const;

  const CudlaLibrary& cudla_;
  ReleaseFailures& failures_;
  cudlaModule module_ = nullptr;
};

}  // namespace unina
