#include "cudla/cudla_external.h"

namespace unina {

const CudlaExternalCalls& CudlaExternalCalls::get() {
  static const CudlaExternalCalls calls = [] {
    CudlaExternalCalls made;
#define UNINA_CALL(name) CudlaLibrary::library().find(#name, made.name);
    UNINA_CUDLA_EXTERNAL_CALLS(UNINA_CALL)
#undef UNINA_CALL
    return made;
  }();
  return calls;
}

}  // namespace unina
