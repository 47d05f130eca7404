// Errors that say which file they are about.
#pragma once

#include <string>

#include "unina/error.h"

namespace unina {

// What `work` returns. Errors that it throws get the file's name in front.
template <typename Work>
auto in_file(const std::string& file, Work&& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Error(file + ": " + error.what());
  }
}

}  // namespace unina
