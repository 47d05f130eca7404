// host.loadable: any bytes. What is accepted, and small, also runs once on noise.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "host/loadable.h"
#include "loadable_file.h"
#include "one_line.h"
#include "unina/host_engine.h"

namespace {

constexpr std::int64_t kMostBytes = 1 << 20;     // of a network that is run, activations together
constexpr std::int64_t kMostProducts = 1 << 22;  // likewise

bool is_small(const unina::host::Loadable& loadable) {
  std::int64_t bytes = 0, products = 0;
  const auto area = [&](int tensor) {
    const auto& t = loadable.tensors[static_cast<std::size_t>(tensor)];
    return std::int64_t{t.height} * t.width;
  };
  for (const auto& tensor : loadable.tensors) {
    bytes += (tensor.channels + 31) / 32 * 64 * std::int64_t{tensor.height} * tensor.width;
  }
  for (const auto& op : loadable.operators) {
    const auto weights = std::max(op.weights.size(), op.float16_weights.size());
    const std::int64_t window = std::int64_t{op.kernel.y} * op.kernel.x;
    products += area(op.output) * (32 * window + static_cast<std::int64_t>(weights));
    // Padding and dilation make scratch that no tensor shows.
    if (op.pads.top + op.pads.bottom + op.pads.left + op.pads.right > 64) return false;
  }
  return bytes <= kMostBytes && products <= kMostProducts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  unina::fuzz::taken_or_refused("host.loadable", [&] {
    const std::string bytes_of_file =
        unina::fuzz::loadable_file({reinterpret_cast<const char*>(data), size});
    const std::vector<std::uint8_t> file(bytes_of_file.begin(), bytes_of_file.end());
    if (!is_small(unina::host::parse_loadable(file.data(), file.size(), "host.loadable"))) return;
    const auto engine = unina::HostEngine::parse(file, "host.loadable");
    for (const unina::TensorView& input : engine->inputs()) {
      auto* bytes = static_cast<std::uint8_t*>(input.data);
      for (std::size_t i = 0; i < input.format.bytes; ++i) {
        bytes[i] = static_cast<std::uint8_t>(37 * i + 11);
      }
    }
    engine->infer();
  });
  return 0;
}
