// What our code relies on in cuDLA's header. Compiled in every build against our own declarations,
// and by test_contracts.py against NVIDIA's: a difference is an error there.
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "cudla/cudla_external.h"

namespace contract {

using cudlaGetVersion = cudlaStatus (*)(std::uint64_t*);
using cudlaDeviceGetCount = cudlaStatus (*)(std::uint64_t*);
using cudlaCreateDevice = cudlaStatus (*)(std::uint64_t, cudlaDevHandle*, std::uint32_t);
using cudlaModuleLoadFromMemory = cudlaStatus (*)(cudlaDevHandle, const std::uint8_t*, std::size_t,
                                                  cudlaModule*, std::uint32_t);
using cudlaModuleGetAttributes = cudlaStatus (*)(cudlaModule, cudlaModuleAttributeType,
                                                 cudlaModuleAttribute*);
using cudlaMemRegister = cudlaStatus (*)(cudlaDevHandle, const std::uint64_t*, std::size_t,
                                         std::uint64_t**, std::uint32_t);
using cudlaSubmitTask = cudlaStatus (*)(cudlaDevHandle, const cudlaTask*, std::uint32_t, void*,
                                        std::uint32_t);
using cudlaGetLastError = cudlaStatus (*)(cudlaDevHandle);
using cudlaMemUnregister = cudlaStatus (*)(cudlaDevHandle, const std::uint64_t*);
using cudlaModuleUnload = cudlaStatus (*)(cudlaModule, std::uint32_t);
using cudlaDestroyDevice = cudlaStatus (*)(cudlaDevHandle);

using cudlaImportExternalMemory = cudlaStatus (*)(cudlaDevHandle,
                                                  const cudlaExternalMemoryHandleDesc*,
                                                  std::uint64_t**, std::uint32_t);
using cudlaGetNvSciSyncAttributes = cudlaStatus (*)(std::uint64_t*, std::uint32_t);
using cudlaImportExternalSemaphore = cudlaStatus (*)(cudlaDevHandle,
                                                     const cudlaExternalSemaphoreHandleDesc*,
                                                     std::uint64_t**, std::uint32_t);

// Every call of the tables: one that has no line above does not compile.
#define UNINA_CALL(name)                                                   \
  static_assert(std::is_same_v<decltype(&::name), contract::name>, #name); \
  static_assert(std::is_same_v<decltype(unina::CudlaLibrary::name), contract::name>, #name);
UNINA_CUDLA_CALLS(UNINA_CALL)
#undef UNINA_CALL

#define UNINA_CALL(name)                                                   \
  static_assert(std::is_same_v<decltype(&::name), contract::name>, #name); \
  static_assert(std::is_same_v<decltype(unina::CudlaExternalCalls::name), contract::name>, #name);
UNINA_CUDLA_EXTERNAL_CALLS(UNINA_CALL)
#undef UNINA_CALL

static_assert(std::is_same_v<cudlaStatus, enum cudlaStatus> && sizeof(cudlaStatus) == 4);
static_assert(std::is_same_v<cudlaDevHandle, struct cudlaDevHandle_t*>);
static_assert(std::is_same_v<cudlaModule, struct cudlaModule_t*>);

static_assert(cudlaSuccess == 0);
static_assert(cudlaErrorInvalidParam == 1);
static_assert(cudlaErrorOutOfResources == 2);
static_assert(cudlaErrorCreationFailed == 3);
static_assert(cudlaErrorInvalidAddress == 4);
static_assert(cudlaErrorOs == 5);
static_assert(cudlaErrorCuda == 6);
static_assert(cudlaErrorUmd == 7);
static_assert(cudlaErrorInvalidDevice == 8);
static_assert(cudlaErrorInvalidAttribute == 9);
static_assert(cudlaErrorIncompatibleDlaSWVersion == 10);
static_assert(cudlaErrorMemoryRegistered == 11);
static_assert(cudlaErrorInvalidModule == 12);
static_assert(cudlaErrorUnsupportedOperation == 13);
static_assert(cudlaErrorNvSci == 14);
static_assert(cudlaErrorDriverNotFound == 15);
static_assert(cudlaErrorDlaErrInvalidInput == 0x40000001);
static_assert(cudlaErrorDlaErrInvalidPreAction == 0x40000002);
static_assert(cudlaErrorDlaErrNoMem == 0x40000003);
static_assert(cudlaErrorDlaErrProcessorBusy == 0x40000004);
static_assert(cudlaErrorDlaErrTaskStatusMismatch == 0x40000005);
static_assert(cudlaErrorDlaErrEngineTimeout == 0x40000006);
static_assert(cudlaErrorDlaErrDataMismatch == 0x40000007);
static_assert(cudlaErrorUnknown == 0x7fffffff);

static_assert(CUDLA_CUDA_DLA == 0 && CUDLA_STANDALONE == 1);
static_assert(CUDLA_NVSCISYNC_ATTR_WAIT == 1 && CUDLA_NVSCISYNC_ATTR_SIGNAL == 2);
static_assert(CUDLA_NVSCISYNC_FENCE == 1 && CUDLA_READ_WRITE_PERM == 0);
static_assert(CUDLA_NUM_INPUT_TENSORS == 0 && CUDLA_NUM_OUTPUT_TENSORS == 1);
static_assert(CUDLA_INPUT_TENSOR_DESCRIPTORS == 2 && CUDLA_OUTPUT_TENSOR_DESCRIPTORS == 3);
static_assert(sizeof(cudlaModuleAttributeType) == 4);
static_assert(CUDLA_DATA_FORMAT_NCHW == 1 && CUDLA_DATA_FORMAT_NHWC == 2);
static_assert(CUDLA_DATA_FORMAT_NCxHWx == 3);
static_assert(CUDLA_DATA_TYPE_HALF == 2 && CUDLA_DATA_TYPE_INT8 == 4);
static_assert(CUDLA_DATA_CATEGORY_IMAGE == 0 && CUDLA_DATA_CATEGORY_FEATURE == 2);
static_assert(CUDLA_DATA_CATEGORY_PLANAR == 3);

// Name, type and place of a member.
#define UNINA_MEMBER(structure, member, type, offset)               \
  static_assert(std::is_same_v<decltype(structure::member), type>); \
  static_assert(offsetof(structure, member) == (offset), #structure "." #member)

using Name = char[81];
using Strides = std::uint32_t[8];
UNINA_MEMBER(cudlaModuleTensorDescriptor, name, Name, 0);
UNINA_MEMBER(cudlaModuleTensorDescriptor, size, std::uint64_t, 88);
UNINA_MEMBER(cudlaModuleTensorDescriptor, n, std::uint64_t, 96);
UNINA_MEMBER(cudlaModuleTensorDescriptor, c, std::uint64_t, 104);
UNINA_MEMBER(cudlaModuleTensorDescriptor, h, std::uint64_t, 112);
UNINA_MEMBER(cudlaModuleTensorDescriptor, w, std::uint64_t, 120);
UNINA_MEMBER(cudlaModuleTensorDescriptor, dataFormat, std::uint8_t, 128);
UNINA_MEMBER(cudlaModuleTensorDescriptor, dataType, std::uint8_t, 129);
UNINA_MEMBER(cudlaModuleTensorDescriptor, dataCategory, std::uint8_t, 130);
UNINA_MEMBER(cudlaModuleTensorDescriptor, stride, Strides, 136);
static_assert(sizeof(cudlaModuleTensorDescriptor) == 168);

UNINA_MEMBER(cudlaModuleAttribute, numInputTensors, std::uint32_t, 0);
UNINA_MEMBER(cudlaModuleAttribute, numOutputTensors, std::uint32_t, 0);
UNINA_MEMBER(cudlaModuleAttribute, inputTensorDesc, cudlaModuleTensorDescriptor*, 0);
UNINA_MEMBER(cudlaModuleAttribute, outputTensorDesc, cudlaModuleTensorDescriptor*, 0);
static_assert(sizeof(cudlaModuleAttribute) == 8);

UNINA_MEMBER(cudlaTask, moduleHandle, cudlaModule, 0);
UNINA_MEMBER(cudlaTask, outputTensor, std::uint64_t* const*, 8);
UNINA_MEMBER(cudlaTask, numOutputTensors, std::uint32_t, 16);
UNINA_MEMBER(cudlaTask, numInputTensors, std::uint32_t, 20);
UNINA_MEMBER(cudlaTask, inputTensor, const std::uint64_t* const*, 24);
UNINA_MEMBER(cudlaTask, waitEvents, const cudlaWaitEvents*, 32);
UNINA_MEMBER(cudlaTask, signalEvents, cudlaSignalEvents*, 40);
static_assert(sizeof(cudlaTask) == 48);

UNINA_MEMBER(cudlaExternalMemoryHandleDesc, extBufObject, const void*, 0);
UNINA_MEMBER(cudlaExternalMemoryHandleDesc, size, unsigned long long, 8);
static_assert(sizeof(cudlaExternalMemoryHandleDesc) == 16);
UNINA_MEMBER(cudlaExternalSemaphoreHandleDesc, extSyncObject, const void*, 0);
static_assert(sizeof(cudlaExternalSemaphoreHandleDesc) == 8);
UNINA_MEMBER(CudlaFence, fence, void*, 0);
UNINA_MEMBER(CudlaFence, type, cudlaFenceType, 8);
static_assert(sizeof(CudlaFence) == 16);
UNINA_MEMBER(cudlaWaitEvents, preFences, const CudlaFence*, 0);
UNINA_MEMBER(cudlaWaitEvents, numEvents, std::uint32_t, 8);
static_assert(sizeof(cudlaWaitEvents) == 16);
UNINA_MEMBER(cudlaSignalEvents, devPtrs, std::uint64_t* const*, 0);
UNINA_MEMBER(cudlaSignalEvents, eofFences, CudlaFence*, 8);
UNINA_MEMBER(cudlaSignalEvents, numEvents, std::uint32_t, 16);
static_assert(sizeof(cudlaSignalEvents) == 24);

}  // namespace contract
