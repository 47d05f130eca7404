#include "jpeg_complete.h"

#include <cstddef>
#include <fstream>
#include <iterator>

namespace unina {

bool jpeg_is_complete(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.compare(0, 2, "\xFF\xD8") != 0) return true;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  // Over the segments before the first scan: one of them may hold a thumbnail with an end of its
  // own.
  std::size_t at = 2;
  while (at + 4 <= bytes.size() && byte(at) == 0xFF && byte(at + 1) != 0xDA) {
    at += byte(at + 1) == 0xFF ? 1 : 2 + (std::size_t{byte(at + 2)} << 8 | byte(at + 3));
  }
  return bytes.find("\xFF\xD9", at) != std::string::npos;
}

}  // namespace unina
