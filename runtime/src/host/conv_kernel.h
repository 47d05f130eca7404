// The inner part of every convolution: a tile of a few neighbouring pixels times a few groups of
// 16 output channels, held in registers from the first product to the stored int8.
#pragma once

#include <cstddef>
#include <cstdint>

#include "unina/host_engine.h"

namespace unina::host {

// The kernel's currency is the unit: 32 bits of neighbouring input channels of one pixel, four
// bytes or two int16, whichever the CPU multiplies and sums in one go. A weight unit belongs to it
// for each of 16 output channels.
constexpr int kUnitBytes = 4;
constexpr int kGroup = 16;          // output channels
constexpr int kMaxGroups = 4;       // groups in one tile
constexpr int kTileSizes = 4;       // widths of tile that a target offers for each number of groups
constexpr int kBlockChannels = 32;  // channels of a CHW32 block

// A stretch of units that lie side by side, `offset` bytes from the tile's first pixel.
struct UnitRun {
  std::int32_t offset;
  std::int32_t units;
};

struct ConvTile {
  const std::uint8_t* pixels;  // units of the tile's first pixel
  const UnitRun* runs;
  const UnitRun* runs_end;
  const std::uint8_t* weights;   // [unit][group][16 output channels][unit bytes]
  const std::int32_t* bias;      // [group][16]; in FP19 only what the form of the pixels asks for
  const float* multiplier;       // [group][16]; in FP19 from accumulator to real
  const float* addend;           // [group][16]; FP19 only: the bias, real
  float inverse;                 // FP19 only: 1 / scale of the output
  float low;                     // 0 with ReLU, else -128
  std::int8_t* out[kMaxGroups];  // the first pixel's 16 bytes of every group
  int count;                     // pixels to store; the tile may reach beyond them
};

// Where a kernel finds the units of the next pixel.
enum class PixelForm {
  kBlock,     // packed block of 32 channels
  kThin,      // packed HWC4
  kUnpacked,  // a CHW32 tensor as it is, not packed
};
constexpr int kPixelForms = 3;

using ConvTileFunction = void (*)(const ConvTile& tile);

// One CPU's way to convolve in one kind of pointwise arithmetic.
struct ConvTarget {
  int channels_per_unit;  // 4 or 2
  bool has_unpacked;      // can read CHW32 as it is
  std::uint8_t zero;      // byte that stands for zero in packed pixels (128: biased)
  int max_groups;
  int tile_pixels[kMaxGroups][kTileSizes];  // [groups - 1], falling; the last may repeat
  ConvTileFunction tiles[kPixelForms][kMaxGroups][kTileSizes][2];  // last: [rounding]
  // Packs `count` pixels that lie `step` bytes apart; bytes a pixel: 32 (block) or 4 (thin).
  void (*pack_block)(const std::int8_t* from, std::size_t step, std::uint8_t* to, int count);
  void (*pack_thin)(const std::int8_t* from, std::size_t step, std::uint8_t* to, int count);

  int block_pixel_bytes() const { return kBlockChannels / channels_per_unit * kUnitBytes; }
  int thin_pixel_bytes() const { return 4 / channels_per_unit * kUnitBytes; }
};

// Each of these lives in a file of its own; null where the CPU or the architecture lacks it.
const ConvTarget* avx512_vnni_target(Pointwise pointwise);
const ConvTarget* avx_vnni_target(Pointwise pointwise);
const ConvTarget* neon_dotprod_target(Pointwise pointwise);

struct DotProductTarget {
  const char* name;
  const ConvTarget* (*target)(Pointwise pointwise);
};

// The better ones first.
constexpr DotProductTarget kDotProductTargets[] = {{"AVX512_VNNI", avx512_vnni_target},
                                                   {"AVX_VNNI", avx_vnni_target},
                                                   {"NEON_DOTPROD", neon_dotprod_target}};

// That of the best Highway target, without a dot product of bytes: every CPU has one.
const ConvTarget& widening_conv_target(Pointwise pointwise);

// The best that this CPU has. FP19's have small tiles only: they are there to be exact.
const ConvTarget& best_conv_target(Pointwise pointwise);

}  // namespace unina::host
