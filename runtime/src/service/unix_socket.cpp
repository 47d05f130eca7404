#include "service/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "unina/error.h"

namespace unina {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw Error(path + ": a socket's path has 1 to " + std::to_string(sizeof address.sun_path - 1) +
                " bytes; this one has " + std::to_string(path.size()));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

std::string reason() { return std::strerror(errno); }

}  // namespace

ino_t inode_at(const std::string& path) {
  struct stat status{};
  return lstat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

void remove_abandoned_socket(const std::string& path, int type) {
  const sockaddr_un address = address_of(path);
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) {
    throw Error(path + ": is there already and is no socket; move it or configure another path");
  }
  const int probe = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int connected = connect(probe, generic(address), sizeof address);
  const int why = errno;
  if (probe >= 0) close(probe);
  if (connected != 0 && why == ECONNREFUSED) {
    unlink(path.c_str());
    return;
  }
  if (connected != 0 && why != EAGAIN && why != EPROTOTYPE) {
    throw Error(path + ": whether somebody listens there cannot be seen: " + std::strerror(why));
  }
  throw Error(path + ": another process listens there; stop it or configure another path");
}

UnixListener::UnixListener(std::string path, int type, mode_t mode) : path_(std::move(path)) {
  const sockaddr_un address = address_of(path_);
  remove_abandoned_socket(path_, type);
  descriptor_ = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor_ < 0) throw Error(path_ + ": no socket: " + reason());
  // Nobody may connect before the mode is the one that was asked for.
  if (fchmod(descriptor_, mode) != 0 || bind(descriptor_, generic(address), sizeof address) != 0 ||
      chmod(path_.c_str(), mode) != 0 || listen(descriptor_, 16) != 0) {
    const std::string why = reason();
    close(descriptor_);
    throw Error(path_ + ": cannot listen there: " + why);
  }
  inode_ = inode_at(path_);
}

UnixListener::~UnixListener() {
  // Somebody may have put another socket there. Removed first: once this one is closed, the path
  // may be another process's.
  if (inode_at(path_) == inode_) unlink(path_.c_str());
  close(descriptor_);
}

int UnixListener::accept() const {
  return ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int connect_unix(const std::string& path, int type) {
  const sockaddr_un address = address_of(path);
  const int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  // A service that hangs takes no connections, and its queue may be full.
  const timeval patience{10, 0};
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (descriptor < 0 || connect(descriptor, generic(address), sizeof address) != 0) {
    const std::string why = reason();
    if (descriptor >= 0) close(descriptor);
    throw Error(path + ": " + why + "; is the service running?");
  }
  return descriptor;
}

}  // namespace unina
