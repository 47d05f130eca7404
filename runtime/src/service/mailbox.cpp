#include "service/mailbox.h"

#include <utility>

namespace unina {

void Mailbox::put() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (waiting_ >= 0) {
      drops_.fetch_add(1, std::memory_order_relaxed);
      std::swap(filling_, waiting_);
    } else {
      waiting_ = filling_;
      filling_ = 0;
      while (filling_ == waiting_ || in_work_.at(static_cast<std::size_t>(filling_))) ++filling_;
    }
  }
  arrived_.notify_one();
}

const Captured* Mailbox::take(std::chrono::milliseconds patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  arrived_.wait_for(lock, patience, [this] { return waiting_ >= 0 || woken_ || closed_; });
  woken_ = false;
  if (waiting_ < 0) return nullptr;
  const auto slot = static_cast<std::size_t>(std::exchange(waiting_, -1));
  in_work_.at(slot) = true;
  slots_[slot].drops = drops_.load(std::memory_order_relaxed);
  return &slots_[slot];
}

void Mailbox::give_back(const Captured* taken) {
  const auto slot = static_cast<std::size_t>(taken - slots_.data());
  // A camera that was lost is closed as soon as nobody looks at its last picture.
  slots_.at(slot).source.reset();
  const std::lock_guard<std::mutex> lock(mutex_);
  in_work_[slot] = false;
}

void Mailbox::wake() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    woken_ = true;
  }
  arrived_.notify_one();
}

void Mailbox::close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  arrived_.notify_one();
}

}  // namespace unina
