// The control socket: one request a connection, answered and closed. The same for Prometheus over
// HTTP where a port was asked for.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "service/log.h"
#include "service/unix_socket.h"

namespace unina {

// Called on the control's thread. What they throw as Error is the answer.
struct ControlHandlers {
  std::function<std::string()> status;    // JSON
  std::function<std::string()> metrics;   // Prometheus text
  std::function<std::string()> snapshot;  // JPEG
};

class Control {
 public:
  // For a client to ask, and again to read the answer; meanwhile others wait.
  static constexpr std::chrono::milliseconds kPatience{500};

  // `path` and `listen` (ADDRESS:PORT) may be empty. Listens; answers from start() on. Throws
  // Error.
  Control(const std::string& path, mode_t mode, const std::string& listen, ControlHandlers handlers,
          Log& log);
  ~Control();  // whoever is being answered is left
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  void start();
  // Why nobody can be answered at present, or "".
  std::string trouble() const;

 private:
  void run();
  void set_trouble(const std::string& why);
  // Until the descriptor is ready; false after the time, and at once when stopping.
  bool wait_for(int descriptor, short events, std::chrono::steady_clock::time_point end) const;
  std::string read_request(int connection) const;
  void write_all(int connection, const std::string& text) const;
  void answer(int connection, bool http_only) const;

  std::optional<UnixListener> unix_;
  int tcp_ = -1, stop_ = -1;
  ControlHandlers handlers_;
  Log& log_;
  mutable std::mutex mutex_;
  std::string trouble_;  // under the mutex
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// What a client does: sends the request, returns the answer. Throws Error, also the service's.
std::string ask(const std::string& path, const std::string& request);

}  // namespace unina
