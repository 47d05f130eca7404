// The calls of NvSciBuf and NvSciSync that we make, found in NVIDIA's libraries when first needed.
#pragma once

#include <memory>
#include <string>
#include <type_traits>

#include "cudla/nvsci_abi.h"

// Every call, once: the table below and the fault matrix of the tests are made of these lists.
#define UNINA_NVSCIBUF_CALLS(X)    \
  X(NvSciBufModuleOpen)            \
  X(NvSciBufModuleClose)           \
  X(NvSciBufAttrListCreate)        \
  X(NvSciBufAttrListSetAttrs)      \
  X(NvSciBufAttrListReconcile)     \
  X(NvSciBufAttrListFree)          \
  X(NvSciBufObjAlloc)              \
  X(NvSciBufObjGetCpuPtr)          \
  X(NvSciBufObjFlushCpuCacheRange) \
  X(NvSciBufObjFree)

#define UNINA_NVSCISYNC_CALLS(X)  \
  X(NvSciSyncModuleOpen)          \
  X(NvSciSyncModuleClose)         \
  X(NvSciSyncAttrListCreate)      \
  X(NvSciSyncAttrListSetAttrs)    \
  X(NvSciSyncAttrListReconcile)   \
  X(NvSciSyncAttrListFree)        \
  X(NvSciSyncObjAlloc)            \
  X(NvSciSyncObjGenerateFence)    \
  X(NvSciSyncObjSignal)           \
  X(NvSciSyncObjFree)             \
  X(NvSciSyncCpuWaitContextAlloc) \
  X(NvSciSyncCpuWaitContextFree)  \
  X(NvSciSyncFenceWait)           \
  X(NvSciSyncFenceUpdateFence)    \
  X(NvSciSyncFenceExtractFence)   \
  X(NvSciSyncFenceClear)

namespace unina {

struct NvSciLibrary {
#define UNINA_CALL(name) decltype(&::name) name = nullptr;
  UNINA_NVSCIBUF_CALLS(UNINA_CALL)
  UNINA_NVSCISYNC_CALLS(UNINA_CALL)
#undef UNINA_CALL

  // The process's one table. Throws Error saying which library or symbol is missing.
  static const NvSciLibrary& get();

  // Throws Error("NvSciBufObjAlloc: NvSci error 5") unless `error` is NvSciError_Success. NvSci has
  // no function that names its errors.
  static void require(const char* call, NvSciError error);
  // For calls that give something: throws also when they report success and give nothing.
  static void require(const char* call, NvSciError error, const void* given);
};

// Something of NvSci's with the call that releases it, which reports nothing.
template <typename Handle>
using SciOwner = std::unique_ptr<std::remove_pointer_t<Handle>, void (*)(Handle)>;

// What `open` writes, owned. Throws Error naming `call`, and releases what came with an error.
template <typename Handle, typename Open>
SciOwner<Handle> open_sci(const char* call, Open&& open, void (*close)(Handle)) {
  Handle given = nullptr;
  const NvSciError status = open(&given);
  SciOwner<Handle> owner(given, close);
  NvSciLibrary::require(call, status, given);
  return owner;
}

}  // namespace unina
