// Where a fuzz target puts a file or a socket: in memory where the system has such a place, and
// gone when the process ends.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

namespace unina::fuzz {

class MemoryPath {
 public:
  explicit MemoryPath(const std::string& suffix) {
    const std::filesystem::path memory = "/dev/shm";
    const bool usable = access(memory.c_str(), W_OK) == 0;
    path_ = ((usable ? memory : std::filesystem::temp_directory_path()) /
             ("unina-fuzz-" + std::to_string(getpid()) + suffix))
                .string();
  }
  ~MemoryPath() { unlink(path_.c_str()); }
  MemoryPath(const MemoryPath&) = delete;
  MemoryPath& operator=(const MemoryPath&) = delete;

  const std::string& get() const { return path_; }

 private:
  std::string path_;
};

}  // namespace unina::fuzz
