// What the stand-ins of NvSci's two libraries do alike: handles that are given out and taken back,
// and values of attributes.
#pragma once

#include <cstring>
#include <set>
#include <string>

#include "state.h"

namespace standin {

// The caller holds a mutex.
template <typename Handle>
class Handles {
 public:
  explicit Handles(const char* kind) : kind_(kind) {}

  bool has(Handle handle) const { return known_.count(handle) != 0; }
  Handle add(Handle made) {
    known_.insert(made);
    live(kind_, +1);
    return made;
  }
  // False, and a violation, when `function` is asked to take back what was not given out.
  bool take(const char* function, Handle handle) {
    if (known_.erase(handle) == 0) {
      violation(std::string(function) + " of what is no " + kind_);
      return false;
    }
    live(kind_, -1);
    return true;
  }

 private:
  const char* kind_;
  std::set<Handle> known_;
};

// A call that gives nothing back, not even an error.
inline void run_mute(const char* function, const std::function<void()>& work) {
  run<int>(function, 1, [&] {
    work();
    return 0;
  });
}

// False when the attribute's value is not of the type that the key has.
template <typename Pair, typename Value>
bool read(const Pair& pair, Value& value) {
  if (pair.len != sizeof value || pair.value == nullptr) return false;
  std::memcpy(&value, pair.value, sizeof value);
  return true;
}

}  // namespace standin
