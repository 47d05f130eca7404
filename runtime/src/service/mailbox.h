// Hands pictures from the thread that captures to the thread that detects: the newest one wins.
//
// Four slots change their roles and nothing is copied: one is being filled, one waits, up to two
// are in work. Slot i stands for the source's buffer i.
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
  std::uint64_t id = 0;     // counts every captured picture from 0, over lost sources too
  std::uint64_t drops = 0;  // how many with smaller ids were dropped
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

  static constexpr int kMostInWork = kSourceBuffers - 2;

  // The detecting thread's: the newest picture, or null when none came within the time, or after
  // wake() or close(). It stays as it is until it is given back; at most kMostInWork are out.
  const Captured* take(std::chrono::milliseconds patience);
  void give_back(const Captured* taken);

  // Any thread's: lets take() return at once, this time or the next.
  void wake();
  // Lets take() return at once; what waits is still handed out.
  void close();
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  std::uint64_t drops() const { return drops_.load(std::memory_order_relaxed); }

 private:
  std::array<Captured, kSourceBuffers> slots_;
  int filling_ = 0;   // changed by the capturing thread only
  int waiting_ = -1;  // -1: none; under the mutex, as the next two
  std::array<bool, kSourceBuffers> in_work_{};
  bool woken_ = false;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::atomic<std::uint64_t> drops_{0};
};

}  // namespace unina
