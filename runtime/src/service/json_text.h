// JSON into memory that is there already: no allocation, cut where it does not fit.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace unina {

// Appends to [begin, end). Once something did not fit nothing more is written.
class JsonText {
 public:
  // Bytes that one byte of a string() may become; its quotes are two more.
  static constexpr std::size_t kEscaped = 6;

  JsonText(char* begin, char* end) : begin_(begin), at_(begin), end_(end) {}

  void raw(std::string_view text);
  // With quotes; control characters are escaped, bytes that are not UTF-8 become U+FFFD.
  void string(std::string_view text);
  void number(long long value);
  void number(unsigned long long value);
  // The shortest decimal that reads back as the same float; 0 where JSON has no number for it.
  void number(float value);

  std::string_view text() const { return {begin_, static_cast<std::size_t>(at_ - begin_)}; }

 private:
  template <typename Value>
  void digits(Value value);

  char* begin_;
  char* at_;
  char* end_;
  bool complete_ = true;
};

// As JsonText::string(), with memory of its own.
std::string json_string(std::string_view text);

}  // namespace unina
