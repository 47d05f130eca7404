#include "cudla/cudla_device.h"

#include "dla_core.h"
#include "unina/error.h"

namespace unina {

CudlaDevice::CudlaDevice(const CudlaLibrary& cudla, int core, std::uint32_t mode,
                         ReleaseFailures& failures)
    : cudla_(cudla), failures_(failures) {
  std::uint64_t cores = 0;
  cudla_.require("cudlaDeviceGetCount", cudla_.cudlaDeviceGetCount(&cores));
  const std::string lacks = why_no_core(core, cores);
  if (!lacks.empty()) throw Error(lacks);
  const cudlaStatus status =
      cudla_.cudlaCreateDevice(static_cast<std::uint64_t>(core), &device_, mode);
  cudla_.require("cudlaCreateDevice", status, device_);
}

CudlaDevice::~CudlaDevice() {
  const cudlaStatus status = cudla_.cudlaDestroyDevice(device_);
  if (status != cudlaSuccess) failures_.add(cudla_.describe("cudlaDestroyDevice", status));
}

}  // namespace unina
