#include "service/json_text.h"

#include <charconv>
#include <cmath>
#include <cstring>

namespace unina {
namespace {

// Bytes of the UTF-8 character that begins the text, or 0 where none does (RFC 3629: no overlong
// forms, no surrogates, nothing beyond U+10FFFF).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
      (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return length;
}

}  // namespace

void JsonText::raw(std::string_view text) {
  if (!complete_ || static_cast<std::size_t>(end_ - at_) < text.size()) {
    complete_ = false;
    return;
  }
  std::memcpy(at_, text.data(), text.size());
  at_ += text.size();
}

void JsonText::string(std::string_view text) {
  raw("\"");
  while (!text.empty()) {
    const char c = text.front();
    std::size_t length = utf8_length(text);
    if (length == 0) {
      raw("\xEF\xBF\xBD");
      length = 1;
    } else if (c == '"' || c == '\\') {
      const char escaped[2] = {'\\', c};
      raw({escaped, 2});
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char kHex[] = "0123456789abcdef";
      const char escaped[6] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
      raw({escaped, 6});
    } else {
      raw(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  raw("\"");
}

template <typename Value>
void JsonText::digits(Value value) {
  char text[48];
  raw({text, static_cast<std::size_t>(std::to_chars(text, text + sizeof text, value).ptr - text)});
}

void JsonText::number(long long value) { digits(value); }
void JsonText::number(unsigned long long value) { digits(value); }
void JsonText::number(float value) { digits(std::isfinite(value) ? value : 0.0f); }

std::string json_string(std::string_view text) {
  std::string room(text.size() * JsonText::kEscaped + 2, '\0');
  JsonText json(room.data(), room.data() + room.size());
  json.string(text);
  return std::string(json.text());
}

}  // namespace unina
