// The thread that detects: mailbox, detector, sinks.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "service/configuration.h"
#include "service/log.h"
#include "service/mailbox.h"
#include "service/message.h"
#include "service/metrics.h"
#include "service/ring_sink.h"
#include "service/socket_sink.h"
#include "unina/detector.h"

namespace unina {

// A copy of one picture with what was found in it.
struct Snapshot {
  std::vector<std::uint8_t> pixels;
  ImageView image;  // of those pixels
  Detections detections;
};

class Pipeline {
 public:
  // `wake` is called after the first picture and after a failure. Throws Error when a sink cannot
  // be made.
  Pipeline(std::unique_ptr<Detector> detector, const Configuration& configuration, Mailbox& mailbox,
           Metrics& metrics, Log& log, std::function<void()> wake);
  // The mailbox must be closed, else this waits for ever.
  ~Pipeline();

  // Takes another detector from the next picture on; its classes are the same.
  void replace(std::unique_ptr<Detector> detector, const Configuration& configuration);
  // Of the next picture; nothing when none comes within the time.
  std::optional<Snapshot> snapshot(std::chrono::milliseconds patience);

  int max_detections() const { return max_detections_; }
  // Waiting for a picture, as opposed to working on one.
  bool idle() const { return idle_.load(std::memory_order_acquire); }
  // Why it ended, or "".
  std::string failure() const;
  // Whether the thread ended within the time, after the mailbox was closed.
  bool ended(std::chrono::milliseconds patience);

 private:
  void run();
  void process(const Captured& captured);
  void keep_snapshot(const Captured& captured);

  Mailbox& mailbox_;
  Metrics& metrics_;
  Log& log_;
  std::function<void()> wake_;
  std::unique_ptr<Detector> detector_;
  const int max_detections_;
  MessageWriter writer_;
  std::optional<SocketSink> socket_;
  std::optional<RingSink> ring_;
  Detections found_;
  std::atomic<std::int64_t> stale_ns_;
  std::atomic<bool> idle_{true}, wanted_{false}, replaced_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // with the mutex: all below
  std::unique_ptr<Detector> next_;
  std::optional<Snapshot> snapshot_;
  std::string failure_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace unina
