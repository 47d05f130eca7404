#include "service/capture.h"

#include <algorithm>

#include "printable.h"
#include "service/clock.h"
#include "unina/error.h"

namespace unina {

Capture::Capture(CaptureOptions options, Mailbox& mailbox, Metrics& metrics, Log& log, Open open)
    : mailbox_(mailbox),
      metrics_(metrics),
      log_(log),
      open_(std::move(open)),
      options_(std::move(options)),
      thread_([this] { run(); }) {}

Capture::~Capture() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Capture::change(const CaptureOptions& options) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    new_source_ = new_source_ || options.source != options_.source;
    options_ = options;
  }
  changed_.notify_all();
}

bool Capture::stop(std::chrono::milliseconds patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  stop_ = true;
  changed_.notify_all();
  return changed_.wait_for(lock, patience, [this] { return ended_; });
}

std::string Capture::trouble() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return trouble_;
}

bool Capture::keeps(const CaptureOptions& options) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !stop_ && options.source == options_.source;
}

void Capture::read(const CaptureOptions& options) {
  const std::shared_ptr<Source> source = open_(options.source);
  std::uint64_t expected = 0;
  while (keeps(options)) {
    Captured& slot = mailbox_.filling();
    std::optional<Frame> frame = source->next(mailbox_.filling_buffer());
    if (!frame) throw Error(source_name(options.source) + ": no more pictures");
    // Here, where it is a lost source; for the detector it would be the end of the service.
    require_image(frame->image, source_name(options.source));
    const std::int64_t now = monotonic_ns();
    slot.frame = std::move(*frame);
    slot.captured_ns = slot.frame.captured_ns != 0 ? slot.frame.captured_ns : now;
    slot.captured_realtime_ns = realtime_ns() - (now - slot.captured_ns);
    slot.id = next_id_++;
    slot.source = source;
    if (!delivered_) {
      log_.info("source", {{"state", "up"}, {"source", source_name(options.source)}});
      metrics_.source_up = 1;
      const std::lock_guard<std::mutex> lock(mutex_);
      trouble_.clear();
    } else if (slot.frame.sequence > expected) {
      Metrics::count(metrics_.gaps, slot.frame.sequence - expected);
    }
    delivered_ = true;
    expected = slot.frame.sequence + 1;
    Metrics::count(metrics_.captured);
    mailbox_.put();
    metrics_.drops.store(mailbox_.drops(), std::memory_order_relaxed);
  }
}

void Capture::run() {
  std::chrono::milliseconds pause{0};
  while (true) {
    CaptureOptions options;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      pausing_ = pause.count() > 0;
      changed_.wait_for(lock, pause, [this] { return stop_ || new_source_; });
      pausing_ = false;
      if (stop_) break;
      if (new_source_) pause = std::chrono::milliseconds{0};
      new_source_ = false;
      options = options_;
    }
    attempts_.fetch_add(1, std::memory_order_relaxed);
    delivered_ = false;
    std::string reason;
    try {
      read(options);
      metrics_.source_up = 0;
      mailbox_.filling().source.reset();
      pause = std::chrono::milliseconds{0};
      continue;
    } catch (const std::exception& error) {
      reason = one_line(error.what());
    }
    mailbox_.filling().source.reset();
    metrics_.source_up = 0;
    Metrics::count(metrics_.source_lost);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      trouble_ = reason;
      // Of now: a reload may have changed them while the source was read.
      pause = delivered_ || pause.count() == 0 ? options_.retry_first
                                               : std::min(2 * pause, options_.retry_most);
    }
    log_.warning("source", {{"state", "lost"},
                            {"reason", reason},
                            {"retry_ms", static_cast<std::int64_t>(pause.count())}});
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

}  // namespace unina
