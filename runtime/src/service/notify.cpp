#include "service/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace unina {
namespace {

std::chrono::microseconds watchdog_of_environment() {
  const char* period = std::getenv("WATCHDOG_USEC");
  const char* process = std::getenv("WATCHDOG_PID");
  if (period == nullptr || (process != nullptr && std::atol(process) != getpid())) return {};
  return std::chrono::microseconds(std::max(0LL, std::atoll(period)));
}

}  // namespace

Notify::Notify() : watchdog_(watchdog_of_environment()) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  // A path, or an abstract name after '@'.
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  descriptor_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (descriptor_ >= 0 &&
      connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), bytes) != 0) {
    close(descriptor_);
    descriptor_ = -1;
  }
}

Notify::~Notify() {
  if (descriptor_ >= 0) close(descriptor_);
}

bool Notify::send(std::string_view state) const {
  if (descriptor_ < 0) return true;
  return ::send(descriptor_, state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
         (errno != EAGAIN && errno != ENOBUFS);
}

}  // namespace unina
