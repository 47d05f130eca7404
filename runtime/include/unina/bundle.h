// A model bundle on disk (docs/bundle.md): opened only when it is whole and unchanged.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "unina/manifest.h"

namespace unina {

class Bundle {
 public:
  // Reads manifest.json and verifies every file's size and SHA-256; refuses files that the manifest
  // does not name, links and whatever is not a regular file. Throws Error naming file, value,
  // reason, remedy.
  static Bundle open(const std::string& directory);

  const std::string& directory() const { return directory_; }
  const Manifest& manifest() const { return manifest_; }

  // The bytes of a file that the manifest names, verified again as they are read.
  std::vector<std::uint8_t> read(const std::string& name) const;

 private:
  std::string directory_;
  Manifest manifest_;
};

}  // namespace unina
