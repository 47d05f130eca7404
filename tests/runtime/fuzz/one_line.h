// What every fuzz target asks of bytes from outside: they are taken, or refused with unina::Error
// in one line; nothing else may come out.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "unina/error.h"

namespace unina::fuzz {

// `call` must return, or throw an Error of one printable line that names `origin`.
template <typename Call>
void taken_or_refused(const std::string& origin, Call call) {
  try {
    call();
  } catch (const Error& error) {
    const std::string message = error.what();
    bool one_line = !message.empty() && message.find(origin) != std::string::npos;
    for (const char c : message) one_line = one_line && static_cast<unsigned char>(c) >= 0x20;
    if (one_line) return;
    std::fprintf(stderr, "not one line that names %s: %s\n", origin.c_str(), message.c_str());
    std::abort();
  }
}

}  // namespace unina::fuzz
