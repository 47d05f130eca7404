#include "unina/accelerators.h"

#include <algorithm>

#include "cudla/cudla_hybrid.h"
#include "printable.h"
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

AcceleratorCandidate host(const Bundle& bundle) {
  const bool usable = bundle.manifest().files.count(kHostFile) != 0;
  return {"host", usable,
          usable ? std::string("runs everywhere") : std::string("the bundle has no ") + kHostFile};
}

}  // namespace

const std::vector<std::string>& accelerator_names() {
  static const std::vector<std::string> names = {"auto", "cudla-hybrid", "host"};
  return names;
}

std::vector<AcceleratorCandidate> accelerator_candidates(const Bundle& bundle,
                                                         const DlaOptions& dla) {
  return {cudla_hybrid(dla), host(bundle)};
}

AcceleratorCandidate choose_accelerator(const std::string& name, const Bundle& bundle,
                                        const DlaOptions& dla) {
  const std::vector<std::string>& names = accelerator_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    std::string list;
    for (const std::string& known : names) list += (list.empty() ? "" : ", ") + known;
    throw Error("accelerator " + printable(name) + " is not in this build; it has: " + list);
  }
  if (name != "auto") return {name, true, "asked for"};
  std::string lacking;
  for (AcceleratorCandidate& candidate : accelerator_candidates(bundle, dla)) {
    if (candidate.usable) {
      candidate.reason += lacking;
      return candidate;
    }
    lacking += "; not " + candidate.name + ": " + candidate.reason;
  }
  throw Error(bundle.directory() + ": no accelerator can run it" + lacking);
}

std::unique_ptr<Accelerator> make_accelerator(const std::string& name, const Bundle& bundle,
                                              int threads, const DlaOptions& dla) {
  if (choose_accelerator(name, bundle, dla).name == "cudla-hybrid") {
    return CudlaHybrid::load(dla, bundle.manifest());
  }
  HostEngineOptions options;
  options.threads = threads;
  options.rounding = bundle.manifest().rounding;
  return HostEngine::parse(bundle.read(kHostFile), bundle.directory() + "/" + kHostFile, options);
}

}  // namespace unina
