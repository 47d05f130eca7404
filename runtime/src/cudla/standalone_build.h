// The accelerator cudla-standalone, in builds that have it: NVIDIA's NvSci headers make it.
#pragma once

#include <memory>
#include <string>

#include "unina/accelerator.h"
#include "unina/dla_options.h"
#include "unina/manifest.h"

namespace unina {

extern const bool kHasCudlaStandalone;

// "" when this machine has the libraries and a core of that number, else what is missing.
std::string why_no_cudla_standalone(int core);

// As CudlaStandalone::load.
std::unique_ptr<Accelerator> load_cudla_standalone(const DlaOptions& options,
                                                   const Manifest& manifest);

}  // namespace unina
