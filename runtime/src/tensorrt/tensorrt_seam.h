// What we ask of TensorRT, object by object: the seam between our control flow, which is tested
// without TensorRT, and the adapter to NVIDIA's classes, which does nothing of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/cudart_abi.h"
#include "unina/tensor.h"

namespace unina {

struct TrtTensor {
  std::string name;
  bool is_output = false;
  std::vector<std::int64_t> shape;
  // Nothing of ours: TensorRT's number, for the message.
  bool known_type = false, known_layout = false;
  int type_number = 0, layout_number = 0;
  DataType type = DataType::kInt8;
  Layout layout = Layout::kLinear;
  std::size_t row_alignment = 1;  // bytes; 64 for the DLA's own layouts
};

class TrtContext {
 public:
  virtual ~TrtContext() = default;
  virtual bool set_tensor_address(const std::string& tensor, void* device) = 0;
  virtual bool enqueue(cudaStream_t stream) = 0;
};

class TrtEngine {
 public:
  virtual ~TrtEngine() = default;
  virtual std::vector<TrtTensor> tensors() const = 0;
  // Null when TensorRT refuses. The engine outlives its contexts.
  virtual std::unique_ptr<TrtContext> create_context() = 0;
};

class TrtRuntime {
 public:
  virtual ~TrtRuntime() = default;
  virtual int dla_cores() const = 0;
  // For engines that are deserialised afterwards.
  virtual void set_dla_core(int core) = 0;
  // What it took, which need not be what was set.
  virtual int dla_core() const = 0;
  // Null when TensorRT refuses. The runtime outlives its engines.
  virtual std::unique_ptr<TrtEngine> deserialize(const std::vector<std::uint8_t>& plan) = 0;
  // What TensorRT logged last as an error, "" for nothing.
  virtual std::string last_error() const = 0;
};

}  // namespace unina
