// What our code relies on in the CUDA runtime's headers. Compiled in every build against our own
// declarations, and by test_contracts.py against NVIDIA's: a difference is an error there.
#include <cstddef>
#include <type_traits>

#include "cuda/cuda_graph.h"
#include "cuda/cuda_runtime.h"

namespace contract {

using cudaSetDevice = cudaError_t (*)(int);
using cudaStreamCreateWithFlags = cudaError_t (*)(cudaStream_t*, unsigned int);
using cudaStreamQuery = cudaError_t (*)(cudaStream_t);
using cudaStreamSynchronize = cudaError_t (*)(cudaStream_t);
using cudaStreamDestroy = cudaError_t (*)(cudaStream_t);
using cudaHostAlloc = cudaError_t (*)(void**, std::size_t, unsigned int);
using cudaHostGetDevicePointer = cudaError_t (*)(void**, void*, unsigned int);
using cudaFreeHost = cudaError_t (*)(void*);
using cudaStreamBeginCapture = cudaError_t (*)(cudaStream_t, cudaStreamCaptureMode);
using cudaStreamEndCapture = cudaError_t (*)(cudaStream_t, cudaGraph_t*);
using cudaGraphInstantiate = cudaError_t (*)(cudaGraphExec_t*, cudaGraph_t, unsigned long long);
using cudaGraphLaunch = cudaError_t (*)(cudaGraphExec_t, cudaStream_t);
using cudaGraphExecDestroy = cudaError_t (*)(cudaGraphExec_t);
using cudaGraphDestroy = cudaError_t (*)(cudaGraph_t);
using cudaGetErrorName = const char* (*)(cudaError_t);
using cudaGetErrorString = const char* (*)(cudaError_t);

// Every call of the table: one that has no line above does not compile.
#define UNINA_CALL(name)                                                   \
  static_assert(std::is_same_v<decltype(&::name), contract::name>, #name); \
  static_assert(std::is_same_v<decltype(unina::CudaRuntime::name), contract::name>, #name);
UNINA_CUDART_CALLS(UNINA_CALL)
#undef UNINA_CALL

#define UNINA_CALL(name)                                                   \
  static_assert(std::is_same_v<decltype(&::name), contract::name>, #name); \
  static_assert(std::is_same_v<decltype(unina::CudaGraphCalls::name), contract::name>, #name);
UNINA_CUDA_GRAPH_CALLS(UNINA_CALL)
#undef UNINA_CALL

static_assert(std::is_same_v<cudaGraph_t, struct CUgraph_st*>);
static_assert(std::is_same_v<cudaGraphExec_t, struct CUgraphExec_st*>);
static_assert(cudaStreamCaptureModeThreadLocal == 1);
static_assert(cudaErrorStreamCaptureUnsupported == 900);
static_assert(cudaErrorStreamCaptureInvalidated == 901);
static_assert(std::is_same_v<cudaError_t, enum cudaError>);
static_assert(sizeof(cudaError_t) == 4);
static_assert(std::is_same_v<cudaStream_t, struct CUstream_st*>);

static_assert(cudaSuccess == 0);
static_assert(cudaErrorInvalidValue == 1);
static_assert(cudaErrorMemoryAllocation == 2);
static_assert(cudaErrorInsufficientDriver == 35);
static_assert(cudaErrorInvalidDevice == 101);
static_assert(cudaErrorInvalidResourceHandle == 400);
static_assert(cudaErrorNotReady == 600);
static_assert(cudaErrorLaunchFailure == 719);
static_assert(cudaErrorUnknown == 999);
static_assert(cudaStreamNonBlocking == 1);
static_assert(cudaHostAllocMapped == 2);

}  // namespace contract
