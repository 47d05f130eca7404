// Text of unknown origin, made fit for a one-line message.
#pragma once

#include <string>

namespace unina {

// 'text', with control characters and non-ASCII bytes escaped, cut after 80 characters.
std::string printable(const std::string& text);

// The text with a space for every control character, so that it stays one line.
std::string one_line(std::string text);

}  // namespace unina
