// How operators share out a CHW32 tensor: element-wise ones see one stretch of bytes and take it in
// spans, others take row after row.
#pragma once

#include <algorithm>
#include <cstddef>

#include "host/step.h"

namespace unina::host {

constexpr std::size_t kSpanBytes = 32 << 10;

inline std::size_t chw32_bytes(const Buffer& b) {
  return static_cast<std::size_t>(b.blocks()) * b.format.channel_stride;
}

// Calls task(begin, bytes) for spans that cover [0, total); every length is a multiple of 32.
template <typename Task>
void for_each_span(const Workspace& workspace, std::size_t total, const Task& task) {
  const auto jobs = static_cast<int>((total + kSpanBytes - 1) / kSpanBytes);
  workspace.pool.run(jobs, [&](int job, int) {
    const std::size_t begin = static_cast<std::size_t>(job) * kSpanBytes;
    task(begin, std::min(kSpanBytes, total - begin));
  });
}

// Calls task(block, y, worker) for every row of every block of `b`; `worker` as of ThreadPool::run.
template <typename Task>
void for_each_row(const Workspace& workspace, const Buffer& b, const Task& task) {
  const int height = b.format.height, rows = b.blocks() * height;
  const int rows_a_job = rows / ThreadPool::kMaxJobs + 1;
  workspace.pool.run((rows + rows_a_job - 1) / rows_a_job, [&](int job, int worker) {
    const int first = job * rows_a_job;
    for (int row = first; row < std::min(first + rows_a_job, rows); ++row)
      task(row / height, row % height, worker);
  });
}

}  // namespace unina::host
