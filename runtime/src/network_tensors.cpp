#include "network_tensors.h"

#include <algorithm>

#include "printable.h"
#include "unina/error.h"

namespace unina {

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string text;
  for (const std::uint64_t size : shape) text += (text.empty() ? "[" : ", ") + std::to_string(size);
  return text + "]";
}

const ManifestTensor& expected_tensor(const Manifest& manifest, const std::string& name,
                                      bool is_output, const std::string& where) {
  std::string names;
  for (const ManifestTensor& tensor : manifest.tensors) {
    if (tensor.is_output != is_output) continue;
    if (tensor.name == name) return tensor;
    names += (names.empty() ? "" : ", ") + printable(tensor.name);
  }
  throw Error(where + "is not in manifest.json, which lists " + names +
              "; it was built from another model");
}

void require_all(const std::vector<NetworkTensor>& tensors, bool is_output,
                 const Manifest& manifest, const std::string& made) {
  std::string have;
  for (const NetworkTensor& tensor : tensors) {
    have += (have.empty() ? "" : ", ") + printable(tensor.name);
  }
  for (const ManifestTensor& expected : manifest.tensors) {
    if (expected.is_output != is_output) continue;
    const auto found =
        std::count_if(tensors.begin(), tensors.end(),
                      [&](const NetworkTensor& tensor) { return tensor.name == expected.name; });
    if (found == 1) continue;
    throw Error("the " + made + " has " + (found == 0 ? "no " : "more than one ") +
                (is_output ? "output " : "input ") + printable(expected.name) + "; it has " + have +
                "; it was built from another model");
  }
}

}  // namespace unina
