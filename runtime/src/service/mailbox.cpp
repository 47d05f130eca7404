#include "service/mailbox.h"

#include <utility>

namespace unina {

void Mailbox::put() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (full_) drops_.fetch_add(1, std::memory_order_relaxed);
    std::swap(filling_, waiting_);
    full_ = true;
  }
  arrived_.notify_one();
}

const Captured* Mailbox::take(std::chrono::milliseconds patience) {
  // A camera that was lost is closed as soon as nobody looks at its last picture.
  slots_[static_cast<std::size_t>(working_)].source.reset();
  std::unique_lock<std::mutex> lock(mutex_);
  arrived_.wait_for(lock, patience, [this] { return full_ || closed_; });
  if (!full_) return nullptr;
  std::swap(waiting_, working_);
  full_ = false;
  return &slots_[static_cast<std::size_t>(working_)];
}

void Mailbox::close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  arrived_.notify_one();
}

}  // namespace unina
