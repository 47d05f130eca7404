// Counts what operator new hands out in a test program that this is linked into.
#pragma once

#include <cstdint>

namespace unina_test {

// Of every thread, while it lives. What OpenCV takes within a call of its own is counted apart.
class AllocationCounter {
 public:
  AllocationCounter();
  ~AllocationCounter();
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;

  std::uint64_t ours() const;
  std::uint64_t opencv() const;
};

}  // namespace unina_test
