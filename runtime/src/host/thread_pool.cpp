#include "host/thread_pool.h"

namespace unina::host {
namespace {

// Operators follow each other within microseconds; sleeping in between would cost more than they.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

struct Ticket {
  std::uint64_t round, jobs, next;
  explicit Ticket(std::uint64_t word)
      : round(word >> 40), jobs(word >> 20 & 0xfffff), next(word & 0xfffff) {}
  bool has_job() const { return next < jobs; }
};

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int worker = 1; worker < threads; ++worker)
    workers_.emplace_back([this, worker] { work(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  work_ready_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::start(int jobs, const void* context, Call call) {
  if (workers_.empty() || jobs == 1) {
    for (int job = 0; job < jobs; ++job) call(context, job, 0);
    return;
  }
  if (jobs <= 0) return;
  // Every job of the last round is finished, so nobody looks at these.
  context_ = context;
  call_ = call;
  finished_.store(0, std::memory_order_relaxed);
  const std::uint64_t round = Ticket(ticket_.load(std::memory_order_relaxed)).round + 1;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ticket_.store(round << 40 | static_cast<std::uint64_t>(jobs) << 20, std::memory_order_release);
  }
  work_ready_.notify_all();
  drain(0);
  for (int spin = 0; spin < kSpins; ++spin) {
    if (finished_.load(std::memory_order_acquire) == jobs) return;
    pause();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  round_done_.wait(lock, [&] { return finished_.load(std::memory_order_acquire) == jobs; });
}

void ThreadPool::drain(int worker) {
  std::uint64_t word = ticket_.load(std::memory_order_acquire);
  while (Ticket(word).has_job()) {
    if (!ticket_.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel)) continue;
    const Ticket mine(word);
    call_(context_, static_cast<int>(mine.next), worker);
    const auto jobs = static_cast<int>(mine.jobs);
    if (finished_.fetch_add(1, std::memory_order_acq_rel) + 1 == jobs) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
      }
      round_done_.notify_one();
    }
    word = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work(int worker) {
  const auto ready = [&] {
    return stop_.load(std::memory_order_relaxed) ||
           Ticket(ticket_.load(std::memory_order_acquire)).has_job();
  };
  while (true) {
    for (int spin = 0; spin < kSpins && !ready(); ++spin) pause();
    if (!ready()) {
      std::unique_lock<std::mutex> lock(mutex_);
      work_ready_.wait(lock, ready);
    }
    if (stop_) return;
    drain(worker);
  }
}

}  // namespace unina::host
