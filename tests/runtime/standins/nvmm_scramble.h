// How the stand-ins of NVMM memory keep pixels from who has not synchronised them.
#pragma once

#include <cstdint>

#include "nvmm/nvbufsurface_abi.h"

namespace standin {

// There and back. `bufferDesc` is the memory's address here; on a Jetson it is a file descriptor.
inline void scramble(const NvBufSurfaceParams& buffer) {
  auto* const bytes = reinterpret_cast<std::uint8_t*>(buffer.bufferDesc);
  for (std::uint32_t i = 0; i < buffer.dataSize; ++i) bytes[i] ^= 0xa5;
}

}  // namespace standin
