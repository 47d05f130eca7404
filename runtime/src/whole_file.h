// A file's bytes, all of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace unina {

// Throws Error naming the file when it is not a regular file, has more than `most` bytes, or cannot
// be read to its end.
std::vector<std::uint8_t> read_whole_file(const std::string& path, std::uint64_t most);

}  // namespace unina
