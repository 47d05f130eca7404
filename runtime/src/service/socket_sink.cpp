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
  for (const int reader : readers_) close(reader);
}

void SocketSink::accept() {
  for (int reader = listener_.accept(); reader >= 0; reader = listener_.accept()) {
    if (readers_.size() == kMostReaders) {
      close(reader);
    } else {
      readers_.push_back(reader);
    }
  }
}

int SocketSink::send(std::string_view message) {
  int dropped = 0;
  for (std::size_t i = 0; i < readers_.size();) {
    const ssize_t sent =
        ::send(readers_[i], message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      ++i;
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == EMSGSIZE) ++dropped;
    close(readers_[i]);
    readers_[i] = readers_.back();
    readers_.pop_back();
  }
  return dropped;
}

}  // namespace unina
