// The one exception of the library: a line that a person can act on.
#pragma once

#include <stdexcept>
#include <string>

namespace unina {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace unina
