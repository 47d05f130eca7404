#include "service/pipeline.h"

#include <algorithm>
#include <utility>

#include "printable.h"
#include "service/clock.h"
#include "unina/error.h"
#include "unina/letterbox.h"

namespace unina {
namespace {

constexpr std::chrono::milliseconds kIdleTick{100};  // how soon a new reader is taken in

std::int64_t nanoseconds(double milliseconds) {
  return static_cast<std::int64_t>(milliseconds * 1e6);
}

// CLOCK_MONOTONIC, which is what std::chrono::steady_clock reads here.
std::int64_t nanoseconds(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

Pipeline::Pipeline(Detectors detectors, const Configuration& configuration, Mailbox& mailbox,
                   Metrics& metrics, Log& log, std::function<void()> wake)
    : mailbox_(mailbox),
      metrics_(metrics),
      log_(log),
      wake_(std::move(wake)),
      max_detections_(detectors.manifest().max_detections),
      writer_(detectors.manifest().classes, max_detections_),
      stale_ns_(configuration.stale_ms * std::int64_t{1'000'000}) {
  const unsigned mode = configuration.mode_bits();
  if (!configuration.zmq.empty()) others_.push_back(open_zmq(configuration.zmq, mode, metrics));
  if (!configuration.mqtt.empty()) {
    others_.push_back(open_mqtt(configuration.mqtt, configuration.mqtt_topic, metrics, log));
  }
  if (!configuration.socket.empty()) socket_.emplace(configuration.socket, mode);
  if (!configuration.ring.empty()) {
    ring_.emplace(configuration.ring, configuration.ring_slots, max_detections_,
                  detectors.manifest().classes, mode);
  }
  use(std::move(detectors));
  thread_ = std::thread([this] { run(); });
}

Pipeline::~Pipeline() {
  mailbox_.close();
  thread_.join();
}

void Pipeline::replace(Detectors detectors, const Configuration& configuration) {
  const std::lock_guard<std::mutex> lock(mutex_);
  next_ = std::move(detectors);
  stale_ns_ = configuration.stale_ms * std::int64_t{1'000'000};
  replaced_ = true;
}

void Pipeline::use(Detectors detectors) {
  if (detectors.interleaved->capacity() > in_work_.size()) {
    throw Error("too many detectors at a time");
  }
  detector_ = std::move(detectors.interleaved);
  detector_->when_finished([this] { mailbox_.wake(); });
  devices_.clear();
  for (const std::string& name : detectors.devices) devices_.push_back(&metrics_.device(name));
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

void Pipeline::keep_snapshot(const Captured& captured, const Detections& found) {
  const ImageView& image = captured.frame.image;
  const std::size_t row = static_cast<std::size_t>(image.width) * 3;
  Snapshot copy;
  copy.pixels.resize(row * static_cast<std::size_t>(image.height));
  to_bgr(image, copy.pixels.data());
  copy.image = {copy.pixels.data(), image.width, image.height, row};
  copy.detections = found;
  const std::lock_guard<std::mutex> lock(mutex_);
  snapshot_ = std::move(copy);
  wanted_ = false;
  changed_.notify_all();
}

void Pipeline::publish(const Captured& captured, const Answer& answer) {
  const StageTimes& times = answer.times;
  const std::int64_t begin = nanoseconds(answer.begun), done = nanoseconds(answer.done);
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
  report.drops = captured.drops;
  report.gaps = metrics_.gaps.load(std::memory_order_relaxed);
  report.stale = age > stale_ns_.load(std::memory_order_relaxed);
  report.detections = &answer.detections;

  if (ring_) ring_->write(report);
  const std::string_view message =
      socket_ || !others_.empty() ? writer_.write(report) : std::string_view();
  for (const std::unique_ptr<MessageSink>& sink : others_) {
    sink->send(message.substr(0, message.size() - 1));
  }
  if (socket_) {
    const int dropped = socket_->send(message);
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
  Metrics::Device& device = *devices_[answer.detector];
  Metrics::count(device.busy_ns, static_cast<std::uint64_t>(nanoseconds(times.infer_ms)));
  Metrics::count(device.frames);
  for (const Detection& one : answer.detections) {
    Metrics::count(metrics_.detections[static_cast<std::size_t>(one.class_id)]);
  }
  metrics_.last_detections = static_cast<int>(answer.detections.size());
  Metrics::count(metrics_.frames);
}

void Pipeline::begin(const Captured* captured) {
  in_work_[in_work_count_++] = captured;
  detector_->put(captured->frame.image);
}

void Pipeline::finish_oldest() {
  const Captured& captured = *in_work_[0];
  const Answer& answer = detector_->take();
  publish(captured, answer);
  if (wanted_) keep_snapshot(captured, answer.detections);
  mailbox_.give_back(&captured);
  std::copy(in_work_.begin() + 1, in_work_.end(), in_work_.begin());
  --in_work_count_;
  if (!std::exchange(published_, true)) wake_();
}

bool Pipeline::step() {
  if (replaced_ && in_work_count_ == 0) {
    std::optional<Detectors> next;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      next = std::exchange(next_, std::nullopt);
      replaced_ = false;
    }
    // The old one goes without the lock: its driver may take its time.
    if (next) use(std::move(*next));
  }
  // With room for another picture, whatever comes first: that, or the end of what is under way.
  const bool room = in_work_count_ < detector_->capacity() && !replaced_;
  const Captured* captured = nullptr;
  if (room && !detector_->done()) {
    idle_.store(in_work_count_ == 0, std::memory_order_release);
    captured = mailbox_.take(kIdleTick);
    idle_.store(false, std::memory_order_release);
    if (socket_) {
      socket_->accept();
      metrics_.readers = socket_->readers();
    }
    if (captured != nullptr) begin(captured);
  }
  const bool ending = captured == nullptr && mailbox_.closed();
  if (in_work_count_ == 0) return !ending;
  if (!room || ending || detector_->done() || in_work_count_ == detector_->capacity()) {
    finish_oldest();
  }
  return true;
}

void Pipeline::run() {
  std::string failure;
  try {
    while (step()) {
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
