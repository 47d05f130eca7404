// The accelerator cudla-standalone, in builds that have it: NVIDIA's NvSci headers make it.
#pragma once

#include <memory>

#include "unina/accelerator.h"
#include "unina/dla_options.h"
#include "unina/manifest.h"

namespace unina {

extern const bool kHasCudlaStandalone;

// As CudlaStandalone::load. Throws Error also where the build or the machine lacks it.
std::unique_ptr<Accelerator> load_cudla_standalone(const DlaOptions& options,
                                                   const Manifest& manifest);

}  // namespace unina
