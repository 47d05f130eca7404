// A build without NvSci's headers: the accelerator is not there, and says so.
#include "cudla/standalone_build.h"
#include "unina/error.h"

namespace unina {

const bool kHasCudlaStandalone = false;

std::string why_no_cudla_standalone(int) {
  return "this build has no cudla-standalone; it is made with UNINA_NVSCI_INCLUDE";
}

std::unique_ptr<Accelerator> load_cudla_standalone(const DlaOptions& options, const Manifest&) {
  throw Error(why_no_cudla_standalone(options.core));
}

}  // namespace unina
