// What our code relies on in NvSci's headers. Compiled in every build against our own declarations,
// and by test_contracts.py against NVIDIA's where UNINA_NVSCI_INCLUDE names them. The numbers of
// the enumerators are NVIDIA's own affair: the code uses their names only.
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "cudla/nvsci_library.h"

#if defined(UNINA_NVSCI_REAL) == defined(UNINA_FAKE_SDK)
#error "NVIDIA's headers or ours, and the latter say so"
#endif

namespace contract {

using NvSciBufModuleOpen = NvSciError (*)(NvSciBufModule*);
using NvSciBufModuleClose = void (*)(NvSciBufModule);
using NvSciBufAttrListCreate = NvSciError (*)(NvSciBufModule, NvSciBufAttrList*);
using NvSciBufAttrListSetAttrs = NvSciError (*)(NvSciBufAttrList, NvSciBufAttrKeyValuePair*,
                                                std::size_t);
using NvSciBufAttrListReconcile = NvSciError (*)(const NvSciBufAttrList*, std::size_t,
                                                 NvSciBufAttrList*, NvSciBufAttrList*);
using NvSciBufAttrListFree = void (*)(NvSciBufAttrList);
using NvSciBufObjAlloc = NvSciError (*)(NvSciBufAttrList, NvSciBufObj*);
using NvSciBufObjGetCpuPtr = NvSciError (*)(NvSciBufObj, void**);
using NvSciBufObjFlushCpuCacheRange = NvSciError (*)(NvSciBufObj, std::uint64_t, std::uint64_t);
using NvSciBufObjFree = void (*)(NvSciBufObj);

using NvSciSyncModuleOpen = NvSciError (*)(NvSciSyncModule*);
using NvSciSyncModuleClose = void (*)(NvSciSyncModule);
using NvSciSyncAttrListCreate = NvSciError (*)(NvSciSyncModule, NvSciSyncAttrList*);
using NvSciSyncAttrListSetAttrs = NvSciError (*)(NvSciSyncAttrList,
                                                 const NvSciSyncAttrKeyValuePair*, std::size_t);
using NvSciSyncAttrListReconcile = NvSciError (*)(const NvSciSyncAttrList*, std::size_t,
                                                  NvSciSyncAttrList*, NvSciSyncAttrList*);
using NvSciSyncAttrListFree = void (*)(NvSciSyncAttrList);
using NvSciSyncObjAlloc = NvSciError (*)(NvSciSyncAttrList, NvSciSyncObj*);
using NvSciSyncObjGenerateFence = NvSciError (*)(NvSciSyncObj, NvSciSyncFence*);
using NvSciSyncObjSignal = NvSciError (*)(NvSciSyncObj);
using NvSciSyncObjFree = void (*)(NvSciSyncObj);
using NvSciSyncCpuWaitContextAlloc = NvSciError (*)(NvSciSyncModule, NvSciSyncCpuWaitContext*);
using NvSciSyncCpuWaitContextFree = void (*)(NvSciSyncCpuWaitContext);
using NvSciSyncFenceWait = NvSciError (*)(const NvSciSyncFence*, NvSciSyncCpuWaitContext,
                                          std::int64_t);
using NvSciSyncFenceUpdateFence = NvSciError (*)(NvSciSyncObj, std::uint64_t, std::uint64_t,
                                                 NvSciSyncFence*);
using NvSciSyncFenceExtractFence = NvSciError (*)(const NvSciSyncFence*, std::uint64_t*,
                                                  std::uint64_t*);
using NvSciSyncFenceClear = void (*)(NvSciSyncFence*);

// Every call of the tables: one that has no line above does not compile.
#define UNINA_CALL(name)                                                   \
  static_assert(std::is_same_v<decltype(&::name), contract::name>, #name); \
  static_assert(std::is_same_v<decltype(unina::NvSciLibrary::name), contract::name>, #name);
UNINA_NVSCIBUF_CALLS(UNINA_CALL)
UNINA_NVSCISYNC_CALLS(UNINA_CALL)
#undef UNINA_CALL

static_assert(std::is_pointer_v<NvSciBufModule> && std::is_pointer_v<NvSciBufAttrList> &&
              std::is_pointer_v<NvSciBufObj> && std::is_pointer_v<NvSciSyncModule> &&
              std::is_pointer_v<NvSciSyncAttrList> && std::is_pointer_v<NvSciSyncObj> &&
              std::is_pointer_v<NvSciSyncCpuWaitContext>);

static_assert(NvSciError_Success == 0);
static_assert(NvSciError_Timeout != NvSciError_Success);
static_assert(NvSciBufAccessPerm_ReadWrite != 0);
static_assert(NvSciSyncAccessPerm_WaitOnly != NvSciSyncAccessPerm_SignalOnly);

// What attribute lists are told of is of the type that NvSci reads there.
static_assert(std::is_same_v<decltype(NvSciBufAttrKeyValuePair::key), NvSciBufAttrKey>);
static_assert(std::is_same_v<decltype(NvSciBufAttrKeyValuePair::value), const void*>);
static_assert(std::is_same_v<decltype(NvSciBufAttrKeyValuePair::len), std::size_t>);
static_assert(std::is_same_v<decltype(NvSciSyncAttrKeyValuePair::attrKey), NvSciSyncAttrKey>);
static_assert(std::is_same_v<decltype(NvSciSyncAttrKeyValuePair::value), const void*>);
static_assert(std::is_same_v<decltype(NvSciSyncAttrKeyValuePair::len), std::size_t>);
static_assert(std::is_same_v<decltype(NvSciBufGeneralAttrKey_Types), NvSciBufAttrKey> &&
              std::is_same_v<decltype(NvSciBufGeneralAttrKey_NeedCpuAccess), NvSciBufAttrKey> &&
              std::is_same_v<decltype(NvSciBufGeneralAttrKey_RequiredPerm), NvSciBufAttrKey> &&
              std::is_same_v<decltype(NvSciBufRawBufferAttrKey_Size), NvSciBufAttrKey> &&
              std::is_same_v<decltype(NvSciBufRawBufferAttrKey_Align), NvSciBufAttrKey>);
static_assert(std::is_same_v<decltype(NvSciBufType_RawBuffer), NvSciBufType>);
static_assert(std::is_same_v<decltype(NvSciBufAccessPerm_ReadWrite), NvSciBufAttrValAccessPerm>);
static_assert(
    std::is_same_v<decltype(NvSciSyncAttrKey_NeedCpuAccess), NvSciSyncAttrKey> &&
    std::is_same_v<decltype(NvSciSyncAttrKey_RequiredPerm), NvSciSyncAttrKey> &&
    std::is_same_v<decltype(NvSciSyncAttrKey_RequireDeterministicFences), NvSciSyncAttrKey>);

// A fence of all zeros is one that was never set, and bytes may be copied.
static_assert(std::is_trivially_copyable_v<NvSciSyncFence>);
static_assert(sizeof(NvSciSyncFence) % 8 == 0);

}  // namespace contract
