// The form in which fuzz inputs hold a host.loadable. The first byte says what follows: 'f' the
// file as it is; 'h' the JSON header up to a zero byte and then the data, which are put into a file
// with the right length, so that mutations reach behind the container.
#pragma once

#include <algorithm>
#include <string>

namespace unina::fuzz {

inline std::string loadable_file(const std::string& input) {
  if (input.empty() || input[0] != 'h') return input.empty() ? input : input.substr(1);
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string header = input.substr(1, end - 1);
  std::string file = "UNINAHL1";
  for (int byte = 0; byte < 4; ++byte) file += static_cast<char>(header.size() >> (8 * byte));
  file += header;
  file.resize((file.size() + 63) / 64 * 64);
  if (end < input.size()) file += input.substr(end + 1);
  return file;
}

}  // namespace unina::fuzz
