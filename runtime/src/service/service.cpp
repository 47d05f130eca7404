#include "service/service.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <thread>

#include "joined.h"
#include "service/clock.h"
#include "unina/error.h"

namespace unina {
namespace {

using std::chrono::milliseconds;

// SIGTERM ends the service within 2 s, whatever hangs.
constexpr milliseconds kDrainPatience{1400};  // to end a read and publish what waits
constexpr milliseconds kStopPatience{1800};   // to release everything
// While the source has never delivered, systemd is asked for this much more time to start.
constexpr const char* kExtendStart = "EXTEND_TIMEOUT_USEC=30000000";

void write_one(int descriptor) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(descriptor, &one, sizeof one);
}

// Ends the process after that time, unless it has ended by then.
void exit_within(milliseconds patience, int code) {
  std::thread([patience, code] {
    std::this_thread::sleep_for(patience);
    _exit(code);
  }).detach();
}

}  // namespace

Service::Service(ServiceOptions options)
    : options_(std::move(options)),
      configuration_(read_configuration(options_.file, options_.flags)),
      log_(configuration_.log_level, configuration_.log_format),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  Detectors detectors =
      wait_for(std::async(std::launch::async, [this] { return open_detectors(configuration_); }));
  classes_ = detectors.manifest().classes;
  names_ = names_of(detectors, configuration_);
  model_seen_ = configuration_.model_taken;
  metrics_.emplace(classes_);
  control_.emplace(configuration_.control, configuration_.mode_bits(),
                   configuration_.metrics_listen, handlers(), log_);
  pipeline_.emplace(std::move(detectors), configuration_, mailbox_, *metrics_, log_,
                    [this] { write_one(wake_); });
  capture_.emplace(capture_options(configuration_), mailbox_, *metrics_, log_);
  control_->start();
  log_.info("service", {{"state", "starting"},
                        {"bundle", configuration_.bundle},
                        {"accelerator", names_.accelerator},
                        {"source", source_name(configuration_.source)}});
}

Service::~Service() {
  control_.reset();
  capture_.reset();
  pipeline_.reset();
  close(wake_);
}

Service::Names Service::names_of(const Detectors& detectors, const Configuration& configuration) {
  return {detectors.manifest().name, detectors.interleaved->detector().accelerator_name(),
          configuration.model_taken, detectors.devices};
}

CaptureOptions Service::capture_options(const Configuration& configuration) const {
  return {configuration.source, milliseconds(configuration.retry_first_ms),
          milliseconds(configuration.retry_most_ms)};
}

Service::Names Service::names() const {
  const std::lock_guard<std::mutex> lock(names_mutex_);
  return names_;
}

Detectors Service::wait_for(Making making) {
  while (making.wait_for(milliseconds(20)) != std::future_status::ready) {
    const int signal = signals_.take();
    if (signal == SIGHUP) reload_wanted_ = true;
    // Nothing to publish or to remove yet, and the thread cannot be interrupted.
    if (signal == SIGTERM || signal == SIGINT) _exit(0);
  }
  return making.get();
}

void Service::begin_reload() {
  reload_wanted_ = false;
  notify_.send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_ns() / 1000));
  ready_told_ = false;
  try {
    const Configuration next = read_configuration(options_.file, options_.flags);
    model_seen_ = next.model_taken;
    const std::vector<std::string> fixed = keys_for_restart(configuration_, next);
    if (!fixed.empty()) {
      throw Error(options_.file + ": " + joined(fixed) + ": changes only by a restart");
    }
    // The bundle is read again even under the same name: it may be a newer one.
    reload_.emplace(Reload{next, std::async(std::launch::async, [next] {
                             Detectors detectors = open_detectors(next);
                             try_out(detectors);
                             return detectors;
                           })});
  } catch (const std::exception& error) {
    refuse_reload(error.what());
  }
}

void Service::end_reload() {
  if (reload_->detectors.wait_for(milliseconds(0)) != std::future_status::ready) return;
  Reload done = std::move(*reload_);
  reload_.reset();
  try {
    Detectors detectors = done.detectors.get();
    const Configuration& next = done.configuration;
    if (detectors.manifest().classes != classes_ ||
        detectors.manifest().max_detections != pipeline_->max_detections()) {
      throw Error(next.bundle +
                  ": has other classes or another max_detections, which readers of the ring could "
                  "not follow: restart the service");
    }
    {
      const std::lock_guard<std::mutex> lock(names_mutex_);
      names_ = names_of(detectors, next);
    }
    pipeline_->replace(std::move(detectors), next);
    capture_->change(capture_options(next));
    log_.set(next.log_level, next.log_format);
    configuration_ = next;
    Metrics::count(metrics_->reloads);
    log_.info("reload",
              {{"state", "done"}, {"source", source_name(next.source)}, {"bundle", next.bundle}});
  } catch (const std::exception& error) {
    refuse_reload(error.what());
  }
}

// An update lets the link point to another model: taken over like a SIGHUP's, once for each.
void Service::follow_model() {
  if (configuration_.model.empty() || reload_ || reload_wanted_) return;
  std::string now = model_folder(configuration_.model);
  if (now.empty() || now == model_seen_) return;
  log_.info("reload", {{"model", now}});
  model_seen_ = std::move(now);
  reload_wanted_ = true;
}

void Service::refuse_reload(const char* reason) {
  Metrics::count(metrics_->reloads_refused);
  log_.error("reload", {{"state", "refused"}, {"reason", reason}});
}

// A picture was published, or none can come because a lost source is being tried again: never
// because time has passed.
void Service::feed_watchdog() {
  const std::uint64_t frames = metrics_->frames, attempts = capture_->attempts();
  const bool retrying = pipeline_->idle() && (attempts != fed_attempts_ || capture_->pausing());
  if (frames == fed_frames_ && !retrying) return;
  fed_frames_ = frames;
  fed_attempts_ = attempts;
  if (ready_) {
    if (notify_.watchdog().count() > 0) notify_.send("WATCHDOG=1");
  } else {
    notify_.send(kExtendStart);
  }
}

void Service::tick() {
  feed_watchdog();
  const Clock::time_point now = Clock::now();
  const std::chrono::duration<double> passed = now - status_at_;
  if (passed < milliseconds(configuration_.status_ms)) return;
  const std::uint64_t frames = metrics_->frames;
  frames_per_second_ = static_cast<double>(frames - status_frames_) / passed.count();
  status_at_ = now;
  status_frames_ = frames;
  // Who asks for the status gets none then; systemd is told all the same.
  const std::string lost = control_->trouble();
  notify_.send("STATUS=" + status_line() + (lost.empty() ? "" : " · control lost: " + lost));
  follow_model();
}

int Service::run() {
  const std::int64_t watchdog_ms = notify_.watchdog().count() / 1000;
  int tick_ms = std::min(configuration_.status_ms, 250);
  if (watchdog_ms > 0) {
    tick_ms = static_cast<int>(std::clamp<std::int64_t>(watchdog_ms / 4, 1, tick_ms));
  }
  notify_.send("STATUS=" + status_line());
  while (true) {
    std::array<pollfd, 2> waiting = {{{signals_.descriptor(), POLLIN, 0}, {wake_, POLLIN, 0}}};
    poll(waiting.data(), waiting.size(), tick_ms);
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t bytes = read(wake_, &ignored, sizeof ignored);
    for (int signal = signals_.take(); signal != 0; signal = signals_.take()) {
      if (signal != SIGHUP) return stop(0);
      reload_wanted_ = true;
    }
    if (reload_) end_reload();
    if (reload_wanted_ && !reload_) begin_reload();
    const std::string failure = pipeline_->failure();
    if (!failure.empty()) {
      notify_.send("STATUS=failed: " + failure);
      log_.error("service", {{"state", "failed"}, {"reason", failure}});
      return stop(1);
    }
    if (!ready_ && metrics_->frames > 0) {
      ready_ = true;
      ready_told_ = false;
      log_.info("service", {{"state", "ready"}, {"status", status_line()}});
    }
    if (ready_ && !reload_ && !ready_told_) ready_told_ = notify_.send("READY=1");
    tick();
  }
}

int Service::stop(int code) {
  exit_within(kStopPatience, code);
  // Why it failed stays the last thing that systemd is told.
  notify_.send(code == 0 ? "STOPPING=1\nSTATUS=stopping" : "STOPPING=1");
  log_.info("service", {{"state", "stopping"}});
  const Clock::time_point end = Clock::now() + kDrainPatience;
  const auto left = [&] {
    return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(end - Clock::now()));
  };
  capture_->stop(milliseconds(0));  // asks; at most the picture that is being read still comes
  mailbox_.close();
  const bool drained = pipeline_->ended(left());
  log_.info("service", {{"state", "stopped"},
                        {"frames", metrics_->frames.load()},
                        {"drops", metrics_->drops.load()}});
  if (!drained) {
    log_.warning("service", {{"not_ended", "accelerator"}});
    _exit(code);
  }
  // Sockets and ring go even where a camera's driver hangs.
  control_.reset();
  pipeline_.reset();
  const bool source_ended = capture_->stop(left());
  const bool made = !reload_ || reload_->detectors.wait_for(left()) == std::future_status::ready;
  if (source_ended && made) return code;
  // A thread sits in a driver and cannot be joined; the kernel cleans up.
  log_.warning("service", {{"not_ended", source_ended ? "reload" : "source"}});
  _exit(code);
}

}  // namespace unina
