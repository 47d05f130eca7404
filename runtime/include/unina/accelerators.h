// Which accelerators this build has.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "unina/accelerator.h"
#include "unina/bundle.h"

namespace unina {

// Names that make_accelerator takes, "auto" first.
const std::vector<std::string>& accelerator_names();

// "auto" is the best one that this build and this machine have. `threads` counts those that compute
// on the CPU, the caller's among them. Throws Error for a name this build lacks.
std::unique_ptr<Accelerator> make_accelerator(const std::string& name, const Bundle& bundle,
                                              int threads);

}  // namespace unina
