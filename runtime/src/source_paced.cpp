#include "source_paced.h"

#include <algorithm>
#include <thread>

namespace unina {

PacedSource::PacedSource(std::unique_ptr<Source> source, const Pace& pace)
    : source_(std::move(source)), pace_(pace) {}

std::uint64_t PacedSource::wait_for_tick() {
  const Clock::time_point now = Clock::now();
  if (!started_) {
    started_ = true;
    begin_ = now;
    return tick_ = 0;
  }
  if (pace_.fps <= 0) return ++tick_;
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  tick_ = std::max(tick_ + 1, static_cast<std::uint64_t>(elapsed * pace_.fps));
  const std::chrono::duration<double> due(static_cast<double>(tick_) / pace_.fps);
  std::this_thread::sleep_until(begin_ + std::chrono::duration_cast<Clock::duration>(due));
  return tick_;
}

std::optional<Frame> PacedSource::next(int buffer) {
  const std::uint64_t tick = wait_for_tick();
  std::optional<Frame> frame = source_->next(buffer);
  if (!frame && pace_.loop) {
    source_->rewind();
    frame = source_->next(buffer);
  }
  if (frame) frame->sequence = tick;
  return frame;
}

void PacedSource::rewind() { source_->rewind(); }

std::optional<std::size_t> PacedSource::count() const {
  return pace_.loop ? std::nullopt : source_->count();
}

}  // namespace unina
