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
  // Throws Error.
  RingSink(const std::string& path, int slots, int max_detections,
           const std::vector<std::string>& classes, unsigned mode);
  ~RingSink();  // says that it is closed, and removes the file
  RingSink(const RingSink&) = delete;
  RingSink& operator=(const RingSink&) = delete;

  // Never waits, never allocates. Detections beyond max_detections are left out.
  void write(const Report& report);

 private:
  std::string path_;
  std::size_t bytes_ = 0;
  unina_ring_header* header_ = nullptr;
  std::uint64_t next_ = 0;
};

}  // namespace unina
