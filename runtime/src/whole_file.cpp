#include "whole_file.h"

#include "regular_file.h"
#include "unina/error.h"

namespace unina {

std::vector<std::uint8_t> read_whole_file(const std::string& path, std::uint64_t most) {
  RegularFile file(path);
  if (file.bytes() > most) {
    throw Error(path + ": has " + std::to_string(file.bytes()) + " bytes; expected at most " +
                std::to_string(most));
  }
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(file.bytes()));
  std::size_t have = 0;
  while (have < bytes.size()) {
    const std::size_t got = file.read(bytes.data() + have, bytes.size() - have);
    if (got == 0) throw Error(path + ": became shorter while it was read");
    have += got;
  }
  return bytes;
}

}  // namespace unina
