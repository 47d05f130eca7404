// Nothing may be thrown through TensorRT.
#pragma once

#include <cstdio>
#include <exception>

namespace unina::plugin {

// What `function` returns, or `failed` after a line on stderr.
template <typename Result, typename Function>
Result guarded(Result failed, const Function& function) noexcept {
  try {
    return function();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "unina: %s\n", error.what());
  } catch (...) {
    std::fprintf(stderr, "unina: an unknown error\n");
  }
  return failed;
}

}  // namespace unina::plugin
