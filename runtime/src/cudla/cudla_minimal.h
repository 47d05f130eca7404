// What this project uses of NVIDIA's cuDLA C interface, declared in its own words, so that it
// builds where no cuDLA is installed. tests/runtime/contract_cudla.cpp holds these lines against
// NVIDIA's cudla.h. Nothing here is executed: the library is opened at run time.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

enum cudlaStatus {
  cudlaSuccess = 0,
  cudlaErrorInvalidParam = 1,
  cudlaErrorOutOfResources = 2,
  cudlaErrorCreationFailed = 3,
  cudlaErrorInvalidAddress = 4,
  cudlaErrorOs = 5,
  cudlaErrorCuda = 6,
  cudlaErrorUmd = 7,
  cudlaErrorInvalidDevice = 8,
  cudlaErrorInvalidAttribute = 9,
  cudlaErrorIncompatibleDlaSWVersion = 10,
  cudlaErrorMemoryRegistered = 11,
  cudlaErrorInvalidModule = 12,
  cudlaErrorUnsupportedOperation = 13,
  cudlaErrorNvSci = 14,
  cudlaErrorDriverNotFound = 15,
  cudlaErrorDlaErrInvalidInput = 0x40000001,
  cudlaErrorDlaErrInvalidPreAction = 0x40000002,
  cudlaErrorDlaErrNoMem = 0x40000003,
  cudlaErrorDlaErrProcessorBusy = 0x40000004,
  cudlaErrorDlaErrTaskStatusMismatch = 0x40000005,
  cudlaErrorDlaErrEngineTimeout = 0x40000006,
  cudlaErrorDlaErrDataMismatch = 0x40000007,
  cudlaErrorUnknown = 0x7fffffff,
};
typedef enum cudlaStatus cudlaStatus;

enum cudlaMode { CUDLA_CUDA_DLA = 0, CUDLA_STANDALONE = 1 };

#define CUDLA_DATA_FORMAT_NCHW 1U
#define CUDLA_DATA_FORMAT_NHWC 2U
#define CUDLA_DATA_FORMAT_NCxHWx 3U
#define CUDLA_DATA_TYPE_HALF 2U
#define CUDLA_DATA_TYPE_INT8 4U
#define CUDLA_DATA_CATEGORY_IMAGE 0U
#define CUDLA_DATA_CATEGORY_FEATURE 2U
#define CUDLA_DATA_CATEGORY_PLANAR 3U
#define CUDLA_LOADABLE_TENSOR_DESC_NUM_STRIDES 8U
#define CUDLA_RUNTIME_TENSOR_DESC_NAME_MAX_LEN 80U

struct cudlaDevHandle_t;
typedef struct cudlaDevHandle_t* cudlaDevHandle;
struct cudlaModule_t;
typedef struct cudlaModule_t* cudlaModule;

enum cudlaModuleAttributeType {
  CUDLA_NUM_INPUT_TENSORS = 0,
  CUDLA_NUM_OUTPUT_TENSORS = 1,
  CUDLA_INPUT_TENSOR_DESCRIPTORS = 2,
  CUDLA_OUTPUT_TENSOR_DESCRIPTORS = 3,
};
typedef enum cudlaModuleAttributeType cudlaModuleAttributeType;

struct cudlaModuleTensorDescriptor_t {
  char name[CUDLA_RUNTIME_TENSOR_DESC_NAME_MAX_LEN + 1];
  uint64_t size;  // bytes of the whole buffer
  uint64_t n, c, h, w;
  uint8_t dataFormat, dataType, dataCategory, pixelFormat, pixelMapping;
  uint32_t stride[CUDLA_LOADABLE_TENSOR_DESC_NUM_STRIDES];
};
typedef struct cudlaModuleTensorDescriptor_t cudlaModuleTensorDescriptor;

union cudlaModuleAttribute_t {
  uint32_t numInputTensors;
  uint32_t numOutputTensors;
  cudlaModuleTensorDescriptor* inputTensorDesc;  // the caller's array, one a tensor
  cudlaModuleTensorDescriptor* outputTensorDesc;
};
typedef union cudlaModuleAttribute_t cudlaModuleAttribute;

enum cudlaNvSciSyncAttributes {
  CUDLA_NVSCISYNC_ATTR_WAIT = 1,
  CUDLA_NVSCISYNC_ATTR_SIGNAL = 2,
};
enum cudlaAccessPermissionFlags { CUDLA_READ_WRITE_PERM = 0 };

struct cudlaExternalMemoryHandleDesc_t {
  const void* extBufObject;  // NvSciBufObj
  unsigned long long size;
};
typedef struct cudlaExternalMemoryHandleDesc_t cudlaExternalMemoryHandleDesc;

struct cudlaExternalSemaphoreHandleDesc_t {
  const void* extSyncObject;  // NvSciSyncObj
};
typedef struct cudlaExternalSemaphoreHandleDesc_t cudlaExternalSemaphoreHandleDesc;

enum cudlaFenceType { CUDLA_NVSCISYNC_FENCE = 1 };
typedef enum cudlaFenceType cudlaFenceType;

struct CudlaFence {
  void* fence;  // NvSciSyncFence
  cudlaFenceType type;
};
typedef struct CudlaFence CudlaFence;

// Standalone mode only: what a task waits for before it begins ...
struct cudlaWaitEvents {
  const CudlaFence* preFences;
  uint32_t numEvents;
};
typedef struct cudlaWaitEvents cudlaWaitEvents;

// ... and what it signals at its end. The fences are written by cudlaSubmitTask.
struct cudlaSignalEvents {
  uint64_t* const* devPtrs;
  CudlaFence* eofFences;
  uint32_t numEvents;
};
typedef struct cudlaSignalEvents cudlaSignalEvents;

struct cudlaTask_t {
  cudlaModule moduleHandle;
  uint64_t* const* outputTensor;  // addresses that cudlaMemRegister returned
  uint32_t numOutputTensors;
  uint32_t numInputTensors;
  const uint64_t* const* inputTensor;
  const cudlaWaitEvents* waitEvents;  // null in hybrid mode, as the next
  cudlaSignalEvents* signalEvents;
};
typedef struct cudlaTask_t cudlaTask;

cudlaStatus cudlaGetVersion(uint64_t* version);  // 1000000 * major + 1000 * minor + patch
cudlaStatus cudlaDeviceGetCount(uint64_t* devices);
cudlaStatus cudlaCreateDevice(uint64_t core, cudlaDevHandle* device, uint32_t flags);
cudlaStatus cudlaModuleLoadFromMemory(cudlaDevHandle device, const uint8_t* loadable,
                                      std::size_t bytes, cudlaModule* module, uint32_t flags);
cudlaStatus cudlaModuleGetAttributes(cudlaModule module, cudlaModuleAttributeType type,
                                     cudlaModuleAttribute* attribute);
cudlaStatus cudlaMemRegister(cudlaDevHandle device, const uint64_t* pointer, std::size_t bytes,
                             uint64_t** registered, uint32_t flags);
cudlaStatus cudlaImportExternalMemory(cudlaDevHandle device,
                                      const cudlaExternalMemoryHandleDesc* description,
                                      uint64_t** registered, uint32_t flags);
cudlaStatus cudlaGetNvSciSyncAttributes(uint64_t* list, uint32_t flags);
cudlaStatus cudlaImportExternalSemaphore(cudlaDevHandle device,
                                         const cudlaExternalSemaphoreHandleDesc* description,
                                         uint64_t** registered, uint32_t flags);
cudlaStatus cudlaSubmitTask(cudlaDevHandle device, const cudlaTask* tasks, uint32_t count,
                            void* stream, uint32_t flags);
cudlaStatus cudlaGetLastError(cudlaDevHandle device);
cudlaStatus cudlaMemUnregister(cudlaDevHandle device, const uint64_t* registered);
cudlaStatus cudlaModuleUnload(cudlaModule module, uint32_t flags);
cudlaStatus cudlaDestroyDevice(cudlaDevHandle device);

}  // extern "C"
