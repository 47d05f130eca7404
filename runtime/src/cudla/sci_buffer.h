// A buffer of NvSciBuf that CPU and DLA share in standalone mode: the CPU fills it in place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cudla/cudla_external.h"
#include "cudla/nvsci_library.h"
#include "cudla/registration.h"

namespace unina {

class SciBuffer {
 public:
  // Zeroed. Throws Error. Module, device and `failures` outlive the buffer.
  SciBuffer(const NvSciLibrary& sci, NvSciBufModule module, const CudlaLibrary& cudla,
            const CudlaDevice& device, std::size_t bytes, ReleaseFailures& failures);
  ~SciBuffer();
  SciBuffer(const SciBuffer&) = delete;
  SciBuffer& operator=(const SciBuffer&) = delete;

  void* host() const { return host_; }
  // What a task calls the buffer.
  std::uint64_t* registered() const { return registration_.get(); }
  // Writes back and drops what the CPU's caches hold of it: after the CPU wrote and before it
  // reads. Throws Error.
  void flush() const;

 private:
  const NvSciLibrary& sci_;
  std::size_t bytes_;
  SciOwner<NvSciBufObj> object_;
  void* host_;
  Registration registration_;
};

}  // namespace unina
