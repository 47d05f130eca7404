#include "cuda/release_failures.h"

#include <cstdio>
#include <utility>

namespace unina {

ReleaseFailures::~ReleaseFailures() {
  if (!text_.empty()) std::fprintf(stderr, "unina: while releasing: %s\n", text_.c_str());
}

void ReleaseFailures::add(const std::string& failure) noexcept {
  try {
    text_ += (text_.empty() ? "" : "; ") + failure;
  } catch (...) {  // no memory even for a line: the release goes on
  }
}

std::string ReleaseFailures::take() { return std::exchange(text_, std::string()); }

}  // namespace unina
