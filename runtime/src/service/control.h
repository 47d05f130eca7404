// The control socket: one request a connection, answered and closed. The same for Prometheus over
// HTTP where a port was asked for.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
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
  static constexpr std::chrono::milliseconds kPatience{500};  // for a client, who holds up others

  // `path` and `listen` (ADDRESS:PORT) may be empty. Listens; answers from start() on. Throws
  // Error.
  Control(const std::string& path, mode_t mode, const std::string& listen, ControlHandlers handlers,
          Log& log);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  void start();

 private:
  void run();
  void answer(int connection, bool http_only) const;

  std::optional<UnixListener> unix_;
  int tcp_ = -1, stop_ = -1;
  ControlHandlers handlers_;
  Log& log_;
  std::thread thread_;
};

// What a client does: sends the request, returns the answer. Throws Error, also the service's.
std::string ask(const std::string& path, const std::string& request);

}  // namespace unina
