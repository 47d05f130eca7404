// The launch of the decode kernels, for code that g++ compiles.
#pragma once

#include "cuda/cudart_abi.h"
#include "decode_plan.h"

namespace unina::plugin {

// Enqueues the kernels that fill all of `found`; maps, workspace and answer are the GPU's memory,
// `workspace` of workspace_bytes(). Null, or what CUDA said. May be captured into a CUDA graph.
const char* launch_decode(const DecodePlan& plan, const Found& found, void* workspace,
                          cudaStream_t stream);

}  // namespace unina::plugin
