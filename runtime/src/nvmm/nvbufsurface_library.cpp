#include "nvmm/nvbufsurface_library.h"

#include "cuda/dynamic_library.h"

namespace unina {
namespace {

NvBufSurfaceLibrary open_library() {
  const DynamicLibrary opened({"libnvbufsurface.so.1.0.0", "libnvbufsurface.so"});
  NvBufSurfaceLibrary library;
#define UNINA_CALL(name) opened.find(#name, library.name);
  UNINA_NVBUF_CALLS(UNINA_CALL)
#undef UNINA_CALL
  return library;
}

}  // namespace

const NvBufSurfaceLibrary& NvBufSurfaceLibrary::get() {
  static const NvBufSurfaceLibrary library = open_library();
  return library;
}

}  // namespace unina
