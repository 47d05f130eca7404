#include "service/detectors.h"

#include <cstdint>
#include <utility>

namespace unina {

Detectors detectors_of(std::unique_ptr<Detector> detector) {
  std::vector<std::unique_ptr<Detector>> one;
  one.push_back(std::move(detector));
  return {std::make_unique<InterleavedDetector>(std::move(one)), {"host"}};
}

Detectors open_detectors(const Configuration& configuration) {
  DetectorOptions options;
  options.accelerator = configuration.accelerator;
  options.score_threshold = configuration.score_threshold;
  options.preprocess = configuration.preprocess;
  options.threads = configuration.threads;
  options.tensorrt = configuration.tensorrt;
  const std::vector<DlaOptions> cores = configuration.dla_cores();
  Detectors made;
  made.interleaved = std::make_unique<InterleavedDetector>(configuration.bundle, options, cores);
  const std::string accelerator = made.interleaved->detector().accelerator_name();
  for (std::size_t i = 0; i < made.interleaved->capacity(); ++i) {
    if (accelerator == "host") {
      made.devices.push_back(accelerator);
    } else {
      const int core = accelerator == "tensorrt" ? options.tensorrt.dla_core : cores[i].core;
      made.devices.push_back(core < 0 ? "gpu" : "dla" + std::to_string(core));
    }
  }
  return made;
}

void try_out(Detectors& detectors) {
  const Manifest& manifest = detectors.manifest();
  const ManifestTensor& input = manifest.tensor(manifest.input_name);
  const std::size_t row = 3 * static_cast<std::size_t>(input.width);
  const std::vector<std::uint8_t> grey(row * static_cast<std::size_t>(input.height), 128);
  for (std::size_t i = 0; i < detectors.interleaved->capacity(); ++i) {
    detectors.interleaved->put({grey.data(), input.width, input.height, row});
  }
  while (detectors.interleaved->under_way() > 0) detectors.interleaved->take();
}

}  // namespace unina
