// What hardware may still write to: freeing it would corrupt whoever gets the memory next.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace unina {

// Keeps `object` until the process ends.
inline void keep_for_ever(std::shared_ptr<void> object) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::shared_ptr<void>>;
  const std::lock_guard<std::mutex> lock(mutex);
  kept->push_back(std::move(object));
}

}  // namespace unina
