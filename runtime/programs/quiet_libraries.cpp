#include "quiet_libraries.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace unina {

QuietLibraries::QuietLibraries() : kept_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  std::fflush(stderr);
  if (kept_ >= 0 && nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
  if (nowhere >= 0) ::close(nowhere);
}

QuietLibraries::~QuietLibraries() {
  if (kept_ < 0) return;
  std::fflush(stderr);
  ::dup2(kept_, STDERR_FILENO);
  ::close(kept_);
}

}  // namespace unina
