// What this project uses of NVIDIA's NvSciBuf and NvSciSync, declared in its own words after the
// public guide ("NvStreams" in DRIVE OS) and NVIDIA's open samples: JetPack 6 has the libraries and
// no headers of them. The numbers are ours, not NVIDIA's. What is compiled against this file works
// on the stand-ins of the tests and nowhere else, and UNINA_FAKE_SDK keeps it from being installed
// (cmake/no_standins.cmake). tests/runtime/contract_nvsci.cpp holds these lines, and NVIDIA's
// headers where UNINA_NVSCI_INCLUDE names them, against what the code was written for.
#pragma once

#include <cstddef>
#include <cstdint>

#define UNINA_FAKE_SDK 1

// In every program that holds code compiled against this file.
[[gnu::used]] static constexpr char unina_fake_sdk[] = "UNINA_FAKE_SDK";

extern "C" {

enum NvSciError {
  NvSciError_Success = 0,
  NvSciError_Unknown = 9001,
  NvSciError_NotSupported,
  NvSciError_BadParameter,
  NvSciError_InsufficientMemory,
  NvSciError_Timeout,
  NvSciError_ReconciliationFailed,
};
typedef enum NvSciError NvSciError;

typedef struct NvSciBufModuleRec* NvSciBufModule;
typedef struct NvSciBufAttrListRec* NvSciBufAttrList;
typedef struct NvSciBufObjRefRec* NvSciBufObj;

enum NvSciBufAttrKey {
  NvSciBufGeneralAttrKey_Types = 9101,   // NvSciBufType
  NvSciBufGeneralAttrKey_NeedCpuAccess,  // bool
  NvSciBufGeneralAttrKey_RequiredPerm,   // NvSciBufAttrValAccessPerm
  NvSciBufRawBufferAttrKey_Size,         // uint64_t
  NvSciBufRawBufferAttrKey_Align,        // uint64_t
};
typedef enum NvSciBufAttrKey NvSciBufAttrKey;
enum NvSciBufType { NvSciBufType_RawBuffer = 9201 };
typedef enum NvSciBufType NvSciBufType;
enum NvSciBufAttrValAccessPerm { NvSciBufAccessPerm_ReadWrite = 9301 };
typedef enum NvSciBufAttrValAccessPerm NvSciBufAttrValAccessPerm;

struct NvSciBufAttrKeyValuePair {
  NvSciBufAttrKey key;
  const void* value;
  std::size_t len;
};
typedef struct NvSciBufAttrKeyValuePair NvSciBufAttrKeyValuePair;

NvSciError NvSciBufModuleOpen(NvSciBufModule* module);
void NvSciBufModuleClose(NvSciBufModule module);
NvSciError NvSciBufAttrListCreate(NvSciBufModule module, NvSciBufAttrList* list);
NvSciError NvSciBufAttrListSetAttrs(NvSciBufAttrList list, NvSciBufAttrKeyValuePair* pairs,
                                    std::size_t count);
NvSciError NvSciBufAttrListReconcile(const NvSciBufAttrList* lists, std::size_t count,
                                     NvSciBufAttrList* reconciled, NvSciBufAttrList* conflict);
void NvSciBufAttrListFree(NvSciBufAttrList list);
NvSciError NvSciBufObjAlloc(NvSciBufAttrList reconciled, NvSciBufObj* buffer);
NvSciError NvSciBufObjGetCpuPtr(NvSciBufObj buffer, void** pointer);
NvSciError NvSciBufObjFlushCpuCacheRange(NvSciBufObj buffer, uint64_t offset, uint64_t bytes);
void NvSciBufObjFree(NvSciBufObj buffer);

typedef struct NvSciSyncModuleRec* NvSciSyncModule;
typedef struct NvSciSyncAttrListRec* NvSciSyncAttrList;
typedef struct NvSciSyncObjRec* NvSciSyncObj;
typedef struct NvSciSyncCpuWaitContextRec* NvSciSyncCpuWaitContext;

enum NvSciSyncAttrKey {
  NvSciSyncAttrKey_NeedCpuAccess = 9401,        // bool
  NvSciSyncAttrKey_RequiredPerm,                // NvSciSyncAccessPerm
  NvSciSyncAttrKey_RequireDeterministicFences,  // bool
};
typedef enum NvSciSyncAttrKey NvSciSyncAttrKey;
enum NvSciSyncAccessPerm {
  NvSciSyncAccessPerm_WaitOnly = 9501,
  NvSciSyncAccessPerm_SignalOnly,
};
typedef enum NvSciSyncAccessPerm NvSciSyncAccessPerm;

struct NvSciSyncAttrKeyValuePair {
  NvSciSyncAttrKey attrKey;
  const void* value;
  std::size_t len;
};
typedef struct NvSciSyncAttrKeyValuePair NvSciSyncAttrKeyValuePair;

// A value that a sync object will reach. All zeros at first; otherwise it holds the object.
struct NvSciSyncFence {
  uint64_t payload[6];
};
typedef struct NvSciSyncFence NvSciSyncFence;

NvSciError NvSciSyncModuleOpen(NvSciSyncModule* module);
void NvSciSyncModuleClose(NvSciSyncModule module);
NvSciError NvSciSyncAttrListCreate(NvSciSyncModule module, NvSciSyncAttrList* list);
NvSciError NvSciSyncAttrListSetAttrs(NvSciSyncAttrList list, const NvSciSyncAttrKeyValuePair* pairs,
                                     std::size_t count);
NvSciError NvSciSyncAttrListReconcile(const NvSciSyncAttrList* lists, std::size_t count,
                                      NvSciSyncAttrList* reconciled, NvSciSyncAttrList* conflict);
void NvSciSyncAttrListFree(NvSciSyncAttrList list);
NvSciError NvSciSyncObjAlloc(NvSciSyncAttrList reconciled, NvSciSyncObj* object);
NvSciError NvSciSyncObjGenerateFence(NvSciSyncObj object, NvSciSyncFence* fence);
NvSciError NvSciSyncObjSignal(NvSciSyncObj object);
void NvSciSyncObjFree(NvSciSyncObj object);
NvSciError NvSciSyncCpuWaitContextAlloc(NvSciSyncModule module, NvSciSyncCpuWaitContext* context);
void NvSciSyncCpuWaitContextFree(NvSciSyncCpuWaitContext context);
NvSciError NvSciSyncFenceWait(const NvSciSyncFence* fence, NvSciSyncCpuWaitContext context,
                              int64_t timeout_us);
NvSciError NvSciSyncFenceUpdateFence(NvSciSyncObj object, uint64_t id, uint64_t value,
                                     NvSciSyncFence* fence);
NvSciError NvSciSyncFenceExtractFence(const NvSciSyncFence* fence, uint64_t* id, uint64_t* value);
void NvSciSyncFenceClear(NvSciSyncFence* fence);

}  // extern "C"
