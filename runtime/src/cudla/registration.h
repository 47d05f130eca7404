// What a core may reach by a name of its own: memory or a sync object, until it is unregistered.
#pragma once

#include <cstdint>

#include "cudla/cudla_device.h"

namespace unina {

class Registration {
 public:
  // `registered` is what cuDLA gave. Device and `failures` outlive the registration.
  Registration(const CudlaLibrary& cudla, const CudlaDevice& device, std::uint64_t* registered,
               ReleaseFailures& failures)
      : cudla_(cudla), device_(device), registered_(registered), failures_(failures) {}
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  // What a task calls it.
  std::uint64_t* get() const { return registered_; }
  // To be called once. False when the core can still reach it, so that nobody may free it.
  bool end() noexcept;

 private:
  const CudlaLibrary& cudla_;
  const CudlaDevice& device_;
  std::uint64_t* registered_;
  ReleaseFailures& failures_;
};

}  // namespace unina
