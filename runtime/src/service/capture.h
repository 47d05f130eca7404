// The thread that reads the source into the mailbox, and opens it again when it is lost.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "service/log.h"
#include "service/mailbox.h"
#include "service/metrics.h"
#include "unina/source.h"

namespace unina {

struct CaptureOptions {
  std::string source;
  std::chrono::milliseconds retry_first{250};  // doubled at every failure in a row
  std::chrono::milliseconds retry_most{5000};
};

class Capture {
 public:
  using Open = std::function<std::unique_ptr<Source>(const std::string& description)>;

  Capture(CaptureOptions options, Mailbox& mailbox, Metrics& metrics, Log& log,
          Open open = open_source);
  ~Capture();

  // Other options from the next picture on; another source is opened at once.
  void change(const CaptureOptions& options);
  // Whether the thread ended within the time; a source that hangs keeps it.
  bool stop(std::chrono::milliseconds patience);
  // Attempts to open the source, good or bad.
  std::uint64_t attempts() const { return attempts_.load(std::memory_order_relaxed); }
  // Pausing before the next attempt: no picture can come, and nothing hangs.
  bool pausing() const { return pausing_.load(std::memory_order_relaxed); }
  // Why the source was lost, until it delivers again; or "".
  std::string trouble() const;

 private:
  void run();
  void read(const CaptureOptions& options);
  bool keeps(const CaptureOptions& options);

  Mailbox& mailbox_;
  Metrics& metrics_;
  Log& log_;
  Open open_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  CaptureOptions options_;  // under the mutex, as the rest down to ended_
  std::string trouble_;
  bool stop_ = false, new_source_ = false, ended_ = false;
  std::atomic<bool> pausing_{false};
  std::atomic<std::uint64_t> attempts_{0};
  std::uint64_t next_id_ = 0;
  bool delivered_ = false;  // since the source was opened
  std::thread thread_;
};

}  // namespace unina
