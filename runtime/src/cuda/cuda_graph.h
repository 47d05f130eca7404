// Work on a stream, captured once and replayed: one launch a frame instead of one a layer (CUDA
// programming guide, "CUDA Graphs").
#pragma once

#include <functional>

#include "cuda/cuda_runtime.h"
#include "cuda/release_failures.h"

#define UNINA_CUDA_GRAPH_CALLS(X) \
  X(cudaStreamBeginCapture)       \
  X(cudaStreamEndCapture)         \
  X(cudaGraphInstantiate)         \
  X(cudaGraphLaunch)              \
  X(cudaGraphExecDestroy)         \
  X(cudaGraphDestroy)

namespace unina {

// Like CudaRuntime, for those that need graphs only.
struct CudaGraphCalls {
#define UNINA_CALL(name) decltype(&::name) name = nullptr;
  UNINA_CUDA_GRAPH_CALLS(UNINA_CALL)
#undef UNINA_CALL

  // The process's one table. Throws Error saying which library or symbol is missing.
  static const CudaGraphCalls& get();
};

class CudaGraph {
 public:
  // Captures what `enqueue` puts on the stream; nothing runs. Throws Error, and what `enqueue`
  // throws. `failures` outlives the graph.
  CudaGraph(const CudaRuntime& cuda, cudaStream_t stream, const std::function<void()>& enqueue,
            ReleaseFailures& failures);
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  // Puts the work on the stream again. Throws Error.
  void launch(cudaStream_t stream) const;

 private:
  void release() noexcept;

  const CudaRuntime& cuda_;
  const CudaGraphCalls& calls_;
  ReleaseFailures& failures_;
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace unina
