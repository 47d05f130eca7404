// The writing side of the shared-memory ring (unina/detection_ring.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "service/report.h"
#include "unina/detection_ring.h"

namespace unina {

class RingSink {
 public:
  // Makes the file anew under its name, by rename, so that readers of an older one keep theirs.
  // Only this process may write it, whatever `mode` says of others: who can write can also cut it
  // short, and this process would die of it. Throws Error, also when another process writes a ring
  // of that name.
  RingSink(const std::string& path, int slots, int max_detections,
           const std::vector<std::string>& classes, unsigned mode);
  ~RingSink();  // says that it is closed, and removes the file if it is still this one
  RingSink(const RingSink&) = delete;
  RingSink& operator=(const RingSink&) = delete;

  // Never waits, never allocates. Detections beyond max_detections are left out.
  void write(const Report& report);

 private:
  std::string path_;
  int file_ = -1;  // locked as long as it is written
  std::size_t bytes_ = 0;
  unina_ring_header* header_ = nullptr;
  std::uint64_t next_ = 0;
};

}  // namespace unina
