// Messages to whoever is connected to a SOCK_SEQPACKET socket: one packet a message. A reader that
// does not keep up is disconnected, never waited for.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "service/unix_socket.h"

namespace unina {

class SocketSink {
 public:
  static constexpr std::size_t kMostReaders = 64;

  SocketSink(const std::string& path, mode_t mode);
  ~SocketSink();
  SocketSink(const SocketSink&) = delete;
  SocketSink& operator=(const SocketSink&) = delete;

  // Lets go who left, and takes in who wants to connect.
  void accept();
  // Sends to all; returns how many were disconnected because they did not keep up.
  int send(std::string_view message);
  int readers() const { return static_cast<int>(readers_.size()); }

 private:
  void let_go(std::size_t reader);

  UnixListener listener_;
  std::vector<pollfd> readers_;
};

}  // namespace unina
