// The number of a DLA core beside the cores that a machine has.
#pragma once

#include <cstdint>
#include <string>

namespace unina {

// "" when there is a core of that number, else what is wrong, for a message.
inline std::string why_no_core(int core, std::uint64_t cores) {
  if (core >= 0 && static_cast<std::uint64_t>(core) < cores) return "";
  return "DLA core " + std::to_string(core) + ": this machine has " + std::to_string(cores) +
         " (numbered from 0)";
}

}  // namespace unina
