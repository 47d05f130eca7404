// One network for each core of the DLA, or a single one where something else computes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "unina/dla_options.h"
#include "unina/error.h"

namespace unina {

inline bool runs_on_one_core(const std::string& accelerator) {
  return accelerator == "cudla-hybrid" || accelerator == "cudla-standalone";
}

// `Runner` is Detector or Network. Each entry of `dla` takes the place of options.dla; an
// accelerator that is not the DLA is made once, whatever `dla` says: it has one set of threads.
// Throws Error as Runner does.
template <typename Runner, typename Options>
std::vector<std::unique_ptr<Runner>> one_a_core(const std::string& bundle, const Options& options,
                                                const std::vector<DlaOptions>& dla) {
  if (dla.empty()) throw Error("no DLA core was named; expected at least one");
  std::vector<std::unique_ptr<Runner>> runners;
  for (const DlaOptions& one : dla) {
    Options own = options;
    own.dla = one;
    runners.push_back(std::make_unique<Runner>(bundle, own));
    if (!runs_on_one_core(runners.front()->accelerator_name())) break;
  }
  return runners;
}

}  // namespace unina
