// The thread that detects: mailbox, detectors, sinks.
#pragma once

#include <array>
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
#include "service/detectors.h"
#include "service/log.h"
#include "service/mailbox.h"
#include "service/message.h"
#include "service/message_sinks.h"
#include "service/metrics.h"
#include "service/ring_sink.h"
#include "service/socket_sink.h"

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
  Pipeline(Detectors detectors, const Configuration& configuration, Mailbox& mailbox,
           Metrics& metrics, Log& log, std::function<void()> wake);
  // Closes the mailbox; what waits there is still published.
  ~Pipeline();

  // Takes others from the next picture on; their classes are the same.
  void replace(Detectors detectors, const Configuration& configuration);
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
  bool step();  // false at the end
  void use(Detectors detectors);
  void begin(const Captured* captured);
  void finish_oldest();
  void publish(const Captured& captured, const Answer& answer);
  void keep_snapshot(const Captured& captured, const Detections& found);

  Mailbox& mailbox_;
  Metrics& metrics_;
  Log& log_;
  std::function<void()> wake_;
  std::unique_ptr<InterleavedDetector> detector_;
  std::vector<Metrics::Device*> devices_;                        // of each of its detectors
  std::array<const Captured*, Mailbox::kMostInWork> in_work_{};  // the oldest first
  std::size_t in_work_count_ = 0;
  bool published_ = false;
  const int max_detections_;
  MessageWriter writer_;
  std::optional<SocketSink> socket_;
  std::optional<RingSink> ring_;
  std::vector<std::unique_ptr<MessageSink>> others_;
  std::atomic<std::int64_t> stale_ns_;
  std::atomic<bool> idle_{true}, wanted_{false}, replaced_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // with the mutex: all below
  std::optional<Detectors> next_;
  std::optional<Snapshot> snapshot_;
  std::string failure_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace unina
