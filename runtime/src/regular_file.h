// Reads regular files only: no links, no devices, no pipes that would block.
#pragma once

#include <cstdint>
#include <string>

namespace unina {

class RegularFile {
 public:
  // Throws Error naming the path and the reason.
  explicit RegularFile(std::string path);
  ~RegularFile();
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  std::uint64_t bytes() const { return bytes_; }
  // Up to `most` next bytes into `buffer`; 0 at the end. Throws Error.
  std::size_t read(void* buffer, std::size_t most);

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t bytes_ = 0;
};

}  // namespace unina
