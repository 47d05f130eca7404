// The service as a whole: what `unina-detector serve` runs.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "service/capture.h"
#include "service/configuration.h"
#include "service/control.h"
#include "service/log.h"
#include "service/mailbox.h"
#include "service/metrics.h"
#include "service/notify.h"
#include "service/pipeline.h"

namespace unina {

struct ServiceOptions {
  std::string file;  // detector.toml, or empty
  Flags flags;
  // A snapshot as JPEG, with its boxes drawn.
  std::function<std::string(const Snapshot&, const std::vector<std::string>& classes)> draw;
};

// SIGTERM, SIGINT and SIGHUP of this process come to it by a descriptor from now on, in every
// thread that is made later.
class SignalDescriptor {
 public:
  SignalDescriptor();
  ~SignalDescriptor();
  SignalDescriptor(const SignalDescriptor&) = delete;
  SignalDescriptor& operator=(const SignalDescriptor&) = delete;

  int descriptor() const { return descriptor_; }
  // The next signal, or 0. Never waits.
  int take() const;

 private:
  int descriptor_ = -1;
};

class Service {
 public:
  // Reads the configuration, opens the bundle and makes the sinks. Throws Error.
  explicit Service(ServiceOptions options);
  ~Service();

  // Until SIGTERM or SIGINT (0), or until the accelerator fails (1).
  int run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Names {
    std::string bundle, accelerator, model;
    std::vector<std::string> devices;
  };

  static Names names_of(const Detectors& detectors, const Configuration& configuration);
  CaptureOptions capture_options(const Configuration& configuration) const;
  ControlHandlers handlers();

  Names names() const;
  // A detector is made on a thread of its own: its driver may take long, or hang, and neither
  // signals nor the watchdog wait for it.
  using Making = std::future<Detectors>;
  struct Reload {
    Configuration configuration;
    Making detectors;
  };
  Detectors wait_for(Making making);
  void begin_reload();
  void end_reload();
  void refuse_reload(const char* reason);
  void follow_model();
  void tick();
  void feed_watchdog();
  std::string status_line() const;
  std::string status_json() const;
  std::string snapshot();
  int stop(int code);  // publishes what waits

  ServiceOptions options_;
  Configuration configuration_;
  SignalDescriptor signals_;  // before anything that makes a thread
  Log log_;
  Notify notify_;
  int wake_ = -1;
  std::vector<std::string> classes_;
  mutable std::mutex names_mutex_;
  Names names_;  // under the mutex; a reload may change them
  Mailbox mailbox_;
  std::optional<Metrics> metrics_;
  std::optional<Pipeline> pipeline_;
  std::optional<Capture> capture_;
  std::optional<Control> control_;

  const Clock::time_point begin_ = Clock::now();
  std::atomic<bool> ready_{false};
  bool ready_told_ = true;  // systemd waits for a READY=1 until this is true
  bool reload_wanted_ = false;
  std::string model_seen_;        // where configuration_.model led to, also if that was refused
  std::optional<Reload> reload_;  // under way
  std::atomic<double> frames_per_second_{0};
  Clock::time_point status_at_ = begin_;  // when frames_per_second_ was measured
  std::uint64_t status_frames_ = 0;       // and how many frames there were
  std::uint64_t fed_frames_ = 0, fed_attempts_ = 0;
};

}  // namespace unina
