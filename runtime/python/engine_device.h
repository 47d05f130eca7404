// Where a TensorRT engine runs, as Python spells it.
#pragma once

#include <string>

#include "unina/error.h"
#include "unina/tensorrt_options.h"

namespace unina::python {

// Throws Error.
inline int engine_device(const std::string& name) {
  for (const auto& [known, dla_core] : kEngineDevices) {
    if (name == known) return dla_core;
  }
  throw Error("engine_on '" + name + "': expected 'gpu', 'dla0' or 'dla1'");
}

}  // namespace unina::python
