#include "cudla/registered_buffer.h"

namespace unina {

RegisteredBuffer::RegisteredBuffer(const CudaRuntime& cuda, const CudlaLibrary& cudla,
                                   const CudlaDevice& device, std::size_t bytes,
                                   ReleaseFailures& failures)
    : cudla_(cudla), device_(device), failures_(failures), memory_(cuda, bytes, failures) {
  const cudlaStatus status =
      cudla_.cudlaMemRegister(device_.get(), static_cast<const std::uint64_t*>(memory_.device()),
                              memory_.bytes(), &registered_, 0);
  cudla_.require("cudlaMemRegister", status, registered_);
}

RegisteredBuffer::~RegisteredBuffer() {
  cudlaStatus status = cudla_.cudlaMemUnregister(device_.get(), registered_);
  if (status == cudlaSuccess) return;
  failures_.add(cudla_.describe("cudlaMemUnregister", status));
  // It may have done its work and told of a task's older error: asked again, it says that the
  // address is unknown. Any other answer means that the DLA can still reach the memory.
  status = cudla_.cudlaMemUnregister(device_.get(), registered_);
  if (status != cudlaSuccess && status != cudlaErrorInvalidAddress) memory_.abandon();
}

}  // namespace unina
