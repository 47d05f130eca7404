#include "unina/accelerators.h"

#include <algorithm>

#include "cudla/cudla_hybrid.h"
#include "cudla/standalone_build.h"
#include "joined.h"
#include "printable.h"
#include "tensorrt/nvinfer_adapter.h"
#include "tensorrt/tensorrt.h"
#include "unina/error.h"
#include "unina/host_engine.h"

namespace unina {
namespace {

constexpr char kHostFile[] = "host.loadable";

AcceleratorCandidate cudla_hybrid(const DlaOptions& dla) {
  AcceleratorCandidate candidate{"cudla-hybrid", false, ""};
  if (dla.loadable.empty()) {
    candidate.reason = "no DLA loadable was given";
    return candidate;
  }
  const std::string lacks = CudlaHybrid::why_unavailable(dla.core);
  candidate.usable = lacks.empty();
  candidate.reason = lacks.empty() ? "a loadable for DLA core " + std::to_string(dla.core) : lacks;
  return candidate;
}

AcceleratorCandidate tensorrt(const TensorRtOptions& options) {
  const std::string lacks = why_no_tensorrt();
  const std::string where =
      options.dla_core < 0 ? "the GPU" : "DLA core " + std::to_string(options.dla_core);
  return {"tensorrt", lacks.empty(), lacks.empty() ? "an engine for " + where : lacks};
}

AcceleratorCandidate host(const Bundle& bundle) {
  const bool usable = bundle.manifest().files.count(kHostFile) != 0;
  return {"host", usable,
          usable ? std::string("runs everywhere") : std::string("the bundle has no ") + kHostFile};
}

}  // namespace

const std::vector<std::string>& accelerator_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> made = {"auto", "cudla-hybrid"};
    if (kHasCudlaStandalone) made.push_back("cudla-standalone");
    if (kHasTensorRt) made.push_back("tensorrt");
    made.push_back("host");
    return made;
  }();
  return names;
}

std::vector<AcceleratorCandidate> accelerator_candidates(const Bundle& bundle,
                                                         const DlaOptions& dla,
                                                         const TensorRtOptions& tensorrt_options) {
  // Not cudla-standalone: no device has shown it yet, so it has to be asked for.
  std::vector<AcceleratorCandidate> candidates = {cudla_hybrid(dla)};
  // Nobody who has no engine wants to hear of it.
  if (!tensorrt_options.engine.empty()) candidates.push_back(tensorrt(tensorrt_options));
  candidates.push_back(host(bundle));
  return candidates;
}

AcceleratorCandidate choose_accelerator(const std::string& name, const Bundle& bundle,
                                        const DlaOptions& dla,
                                        const TensorRtOptions& tensorrt_options) {
  const std::vector<std::string>& names = accelerator_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw Error("accelerator " + printable(name) +
                " is not in this build; it has: " + joined(names));
  }
  if (name != "auto") return {name, true, "asked for"};
  std::string lacking;
  for (AcceleratorCandidate& candidate : accelerator_candidates(bundle, dla, tensorrt_options)) {
    if (candidate.usable) {
      candidate.reason += lacking;
      return candidate;
    }
    lacking += "; not " + candidate.name + ": " + candidate.reason;
  }
  throw Error(bundle.directory() + ": no accelerator can run it" + lacking);
}

std::unique_ptr<Accelerator> make_accelerator(const std::string& name, const Bundle& bundle,
                                              int threads, const DlaOptions& dla,
                                              const TensorRtOptions& tensorrt_options) {
  const std::string chosen = choose_accelerator(name, bundle, dla, tensorrt_options).name;
  if (chosen == "cudla-hybrid") return CudlaHybrid::load(dla, bundle.manifest());
  if (chosen == "cudla-standalone") return load_cudla_standalone(dla, bundle.manifest());
  if (chosen == "tensorrt") {
    return TensorRt::load(tensorrt_options, bundle.manifest(), open_tensorrt());
  }
  HostEngineOptions options;
  options.threads = threads;
  options.rounding = bundle.manifest().rounding;
  return HostEngine::parse(bundle.read(kHostFile), bundle.directory() + "/" + kHostFile, options);
}

}  // namespace unina
