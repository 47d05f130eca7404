// Which accelerators this build has, and which of them fits machine and bundle.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "unina/accelerator.h"
#include "unina/bundle.h"
#include "unina/dla_options.h"
#include "unina/tensorrt_options.h"

namespace unina {

// Names that make_accelerator takes, "auto" first, then from the best to the last resort.
const std::vector<std::string>& accelerator_names();

struct AcceleratorCandidate {
  std::string name;
  bool usable = false;
  std::string reason;  // why, or why not
};

// What "auto" chooses from, from the best to the last resort. Opens the
// libraries and asks for cores; starts nothing.
std::vector<AcceleratorCandidate> accelerator_candidates(const Bundle& bundle,
                                                         const DlaOptions& dla = {},
                                                         const TensorRtOptions& tensorrt = {});

// What a name stands for here, and why: for "auto" the first usable candidate, with what the better
// ones lack; for any other name itself. Throws Error for a name this build lacks and when no
// candidate is usable.
AcceleratorCandidate choose_accelerator(const std::string& name, const Bundle& bundle,
                                        const DlaOptions& dla = {},
                                        const TensorRtOptions& tensorrt = {});

// `name` as choose_accelerator takes it. `threads` counts those that compute on the CPU, the
// caller's among them. An accelerator that was chosen and then fails to start is an Error, never
// quietly another one.
std::unique_ptr<Accelerator> make_accelerator(const std::string& name, const Bundle& bundle,
                                              int threads, const DlaOptions& dla = {},
                                              const TensorRtOptions& tensorrt = {});

}  // namespace unina
