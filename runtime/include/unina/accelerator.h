// The one seam between the service and whatever runs the network.
#pragma once

#include <string>
#include <vector>

#include "unina/error.h"
#include "unina/tensor.h"

struct CUstream_st;  // what cudaStream_t points to

namespace unina {

// Fills an accelerator's input by work on the accelerator's CUDA stream.
class InputWriter {
 public:
  virtual ~InputWriter() = default;
  // Enqueues what writes the input, which the GPU sees at `input`. Throws Error.
  virtual void enqueue(CUstream_st* stream, void* input) = 0;
};

// Runs one network. It owns its input and output buffers and says their formats: preprocess writes
// straight into `inputs()`, decode reads straight out of `outputs()`.
class Accelerator {
 public:
  virtual ~Accelerator() = default;

  // "host", "cudla-hybrid", ...
  virtual std::string name() const = 0;
  virtual const std::vector<TensorView>& inputs() const = 0;
  virtual const std::vector<TensorView>& outputs() const = 0;

  // Runs the network on what stands in the inputs; returns when the outputs are complete.
  // Throws unina::Error.
  virtual void infer() = 0;

  // Whether a GPU can write inputs()[0].
  virtual bool gpu_sees_input() const { return false; }
  // The same on what `writer` enqueues first, where gpu_sees_input(). When this throws, that may
  // still run, and what it reads must be kept.
  virtual void infer_on(InputWriter&) {
    throw Error("accelerator " + name() + ": no GPU sees its input");
  }
};

}  // namespace unina
