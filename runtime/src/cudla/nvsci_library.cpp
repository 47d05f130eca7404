#include "cudla/nvsci_library.h"

#include "cuda/dynamic_library.h"
#include "unina/error.h"

namespace unina {
namespace {

NvSciLibrary open_library() {
  const DynamicLibrary buffers({"libnvscibuf.so.1", "libnvscibuf.so"});
  const DynamicLibrary sync({"libnvscisync.so.1", "libnvscisync.so"});
  NvSciLibrary library;
#define UNINA_CALL(name) buffers.find(#name, library.name);
  UNINA_NVSCIBUF_CALLS(UNINA_CALL)
#undef UNINA_CALL
#define UNINA_CALL(name) sync.find(#name, library.name);
  UNINA_NVSCISYNC_CALLS(UNINA_CALL)
#undef UNINA_CALL
  return library;
}

}  // namespace

const NvSciLibrary& NvSciLibrary::get() {
  static const NvSciLibrary library = open_library();
  return library;
}

void NvSciLibrary::require(const char* call, NvSciError error) {
  if (error == NvSciError_Success) return;
  throw Error(std::string(call) + ": NvSci error " + std::to_string(static_cast<int>(error)));
}

void NvSciLibrary::require(const char* call, NvSciError error, const void* given) {
  require(call, error);
  if (given == nullptr) throw Error(std::string(call) + ": success, but it gave nothing");
}

}  // namespace unina
