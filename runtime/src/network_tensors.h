// A compiled network's inputs and outputs beside those of the manifest: the two must be of one
// model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "unina/manifest.h"
#include "unina/tensor.h"

namespace unina {

struct NetworkTensor {
  std::string name;
  TensorFormat format;
};

// "[1, 3, 640, 640]"
std::string shape_text(const std::vector<std::uint64_t>& shape);

// The manifest's tensor of that name. Throws Error, with `where` ("input 'x' of the loadable ") in
// front, listing the manifest's names.
const ManifestTensor& expected_tensor(const Manifest& manifest, const std::string& name,
                                      bool is_output, const std::string& where);

// Throws Error listing the names in `tensors` when one of the manifest's inputs (outputs) is not
// there exactly once. `made` is what people call the compiled network: "loadable", "engine".
void require_all(const std::vector<NetworkTensor>& tensors, bool is_output,
                 const Manifest& manifest, const std::string& made);

}  // namespace unina
