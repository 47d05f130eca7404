// Which code computes pixels whose value is laid down elsewhere.
#pragma once

namespace unina {

enum class PixelPath {
  kAuto,     // OpenCV where this process found it equal to the definition, else the definition
  kInteger,  // always the definition
  kOpenCv,   // always OpenCV: how far it is from the definition is what tests ask
};

}  // namespace unina
