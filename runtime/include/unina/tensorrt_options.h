// How a TensorRT engine runs.
#pragma once

#include <string>

namespace unina {

struct TensorRtOptions {
  std::string engine;     // the file that trtexec --saveEngine wrote; "" = none
  int dla_core = -1;      // -1: the GPU, with a CUDA graph; else a DLA core, without one
  int timeout_ms = 1000;  // for one frame
};

}  // namespace unina
