// The one seam between the service and whatever runs the network.
#pragma once

#include <string>
#include <vector>

#include "unina/tensor.h"

namespace unina {

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
};

}  // namespace unina
