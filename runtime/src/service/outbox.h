// A few messages between the thread that makes them and one that sends them: the oldest is dropped
// where there is no room.
#pragma once

#include <array>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace unina {

class Outbox {
 public:
  static constexpr std::size_t kMost = 16;

  // False when the oldest had to go for it. Takes no memory once the longest message has come.
  bool put(std::string_view message) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool room = count_ < kMost;
    if (!room) first_ = (first_ + 1) % kMost;
    messages_[(first_ + count_ - (room ? 0 : 1)) % kMost].assign(message);
    if (room) ++count_;
    return room;
  }
  // The oldest, into `message`; false when there is none.
  bool take(std::string& message) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (count_ == 0) return false;
    std::swap(message, messages_[first_]);
    first_ = (first_ + 1) % kMost;
    --count_;
    return true;
  }
  // Drops all; returns how many.
  std::size_t clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(count_, 0);
  }

 private:
  std::mutex mutex_;
  std::array<std::string, kMost> messages_;
  std::size_t first_ = 0, count_ = 0;
};

}  // namespace unina
