#include "detector_flags.h"

#include <map>

#include "program.h"
#include "unina/accelerators.h"
#include "unina/tensorrt_options.h"

namespace unina {
namespace {

constexpr const char* kGroup = "Accelerator";

}  // namespace

std::vector<DlaOptions> DetectorFlags::cores() const {
  return dla_options(dla, dla_loadables, dla_timeout_ms, deterministic_semaphores);
}

void add_detector_flags(CLI::App& app, DetectorFlags& flags) {
  DetectorOptions& options = flags.options;
  options.threads = default_threads();
  app.add_option("--bundle", flags.bundle, "The model: a .unina directory")->required();
  std::string names;
  for (const std::string& name : accelerator_names()) {
    if (name != "auto") names += name + ", ";
  }
  app.add_option("--accelerator", options.accelerator,
                 "What runs the network: " + names +
                     "or auto: the first of them that fits machine and bundle; the output says "
                     "which and why")
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--dla", flags.dla,
                 "The DLA core, 0 or 1, or both: frames take turns and keep their order")
      ->capture_default_str()
      ->group(kGroup);
  app.add_option(
         "--dla-loadable", flags.dla_loadables,
         "The network compiled for the DLA, as trtexec --buildDLAStandalone writes it; with "
         "--dla both once for each core, or once for both")
      ->allow_extra_args(false)
      ->group(kGroup);
  app.add_option("--dla-timeout-ms", flags.dla_timeout_ms,
                 "How long one frame may take on the DLA before the program gives up")
      ->capture_default_str()
      ->group(kGroup);
  app.add_flag(
         "--deterministic-semaphores", flags.deterministic_semaphores,
         "For cudla-standalone on old releases (JetPack 5): fences are counted by the program")
      ->group(kGroup);
  app.add_option("--engine", options.tensorrt.engine,
                 "A TensorRT engine, for the accelerator tensorrt (in builds that have it)")
      ->group(kGroup);
  const std::map<std::string, int> devices(kEngineDevices.begin(), kEngineDevices.end());
  app.add_option("--engine-on", options.tensorrt.dla_core,
                 "Where the engine runs, as it was built: gpu, dla0 or dla1 (default gpu)")
      ->transform(CLI::Transformer(devices).description(""))
      ->check(CLI::Range(-1, 1).description(""))
      ->group(kGroup);
  app.add_option("--preprocess", options.preprocess,
                 "What makes the network's input of a picture: cpu, or gpu for cudla-hybrid and "
                 "tensorrt in a build with CUDA")
      ->check(CLI::IsMember({"cpu", "gpu"}))
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--threads", options.threads, "Threads of the host accelerator, 1 to 256")
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--score-threshold", options.score_threshold,
                 "Least score of a detection, 0 to 1, instead of the bundle's own");
}

}  // namespace unina
