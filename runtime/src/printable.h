// Text of unknown origin, made fit for a one-line message.
#pragma once

#include <string>

namespace unina {

// 'text', with control characters and non-ASCII bytes escaped, cut after 80 characters.
std::string printable(const std::string& text);

}  // namespace unina
