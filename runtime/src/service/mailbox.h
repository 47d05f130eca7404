// Hands pictures from the thread that captures to the thread that detects: the newest one wins.
//
// Three slots change their roles and nothing is copied: one is being filled, one waits, one is in
// work. Slot i stands for the source's buffer i.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "unina/source.h"

namespace unina {

struct Captured {
  Frame frame;
  std::uint64_t id = 0;  // counts every captured picture from 0, over lost sources too
  std::int64_t captured_ns = 0, captured_realtime_ns = 0;
  std::shared_ptr<Source> source;  // owns the pixels
};

class Mailbox {
 public:
  // The capturing thread's: the slot to fill, and its number, which is the source's buffer.
  Captured& filling() { return slots_[static_cast<std::size_t>(filling_)]; }
  int filling_buffer() const { return filling_; }
  // Lets the filled slot wait; what waited there before is a drop.
  void put();

  // The detecting thread's: the newest picture, valid until the next call, or null when none came
  // within the time or after close(). What was taken before is given back first.
  const Captured* take(std::chrono::milliseconds patience);

  // Lets take() return at once; what waits is still handed out.
  void close();
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  std::uint64_t drops() const { return drops_.load(std::memory_order_relaxed); }

 private:
  std::array<Captured, kSourceBuffers> slots_;
  int filling_ = 0, waiting_ = 1, working_ = 2;
  bool full_ = false;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::atomic<std::uint64_t> drops_{0};
};

}  // namespace unina
