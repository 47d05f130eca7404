// What one thread of the letterbox kernel does, and how many threads there are. Plain C++, so that
// a machine without a GPU can play every thread of the grid and compare (tests/runtime/
// test_letterbox_threads.cpp).
#pragma once

#include <cstdint>

#include "unina/letterbox_pixel.h"

namespace unina {

// A warp is one row of 32 pixels: it writes 128 bytes of HWC4 side by side.
constexpr std::int32_t kBlockWidth = 32;
constexpr std::int32_t kBlockHeight = 8;

struct Blocks {
  std::int32_t x, y;
};

inline Blocks blocks_of(const LetterboxPlan& plan) {
  return {(plan.input_width + kBlockWidth - 1) / kBlockWidth,
          (plan.input_height + kBlockHeight - 1) / kBlockHeight};
}

// Thread `thread` of block `block`: one pixel of the network's input, all its channels.
template <PixelFormat format>
UNINA_HOST_DEVICE inline void letterbox_thread(const LetterboxPlan& plan,
                                               const SourcePixels& source, std::int8_t* tensor,
                                               const Blocks& block, const Blocks& thread) {
  const std::int32_t x = block.x * kBlockWidth + thread.x;
  const std::int32_t y = block.y * kBlockHeight + thread.y;
  if (x >= plan.input_width || y >= plan.input_height) return;
  store_pixel(plan, tensor, x, y, letterbox_pixel<format>(plan, source, x, y));
}

}  // namespace unina
