// How a TensorRT engine runs.
#pragma once

#include <array>
#include <string>
#include <utility>

namespace unina {

struct TensorRtOptions {
  std::string engine;     // the file that trtexec --saveEngine wrote; "" = none
  int dla_core = -1;      // -1: the GPU, with a CUDA graph; else a DLA core, without one
  int timeout_ms = 1000;  // for one frame
};

// What an engine may run on, as options spell it, and the dla_core that this stands for.
inline constexpr std::array<std::pair<const char*, int>, 3> kEngineDevices = {
    {{"gpu", -1}, {"dla0", 0}, {"dla1", 1}}};

}  // namespace unina
