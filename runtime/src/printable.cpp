#include "printable.h"

namespace unina {

std::string printable(const std::string& text) {
  constexpr std::size_t kMost = 80;
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "'";
  for (const char character : text.substr(0, kMost)) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte >= 0x20 && byte < 0x7f) {
      out += character;
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out + (text.size() > kMost ? "...'" : "'");
}

std::string one_line(std::string text) {
  for (char& character : text) {
    if (static_cast<unsigned char>(character) < 0x20) character = ' ';
  }
  return text;
}

}  // namespace unina
