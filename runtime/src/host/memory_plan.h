// Where every tensor of a loadable lies: decided once, so that inference allocates nothing.
#pragma once

#include <cstddef>
#include <vector>

#include "host/loadable.h"
#include "unina/tensor.h"

namespace unina::host {

struct MemoryPlan {
  std::vector<TensorFormat> formats;  // one a tensor of the loadable
  std::vector<std::size_t> offsets;   // bytes from the start of the arena, multiples of 64
  std::size_t bytes = 0;              // of the arena
};

// Tensors whose lifetimes do not overlap share memory; inputs and outputs of the network share
// with nobody, so that they keep their content between two inferences. An input of a concat that
// begins at a whole block of 32 channels lies inside the concat's output: nothing is copied then.
MemoryPlan plan_memory(const Loadable& loadable);

}  // namespace unina::host
