// Names in a row, for messages.
#pragma once

#include <string>
#include <vector>

namespace unina {

// "a, b, c"; "" for none.
inline std::string joined(const std::vector<std::string>& texts,
                          const std::string& separator = ", ") {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : separator) + text;
  return all;
}

}  // namespace unina
