// A listening Unix socket that belongs to this process, and goes with it.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <string>

namespace unina {

class UnixListener {
 public:
  // `type` is SOCK_STREAM or SOCK_SEQPACKET. A socket that a dead process left at the path is
  // replaced. Throws Error when somebody listens there, when something else stands there, or when
  // the directory is missing.
  UnixListener(std::string path, int type, mode_t mode);
  ~UnixListener();
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;

  int descriptor() const { return descriptor_; }
  // The next connection, not blocking and closed on exec, or -1 when nobody waits.
  int accept() const;

 private:
  std::string path_;
  int descriptor_ = -1;
  ino_t inode_ = 0;
};

// Of what stands at the path; 0 where nothing does.
ino_t inode_at(const std::string& path);

// Removes a socket that a dead process left at the path. Throws Error when somebody listens there,
// and when something else stands there.
void remove_abandoned_socket(const std::string& path, int type);

// Connects to a socket; gives up after 10 s. Throws Error.
int connect_unix(const std::string& path, int type);

}  // namespace unina
