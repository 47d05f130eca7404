#include "service/pipeline.h"

#include <utility>

#include "printable.h"
#include "service/clock.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr std::chrono::milliseconds kIdleTick{100};  // how soon a new reader is taken in

std::int64_t nanoseconds(double milliseconds) {
  return static_cast<std::int64_t>(milliseconds * 1e6);
}

}  // namespace

Pipeline::Pipeline(std::unique_ptr<Detector> detector, const Configuration& configuration,
                   Mailbox& mailbox, Metrics& metrics, Log& log, std::function<void()> wake)
    : mailbox_(mailbox),
      metrics_(metrics),
      log_(log),
      wake_(std::move(wake)),
      detector_(std::move(detector)),
      max_detections_(detector_->manifest().max_detections),
      writer_(detector_->manifest().classes, max_detections_),
      stale_ns_(configuration.stale_ms * std::int64_t{1'000'000}) {
  const Manifest& manifest = detector_->manifest();
  const unsigned mode = configuration.mode_bits();
  if (!configuration.socket.empty()) socket_.emplace(configuration.socket, mode);
  if (!configuration.ring.empty()) {
    ring_.emplace(configuration.ring, configuration.ring_slots, max_detections_, manifest.classes,
                  mode);
  }
  found_.reserve(static_cast<std::size_t>(max_detections_));
  thread_ = std::thread([this] { run(); });
}

Pipeline::~Pipeline() { thread_.join(); }

void Pipeline::replace(std::unique_ptr<Detector> detector, const Configuration& configuration) {
  const std::lock_guard<std::mutex> lock(mutex_);
  next_ = std::move(detector);
  stale_ns_ = configuration.stale_ms * std::int64_t{1'000'000};
  replaced_ = true;
}

std::optional<Snapshot> Pipeline::snapshot(std::chrono::milliseconds patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  snapshot_.reset();
  wanted_ = true;
  changed_.wait_for(lock, patience, [this] { return snapshot_ || ended_; });
  wanted_ = false;
  return std::exchange(snapshot_, std::nullopt);
}

std::string Pipeline::failure() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

bool Pipeline::ended(std::chrono::milliseconds patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return ended_; });
}

void Pipeline::keep_snapshot(const Captured& captured) {
  const ImageView& image = captured.frame.image;
  const std::size_t row = static_cast<std::size_t>(image.width) * 3;
  Snapshot copy;
  copy.pixels.resize(row * static_cast<std::size_t>(image.height));
  // Into BGR, whatever the camera gives; at its own size nothing is interpolated.
  PixelSpec pixels;
  pixels.color = ColorOrder::kBgr;
  letterbox_pixels(image, image.height, image.width, pixels, copy.pixels.data());
  copy.image = {copy.pixels.data(), image.width, image.height, row};
  copy.detections = found_;
  const std::lock_guard<std::mutex> lock(mutex_);
  snapshot_ = std::move(copy);
  wanted_ = false;
  changed_.notify_all();
}

void Pipeline::process(const Captured& captured) {
  const std::int64_t begin = monotonic_ns();
  detector_->detect(captured.frame.image, found_);
  const std::int64_t done = monotonic_ns();
  const StageTimes& times = detector_->times();
  const std::int64_t age = begin - captured.captured_ns;

  Report report;
  report.frame = captured.id;
  report.source = captured.frame.name;
  report.width = captured.frame.image.width;
  report.height = captured.frame.image.height;
  report.captured_ns = captured.captured_ns;
  report.submitted_ns = begin + nanoseconds(times.preprocess_ms);
  report.done_ns = done;
  report.captured_realtime_ns = captured.captured_realtime_ns;
  report.drops = mailbox_.drops();
  report.gaps = metrics_.gaps.load(std::memory_order_relaxed);
  report.stale = age > stale_ns_.load(std::memory_order_relaxed);
  report.detections = &found_;

  if (ring_) ring_->write(report);
  if (socket_) {
    const int dropped = socket_->send(writer_.write(report));
    if (dropped > 0) {
      Metrics::count(metrics_.readers_dropped, static_cast<std::uint64_t>(dropped));
      log_.warning("reader", {{"state", "dropped"}, {"reason", "it did not keep up"}});
    }
    metrics_.readers = socket_->readers();
  }
  const std::int64_t published = monotonic_ns();
  metrics_.publish.record(published - done);
  metrics_.wait.record(age);
  metrics_.preprocess.record(nanoseconds(times.preprocess_ms));
  metrics_.infer.record(nanoseconds(times.infer_ms));
  metrics_.decode.record(nanoseconds(times.decode_ms));
  metrics_.total.record(published - captured.captured_ns);
  if (report.stale) Metrics::count(metrics_.stale);
  for (const Detection& one : found_) {
    Metrics::count(metrics_.detections[static_cast<std::size_t>(one.class_id)]);
  }
  metrics_.last_detections = static_cast<int>(found_.size());
  Metrics::count(metrics_.frames);
}

void Pipeline::run() {
  std::string failure;
  try {
    bool first = true;
    while (true) {
      if (replaced_.exchange(false)) {
        std::unique_ptr<Detector> next;
        {
          const std::lock_guard<std::mutex> lock(mutex_);
          next = std::move(next_);
        }
        // The old one goes without the lock: its driver may take its time.
        if (next) detector_ = std::move(next);
      }
      idle_.store(true, std::memory_order_release);
      const Captured* captured = mailbox_.take(kIdleTick);
      idle_.store(false, std::memory_order_release);
      if (socket_) {
        socket_->accept();
        metrics_.readers = socket_->readers();
      }
      if (captured == nullptr) {
        if (mailbox_.closed()) break;
        continue;
      }
      process(*captured);
      if (wanted_) keep_snapshot(*captured);
      if (std::exchange(first, false)) wake_();
    }
  } catch (const std::exception& error) {
    failure = one_line(error.what());
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  failure_ = failure;
  ended_ = true;
  changed_.notify_all();
  if (!failure.empty()) wake_();
}

}  // namespace unina
