// The calls of NvBufSurface that we make, found in NVIDIA's library when the first picture in NVMM
// memory comes.
#pragma once

#include "nvmm/nvbufsurface_abi.h"

// Every call, once: the table below and the contract of the tests are made of this list.
#define UNINA_NVBUF_CALLS(X) \
  X(NvBufSurfaceMap)         \
  X(NvBufSurfaceUnMap)       \
  X(NvBufSurfaceSyncForCpu)

namespace unina {

struct NvBufSurfaceLibrary {
#define UNINA_CALL(name) decltype(&::name) name = nullptr;
  UNINA_NVBUF_CALLS(UNINA_CALL)
#undef UNINA_CALL

  // The process's one table. Throws Error saying which library or symbol is missing.
  static const NvBufSurfaceLibrary& get();
};

}  // namespace unina
