// A device's one frame at a time: it ends, fails half-way, or is lost to a timeout. Its buffers may
// be used and freed only when the device is known to have finished with them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "cuda/kept.h"
#include "unina/error.h"

namespace unina {

class FrameInFlight {
 public:
  // `device` is what messages call it. `wait` says whether the frame ended within `timeout_ms`, and
  // throws Error.
  FrameInFlight(std::string device, int timeout_ms, std::function<bool()> wait)
      : device_(std::move(device)), timeout_ms_(timeout_ms), wait_(std::move(wait)) {}

  // Submits a frame, waits for its end, then calls `complete`. Throws Error, and what those two
  // throw. After a timeout every call throws: only a new process gets a device that is idle.
  template <typename Submit, typename Complete>
  void run(Submit&& submit, Complete&& complete) {
    if (lost_) throw Error(device_ + " was lost to a timeout; restart the process");
    // A frame that failed half-way may still run: never two on one set of buffers.
    if (in_flight_) wait();
    in_flight_ = true;
    submit();
    wait();
    complete();
    in_flight_ = false;
  }

  // "" when nothing runs any more, else what is not known. Waits as long as a frame may take.
  std::string why_busy() const {
    std::string failed;
    try {
      if (!in_flight_ || wait_()) return "";
    } catch (const Error& error) {
      failed = std::string(": ") + error.what();
    }
    return device_ + " is not known to have finished" + failed;
  }

 private:
  void wait() {
    if (wait_()) return;
    lost_ = true;
    throw Error(device_ + " has not finished a frame within " + std::to_string(timeout_ms_) +
                " ms; it may still write into the buffers, so restart the process");
  }

  std::string device_;
  int timeout_ms_;
  std::function<bool()> wait_;
  bool in_flight_ = false, lost_ = false;
};

// Releases what a vendor's libraries hold for us, or keeps it while a frame may still write to it.
// Throws Error, with `file` in front, when it was kept and when a release failed. A Session has
// `frame` (FrameInFlight), `failures` (ReleaseFailures) and `release()`.
template <typename Session>
void end_session(std::unique_ptr<Session> session, const std::string& file) {
  const std::string busy = session->frame.why_busy();
  if (!busy.empty()) {
    keep_for_ever(std::move(session));
    throw Error(file + ": " + busy + "; its buffers are kept until the process ends");
  }
  session->release();
  const std::string failed = session->failures.take();
  if (!failed.empty()) throw Error(file + ": " + failed);
}

}  // namespace unina
