// Element-wise operators see a CHW32 tensor as one stretch of bytes, shared out in spans.
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

}  // namespace unina::host
