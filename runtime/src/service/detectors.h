// What the service detects with: one detector, or one on each core of the DLA.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "service/configuration.h"
#include "unina/interleaved_detector.h"

namespace unina {

struct Detectors {
  std::unique_ptr<InterleavedDetector> interleaved;
  std::vector<std::string> devices;  // one each: "dla0", "dla1", "gpu" or "host"

  const Manifest& manifest() const { return interleaved->detector().manifest(); }
};

// Of one that the caller made.
Detectors detectors_of(std::unique_ptr<Detector> detector);

// Throws Error.
Detectors open_detectors(const Configuration& configuration);

// The first inference of each, on a grey picture: a network that cannot run is refused while the
// one before it is still there. Throws Error.
void try_out(Detectors& detectors);

}  // namespace unina
