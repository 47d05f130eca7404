#include "service/socket_sink.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace unina {

SocketSink::SocketSink(const std::string& path, mode_t mode)
    : listener_(path, SOCK_SEQPACKET, mode) {
  readers_.reserve(kMostReaders);
}

SocketSink::~SocketSink() {
  for (const pollfd& reader : readers_) close(reader.fd);
}

void SocketSink::let_go(std::size_t reader) {
  close(readers_[reader].fd);
  readers_[reader] = readers_.back();
  readers_.pop_back();
}

void SocketSink::accept() {
  // Without this, who left would be seen only at the next message, which a lost source never gives.
  if (poll(readers_.data(), readers_.size(), 0) > 0) {
    for (std::size_t i = readers_.size(); i-- > 0;) {
      if (readers_[i].revents != 0) let_go(i);
    }
  }
  for (int reader = listener_.accept(); reader >= 0; reader = listener_.accept()) {
    if (readers_.size() == kMostReaders) {
      close(reader);
    } else {
      readers_.push_back({reader, 0, 0});  // no events: only that it was closed
    }
  }
}

int SocketSink::send(std::string_view message) {
  int dropped = 0;
  for (std::size_t i = 0; i < readers_.size();) {
    const ssize_t sent =
        ::send(readers_[i].fd, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      ++i;
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == EMSGSIZE) ++dropped;
    let_go(i);
  }
  return dropped;
}

}  // namespace unina
