// The seam's other side: NVIDIA's libnvinfer.
#pragma once

#include <memory>
#include <string>

#include "tensorrt/tensorrt_seam.h"

namespace unina {

// Whether this build was made with TensorRT's headers.
extern const bool kHasTensorRt;

// Opens libnvinfer. Throws Error saying what is missing.
std::unique_ptr<TrtRuntime> open_tensorrt();

// "" when libnvinfer can be opened, else why not.
std::string why_no_tensorrt();

}  // namespace unina
