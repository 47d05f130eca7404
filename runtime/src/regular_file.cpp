#include "regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "unina/error.h"

namespace unina {
namespace {

std::string reason() { return std::generic_category().message(errno); }

}  // namespace

RegularFile::RegularFile(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor_ < 0) {
    throw Error(path_ + ": " +
                (errno == ELOOP ? "is a link, which a bundle may not hold" : reason()));
  }
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw Error(path_ + ": is not a regular file");
  }
  bytes_ = static_cast<std::uint64_t>(status.st_size);
}

RegularFile::~RegularFile() { ::close(descriptor_); }

std::size_t RegularFile::read(void* buffer, std::size_t most) {
  while (true) {
    const ssize_t got = ::read(descriptor_, buffer, most);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw Error(path_ + ": cannot read: " + reason());
  }
}

}  // namespace unina
