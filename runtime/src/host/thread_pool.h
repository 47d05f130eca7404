// A few threads that share the jobs of one operator at a time. They live as long as their engine;
// starting a round of jobs allocates nothing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace unina::host {

class ThreadPool {
 public:
  // `threads` counts the caller's: 1 starts none.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  static constexpr int kMaxJobs = (1 << 20) - 1;

  // Calls task(job, worker) once for every job in [0, jobs), jobs <= kMaxJobs; `worker` in
  // [0, threads()) is the thread that runs it. Returns when all are done. `task` may not throw.
  template <typename Task>
  void run(int jobs, const Task& task) {
    start(jobs, &task, [](const void* context, int job, int worker) {
      (*static_cast<const Task*>(context))(job, worker);
    });
  }

 private:
  using Call = void (*)(const void* context, int job, int worker);

  void start(int jobs, const void* context, Call call);
  void work(int worker);
  // Takes jobs of the round in progress until none is left.
  void drain(int worker);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable work_ready_, round_done_;
  // Round number (24 bits), jobs of the round (20), next job (20), in one word: a worker that was
  // late can take no job of a round that is over, nor mix up the sizes of two rounds.
  std::atomic<std::uint64_t> ticket_{0};
  std::atomic<int> finished_{0};
  std::atomic<bool> stop_{false};
  const void* context_ = nullptr;
  Call call_ = nullptr;
};

}  // namespace unina::host
