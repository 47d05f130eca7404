// The flags that name a model and what runs it: the same in every program.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "unina/detector.h"
#include "unina/dla_options.h"

namespace unina {

struct DetectorFlags {
  std::string bundle;
  DetectorOptions options;
  std::string dla = "0";
  std::vector<std::string> dla_loadables;
  int dla_timeout_ms = DlaOptions().timeout_ms;
  bool deterministic_semaphores = false;

  // One entry a DLA core. Throws Error.
  std::vector<DlaOptions> cores() const;
};

// `flags` must live until the command line is parsed.
void add_detector_flags(CLI::App& app, DetectorFlags& flags);

}  // namespace unina
