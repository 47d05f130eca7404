#include "cudla/registered_buffer.h"

namespace unina {
namespace {

std::uint64_t* register_memory(const CudlaLibrary& cudla, const CudlaDevice& device,
                               const MappedBuffer& memory) {
  std::uint64_t* registered = nullptr;
  const cudlaStatus status =
      cudla.cudlaMemRegister(device.get(), static_cast<const std::uint64_t*>(memory.device()),
                             memory.bytes(), &registered, 0);
  cudla.require("cudlaMemRegister", status, registered);
  return registered;
}

}  // namespace

RegisteredBuffer::RegisteredBuffer(const CudaRuntime& cuda, const CudlaLibrary& cudla,
                                   const CudlaDevice& device, std::size_t bytes,
                                   ReleaseFailures& failures)
    : memory_(cuda, bytes, failures),
      registration_(cudla, device, register_memory(cudla, device, memory_), failures) {}

RegisteredBuffer::~RegisteredBuffer() {
  if (!registration_.end()) memory_.abandon();
}

}  // namespace unina
