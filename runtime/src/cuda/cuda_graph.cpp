#include "cuda/cuda_graph.h"

namespace unina {

const CudaGraphCalls& CudaGraphCalls::get() {
  static const CudaGraphCalls calls = [] {
    CudaGraphCalls made;
#define UNINA_CALL(name) CudaRuntime::library().find(#name, made.name);
    UNINA_CUDA_GRAPH_CALLS(UNINA_CALL)
#undef UNINA_CALL
    return made;
  }();
  return calls;
}

CudaGraph::CudaGraph(const CudaRuntime& cuda, cudaStream_t stream,
                     const std::function<void()>& enqueue, ReleaseFailures& failures)
    : cuda_(cuda), calls_(CudaGraphCalls::get()), failures_(failures) {
  // Thread-local: what other threads do meanwhile, on other streams, is none of the capture's.
  cuda_.require("cudaStreamBeginCapture",
                calls_.cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    enqueue();
  } catch (...) {
    calls_.cudaStreamEndCapture(stream, &graph_);  // else the stream stays in capture
    release();
    throw;
  }
  try {
    const cudaError_t ended = calls_.cudaStreamEndCapture(stream, &graph_);
    cuda_.require("cudaStreamEndCapture", ended, graph_);
    const cudaError_t made = calls_.cudaGraphInstantiate(&executable_, graph_, 0);
    cuda_.require("cudaGraphInstantiate", made, executable_);
  } catch (...) {
    release();
    throw;
  }
}

CudaGraph::~CudaGraph() { release(); }

void CudaGraph::release() noexcept {
  if (executable_ != nullptr) {
    const cudaError_t error = calls_.cudaGraphExecDestroy(executable_);
    if (error != cudaSuccess) failures_.add(cuda_.describe("cudaGraphExecDestroy", error));
  }
  if (graph_ != nullptr) {
    const cudaError_t error = calls_.cudaGraphDestroy(graph_);
    if (error != cudaSuccess) failures_.add(cuda_.describe("cudaGraphDestroy", error));
  }
  executable_ = nullptr;
  graph_ = nullptr;
}

void CudaGraph::launch(cudaStream_t stream) const {
  cuda_.require("cudaGraphLaunch", calls_.cudaGraphLaunch(executable_, stream));
}

}  // namespace unina
