// The inner part of a convolution in FP16: a few neighbouring pixels times 16 output channels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace unina::host {

constexpr int kFloatGroup = 16;       // output channels of a tile; channels of a CHW16 block
constexpr int kFloatPixelBytes = 32;  // of one pixel in a block, CHW16 of float16 or CHW32 of int8

struct FloatTile {
  const float* pixels;       // of the window of the tile's first pixel
  std::ptrdiff_t step;       // floats from one pixel's window to the next
  const std::int32_t* taps;  // floats from the window's begin to what each tap multiplies
  const std::int32_t* taps_end;
  const float* weights;  // [tap][16]
  const float* bias;     // [16]
  float low;             // 0 with ReLU, else -65504
  float inverse;         // int8 only: 1 / scale of the output
  std::uint8_t* out;     // the first pixel's 16 channels
  int count;             // pixels to store; the tile may reach beyond them
};

// One Highway target's way to do it.
struct FloatTarget {
  int tile_pixels;
  void (*to_float16)(const FloatTile& tile);
  void (*to_int8[2])(const FloatTile& tile);  // [rounding]
  // Convert `count` pixels of one block to float32; in scratch they lie `step` floats apart.
  void (*unpack_hwc4)(const std::int8_t* from, float scale, float* to, std::size_t step, int count);
  void (*unpack_chw32)(const std::int8_t* from, float scale, float* to, std::size_t step,
                       int count);
  void (*unpack_chw16)(const std::uint16_t* from, float* to, std::size_t step, int count);
};

// That of the best target that this CPU has.
const FloatTarget& best_float_target();

}  // namespace unina::host
