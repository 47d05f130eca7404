// Mapped host memory that a DLA core may read and write: the CPU fills it in place, nothing is
// copied.
#pragma once

#include <cstdint>

#include "cuda/mapped_buffer.h"
#include "cudla/registration.h"

namespace unina {

class RegisteredBuffer {
 public:
  // Throws Error. Device and `failures` outlive the buffer.
  RegisteredBuffer(const CudaRuntime& cuda, const CudlaLibrary& cudla, const CudlaDevice& device,
                   std::size_t bytes, ReleaseFailures& failures);
  ~RegisteredBuffer();
  RegisteredBuffer(const RegisteredBuffer&) = delete;
  RegisteredBuffer& operator=(const RegisteredBuffer&) = delete;

  void* host() const { return memory_.host(); }
  // Where a GPU sees it.
  void* device() const { return memory_.device(); }
  // What a task calls the buffer.
  std::uint64_t* registered() const { return registration_.get(); }

 private:
  MappedBuffer memory_;
  Registration registration_;
};

}  // namespace unina
