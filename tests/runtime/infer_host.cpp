// Runs a host.loadable once in every mode of arithmetic, for tests on an emulated CPU:
//   infer_host LOADABLE INPUTS OUTPUTS
// INPUTS holds the input tensors one after the other, channel by channel. OUTPUTS gets the output
// tensors likewise, mode by mode: half-away fp32, half-away fp19, half-even fp32, half-even fp19.
#include <cstdio>
#include <exception>
#include <fstream>

#include "unina/host_engine.h"

namespace {

// Calls visit(address, bytes of an element) for every element, channel by channel.
template <typename Visit>
void for_each_element(const unina::TensorView& tensor, const Visit& visit) {
  const unina::TensorFormat& f = tensor.format;
  for (int c = 0; c < f.channels; ++c)
    for (int y = 0; y < f.height; ++y)
      for (int x = 0; x < f.width; ++x)
        visit(static_cast<char*>(tensor.data) + f.offset(c, y, x),
              static_cast<std::streamsize>(f.element_size()));
}

void run(const char* loadable, const char* inputs, const char* outputs) {
  std::ofstream to(outputs, std::ios::binary);
  for (const auto rounding : {unina::Rounding::kHalfAway, unina::Rounding::kHalfEven})
    for (const auto pointwise : {unina::Pointwise::kFp32, unina::Pointwise::kFp19}) {
      unina::HostEngineOptions options;
      options.threads = 2;
      options.rounding = rounding;
      options.pointwise = pointwise;
      const auto engine = unina::HostEngine::load(loadable, options);
      std::ifstream from(inputs, std::ios::binary);
      from.exceptions(std::ios::failbit | std::ios::badbit);
      for (const unina::TensorView& tensor : engine->inputs())
        for_each_element(tensor, [&](char* at, std::streamsize bytes) { from.read(at, bytes); });
      engine->infer();
      for (const unina::TensorView& tensor : engine->outputs())
        for_each_element(tensor, [&](char* at, std::streamsize bytes) { to.write(at, bytes); });
    }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: infer_host LOADABLE INPUTS OUTPUTS\n");
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "infer_host: %s\n", error.what());
    return 2;
  }
  return 0;
}
