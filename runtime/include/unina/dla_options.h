// How a network runs on a DLA core.
#pragma once

#include <string>

namespace unina {

struct DlaOptions {
  std::string loadable;   // the file that trtexec --buildDLAStandalone wrote; "" = none
  int core = 0;           // AGX Orin has 0 and 1
  int timeout_ms = 1000;  // for one frame; a frame takes some milliseconds
};

}  // namespace unina
