// What the stand-in of libcudla loads. Its loadable: the 8 bytes "UNINASIL", the layout of the
// inputs, the alignment of their rows and the milliseconds that a task takes at least
// (little-endian uint32 each; layout 0 linear, 1 HWC4, 3 CHW32), then a host.loadable.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cudla/cudla_abi.h"
#include "unina/host_engine.h"

namespace standin {

struct Engine {
  std::unique_ptr<unina::HostEngine> host;
  std::vector<unina::TensorFormat> inputs, outputs;  // as the descriptors say
  std::chrono::milliseconds at_least{};

  // From and to buffers of those formats.
  void run(const std::vector<std::byte*>& in, const std::vector<std::byte*>& out);
};

// Null when the driver would not take it.
std::shared_ptr<Engine> load_engine(const std::uint8_t* bytes, std::size_t size);

cudlaModuleTensorDescriptor descriptor(const unina::TensorView& view,
                                       const unina::TensorFormat& format);
// Ways in which a descriptor can be nonsense, by number.
void corrupt(cudlaModuleTensorDescriptor& d, std::int64_t how);

}  // namespace standin
