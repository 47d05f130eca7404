#include "unina/accelerators.h"

#include <algorithm>

#include "printable.h"
#include "unina/error.h"
#include "unina/host_engine.h"

namespace unina {

const std::vector<std::string>& accelerator_names() {
  static const std::vector<std::string> names = {"auto", "host"};
  return names;
}

std::unique_ptr<Accelerator> make_accelerator(const std::string& name, const Bundle& bundle,
                                              int threads) {
  const std::vector<std::string>& names = accelerator_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    std::string list;
    for (const std::string& known : names) list += (list.empty() ? "" : ", ") + known;
    throw Error("accelerator " + printable(name) + " is not in this build; it has: " + list);
  }
  HostEngineOptions options;
  options.threads = threads;
  options.rounding = bundle.manifest().rounding;
  return HostEngine::parse(bundle.read("host.loadable"), bundle.directory() + "/host.loadable",
                           options);
}

}  // namespace unina
