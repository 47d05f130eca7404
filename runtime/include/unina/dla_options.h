// How a network runs on the DLA's cores.
#pragma once

#include <string>
#include <vector>

namespace unina {

// On one core.
struct DlaOptions {
  std::string loadable;   // the file that trtexec --buildDLAStandalone wrote; "" = none
  int core = 0;           // AGX Orin has 0 and 1
  int timeout_ms = 1000;  // for one frame; a frame takes some milliseconds
  // For cudla-standalone on releases whose NvSciSync has no other fences (JetPack 5).
  bool deterministic_semaphores = false;
};

// One entry a core: `cores` is "0", "1" or "both". `loadables` are one for each core, in their
// order, or one for all, or none. Throws Error.
std::vector<DlaOptions> dla_options(const std::string& cores,
                                    const std::vector<std::string>& loadables, int timeout_ms,
                                    bool deterministic_semaphores = false);

}  // namespace unina
