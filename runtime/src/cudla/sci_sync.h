// A sync object of NvSciSync between the CPU and a DLA core in standalone mode, with the fence of
// its next signal: one of the two signals it, the other waits. No GPU takes part.
#pragma once

#include <cstdint>

#include "cudla/cudla_external.h"
#include "cudla/nvsci_library.h"
#include "cudla/registration.h"

namespace unina {

enum class DlaRole { kWaits, kSignals };

class SciSync {
 public:
  // With `deterministic` (old releases need it) fences are counted by us, else by NvSciSync. Throws
  // Error. Module, device and `failures` outlive the object.
  SciSync(const NvSciLibrary& sci, NvSciSyncModule module, const CudlaLibrary& cudla,
          const CudlaDevice& device, DlaRole role, bool deterministic, ReleaseFailures& failures);
  ~SciSync();
  SciSync(const SciSync&) = delete;
  SciSync& operator=(const SciSync&) = delete;

  // What a task calls it.
  std::uint64_t* registered() const { return registration_.get(); }
  // And its fence: of the signal that the core waits for, or for cuDLA to write the one that the
  // core will give; null where we count the latter.
  NvSciSyncFence* fence() {
    return deterministic_ && role_ == DlaRole::kSignals ? nullptr : &fence_;
  }

  // Makes the fence that of the next signal, or empties it for cuDLA to write it. Once for each
  // signal: until that came a further call does nothing, so that a frame which failed half-way
  // leaves no gap in the count. Throws Error.
  void next_fence();
  // Whether the signal of the fence is still to come.
  bool armed() const { return armed_; }
  // The CPU's signal, for kWaits. Throws Error.
  void signal();
  // The CPU's wait for the fence, for kSignals. False when it did not come in time. Throws Error.
  bool wait(NvSciSyncCpuWaitContext context, int timeout_ms);

 private:
  void update_fence(std::uint64_t value);

  const NvSciLibrary& sci_;
  DlaRole role_;
  bool deterministic_;
  SciOwner<NvSciSyncObj> object_;
  Registration registration_;
  NvSciSyncFence fence_{};
  bool armed_ = false, counting_ = false;
  std::uint64_t id_ = 0, value_ = 0;  // of a deterministic fence
};

}  // namespace unina
