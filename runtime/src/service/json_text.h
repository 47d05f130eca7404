// JSON into memory that is there already: no allocation, cut where it does not fit.
#pragma once

#include <cstddef>
#include <string_view>

namespace unina {

// Appends to [at, end) and moves `at`; `complete` becomes false when something did not fit, and
// nothing more is written then.
class JsonText {
 public:
  JsonText(char* begin, char* end) : begin_(begin), at_(begin), end_(end) {}

  void raw(std::string_view text);
  // With quotes; control characters are escaped, bytes that are not UTF-8 become U+FFFD.
  void string(std::string_view text);
  void number(long long value);
  void number(unsigned long long value);
  // The shortest decimal that reads back as the same float; 0 where JSON has no number for it.
  void number(float value);

  bool complete() const { return complete_; }
  std::string_view text() const { return {begin_, static_cast<std::size_t>(at_ - begin_)}; }

 private:
  template <typename Value>
  void digits(Value value);

  char* begin_;
  char* at_;
  char* end_;
  bool complete_ = true;
};

}  // namespace unina
