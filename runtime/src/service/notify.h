// What systemd is told and asks for: sd_notify(3) and sd_watchdog_enabled(3) by the protocol, which
// is one datagram.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace unina {

class Notify {
 public:
  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of the environment. Without the first,
  // nothing is sent anywhere.
  Notify();
  ~Notify();
  Notify(const Notify&) = delete;
  Notify& operator=(const Notify&) = delete;

  // Lines like "READY=1". Never waits; false when systemd's queue was full, and nothing was sent.
  bool send(std::string_view state) const;
  // The time without WATCHDOG=1 after which systemd ends the service; 0 when it does not.
  std::chrono::microseconds watchdog() const { return watchdog_; }

 private:
  int descriptor_ = -1;
  std::chrono::microseconds watchdog_{0};
};

}  // namespace unina
