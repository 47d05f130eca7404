// What went wrong while a vendor's objects were released: destructors cannot throw, and silence
// would hide a leak.
#pragma once

#include <string>

namespace unina {

class ReleaseFailures {
 public:
  ReleaseFailures() = default;
  ReleaseFailures(const ReleaseFailures&) = delete;
  ReleaseFailures& operator=(const ReleaseFailures&) = delete;
  // Writes what nobody took to stderr, one line.
  ~ReleaseFailures();

  void add(const std::string& failure) noexcept;
  // All failures since the last take(), "" for none.
  std::string take();

 private:
  std::string text_;
};

}  // namespace unina
