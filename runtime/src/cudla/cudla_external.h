// The calls of cuDLA that bring NvSci's buffers and sync objects to a core in standalone mode.
#pragma once

#include "cudla/cudla_library.h"

#define UNINA_CUDLA_EXTERNAL_CALLS(X) \
  X(cudlaImportExternalMemory)        \
  X(cudlaGetNvSciSyncAttributes)      \
  X(cudlaImportExternalSemaphore)

namespace unina {

// Like CudlaLibrary, for the standalone mode only.
struct CudlaExternalCalls {
#define UNINA_CALL(name) decltype(&::name) name = nullptr;
  UNINA_CUDLA_EXTERNAL_CALLS(UNINA_CALL)
#undef UNINA_CALL

  // The process's one table. Throws Error saying which library or symbol is missing.
  static const CudlaExternalCalls& get();
};

}  // namespace unina
