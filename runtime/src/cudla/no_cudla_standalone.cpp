// A build without NvSci's headers: the accelerator is not there, and says so.
#include "cudla/standalone_build.h"
#include "unina/error.h"

namespace unina {

const bool kHasCudlaStandalone = false;

std::unique_ptr<Accelerator> load_cudla_standalone(const DlaOptions&, const Manifest&) {
  throw Error("this build has no cudla-standalone; it is made with UNINA_NVSCI_INCLUDE");
}

}  // namespace unina
