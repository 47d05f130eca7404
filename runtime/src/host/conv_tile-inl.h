// The convolution kernel around a dot product: tiles, packing, and the table of both that makes a
// ConvTarget. Included once a Highway target.
//
// `Dot` is one CPU's way to multiply a unit of pixels with 16 units of weights:
//   kChannelsPerUnit   4 bytes or 2 int16
//   kZero              byte that stands for zero in pixels: 128 where they are biased
//   kReadsChw32        can take CHW32 tensors as they are, unpacked
//   dot(acc, pixel, weights)
// It also keeps the names of two files' kernels for one Highway target apart.
#if defined(UNINA_HOST_CONV_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef UNINA_HOST_CONV_TILE_INL_H_
#undef UNINA_HOST_CONV_TILE_INL_H_
#else
#define UNINA_HOST_CONV_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <cstring>

#include "host/conv_kernel.h"
#include "host/requantise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D32 = hn::CappedTag<std::int32_t, kGroup>;
using V32 = hn::Vec<D32>;
constexpr int kLanes = static_cast<int>(HWY_MIN(HWY_LANES(std::int32_t), kGroup));

// Tiles as large as the registers: AVX-512 and NEON have 32, the others 16.
struct Size {
  int pixels[kTileSizes];
};
constexpr int kGroupsOfTarget = kLanes == 16 ? kMaxGroups : 1;
constexpr Size size_of(int groups) {
  if (kLanes == 1) return {{1, 1, 1, 1}};
  if (kLanes == 4 && HWY_ARCH_X86) return {{3, 2, 1, 1}};
  if (kLanes != 16) return {{6, 5, 4, 2}};
  return groups == 1   ? Size{{24, 16, 8, 4}}
         : groups == 2 ? Size{{12, 10, 8, 4}}
         : groups == 3 ? Size{{8, 6, 4, 2}}
                       : Size{{6, 5, 4, 2}};
}

template <class Dot>
constexpr int kBlockPixelBytes = kBlockChannels / Dot::kChannelsPerUnit * kUnitBytes;
template <class Dot>
constexpr int kThinPixelBytes = 4 / Dot::kChannelsPerUnit * kUnitBytes;

template <class Dot, PixelForm kForm, int kGroups, int kPixels, Rounding kRounding,
          Pointwise kPointwise>
void convolve(const ConvTile& tile) {
  constexpr D32 d;
  constexpr int kVectors = kGroups * kGroup / kLanes;
  constexpr std::ptrdiff_t kPixelBytes =
      kForm == PixelForm::kThin ? kThinPixelBytes<Dot> : kBlockPixelBytes<Dot>;
  V32 acc[kPixels][kVectors];
#pragma GCC unroll 24
  for (int p = 0; p < kPixels; ++p)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) acc[p][v] = hn::Load(d, tile.bias + v * kLanes);

  const auto* weights = reinterpret_cast<const std::int32_t*>(tile.weights);
  for (const UnitRun* run = tile.runs; run != tile.runs_end; ++run) {
    const std::uint8_t* pixel = tile.pixels + run->offset;
    const std::uint8_t* const end = pixel + run->units * kUnitBytes;
    for (; pixel != end; pixel += kUnitBytes, weights += kVectors * kLanes) {
      V32 w[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) w[v] = hn::Load(d, weights + v * kLanes);
#pragma GCC unroll 24
      for (int p = 0; p < kPixels; ++p) {
        std::int32_t bits;
        std::memcpy(&bits, pixel + p * kPixelBytes, sizeof bits);
        V32 unit = hn::Set(d, bits);
        if constexpr (kForm == PixelForm::kUnpacked && Dot::kZero != 0)
          unit = hn::Xor(unit, hn::Set(d, static_cast<std::int32_t>(0x01010101u * Dot::kZero)));
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) acc[p][v] = Dot::dot(acc[p][v], unit, w[v]);
      }
    }
  }

  constexpr hn::Rebind<float, D32> df;
  const auto low = hn::Set(df, tile.low);
  const int count = tile.count;
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) {
    const auto multiplier = hn::Load(df, tile.multiplier + v * kLanes);
    std::int8_t* out = tile.out[v * kLanes / kGroup] + v * kLanes % kGroup;
#pragma GCC unroll 24
    for (int p = 0; p < kPixels; ++p) {
      if (p >= count) break;
      std::int8_t* to = out + p * kBlockChannels;
      if constexpr (kPointwise == Pointwise::kFp32) {
        store_int8(d, requantise<kRounding>(d, acc[p][v], multiplier, low), to);
      } else {
        const auto addend = hn::Load(df, tile.addend + v * kLanes);
        const auto inverse = hn::Set(df, tile.inverse);
        const auto q = requantise_fp19<kRounding>(d, acc[p][v], multiplier, addend, inverse, low);
        store_int8(d, q, to);
      }
    }
  }
}

template <class Dot>
HWY_INLINE void pack_one_block(const std::int8_t* from, std::uint8_t* to) {
  if constexpr (Dot::kChannelsPerUnit == 4) {
    const hn::CappedTag<std::uint8_t, kBlockChannels> d;
    const auto bias = hn::Set(d, Dot::kZero);
    for (std::size_t i = 0; i < kBlockChannels; i += hn::Lanes(d))
      hn::StoreU(hn::Xor(hn::LoadU(d, reinterpret_cast<const std::uint8_t*>(from) + i), bias), d,
                 to + i);
  } else {
    const hn::CappedTag<std::int16_t, kBlockChannels> d;
    const hn::Rebind<std::int8_t, decltype(d)> d8;
    for (std::size_t i = 0; i < kBlockChannels; i += hn::Lanes(d))
      hn::StoreU(hn::PromoteTo(d, hn::LoadU(d8, from + i)), d,
                 reinterpret_cast<std::int16_t*>(to) + i);
  }
}

template <class Dot>
void pack_block(const std::int8_t* from, std::size_t step, std::uint8_t* to, int count) {
  for (int i = 0; i < count; ++i, from += step, to += kBlockPixelBytes<Dot>)
    pack_one_block<Dot>(from, to);
}

template <class Dot>
void pack_thin(const std::int8_t* from, std::size_t step, std::uint8_t* to, int count) {
  int i = 0;
  if constexpr (Dot::kChannelsPerUnit == 4) {
    // The usual stem: every second pixel. It loads the one after the last too, hence "<".
    const hn::CappedTag<std::uint32_t, 16> d;
    const auto bias = hn::Set(d, 0x01010101u * Dot::kZero);
    const int lanes = static_cast<int>(hn::Lanes(d));
    if (step == 2 * kUnitBytes)
      for (; i + lanes < count; i += lanes) {
        hn::Vec<decltype(d)> even, odd;
        hn::LoadInterleaved2(d, reinterpret_cast<const std::uint32_t*>(from), even, odd);
        hn::StoreU(hn::Xor(even, bias), d, reinterpret_cast<std::uint32_t*>(to));
        from += step * static_cast<std::size_t>(lanes);
        to += kUnitBytes * lanes;
      }
  }
  for (; i < count; ++i, from += step, to += kThinPixelBytes<Dot>) {
    if constexpr (Dot::kChannelsPerUnit == 4) {
      std::uint32_t bits;
      std::memcpy(&bits, from, sizeof bits);
      bits ^= 0x01010101u * Dot::kZero;
      std::memcpy(to, &bits, sizeof bits);
    } else {
      const std::int16_t wide[4] = {from[0], from[1], from[2], from[3]};
      std::memcpy(to, wide, sizeof wide);
    }
  }
}

template <class Dot, PixelForm kForm, Pointwise kPointwise, int kGroups, int kSize>
void add_tile(ConvTarget& target) {
  constexpr int kPixels = size_of(kGroups).pixels[kSize];
  auto& entry = target.tiles[static_cast<int>(kForm)][kGroups - 1][kSize];
  entry[static_cast<int>(Rounding::kHalfAway)] =
      convolve<Dot, kForm, kGroups, kPixels, Rounding::kHalfAway, kPointwise>;
  entry[static_cast<int>(Rounding::kHalfEven)] =
      convolve<Dot, kForm, kGroups, kPixels, Rounding::kHalfEven, kPointwise>;
  target.tile_pixels[kGroups - 1][kSize] = kPixels;
}

template <Pointwise kPointwise>
constexpr int kMostGroups = kPointwise == Pointwise::kFp32 ? kGroupsOfTarget : 1;

template <class Dot, PixelForm kForm, Pointwise kPointwise, int kGroups = 1>
void add_tiles(ConvTarget& target) {
  add_tile<Dot, kForm, kPointwise, kGroups, 0>(target);
  add_tile<Dot, kForm, kPointwise, kGroups, 1>(target);
  add_tile<Dot, kForm, kPointwise, kGroups, 2>(target);
  add_tile<Dot, kForm, kPointwise, kGroups, 3>(target);
  if constexpr (kGroups < kMostGroups<kPointwise>)
    add_tiles<Dot, kForm, kPointwise, kGroups + 1>(target);
}

template <class Dot, Pointwise kPointwise>
const ConvTarget& make_target() {
  static const ConvTarget result = [] {
    ConvTarget target{};
    target.channels_per_unit = Dot::kChannelsPerUnit;
    target.has_unpacked = Dot::kReadsChw32;
    target.zero = Dot::kZero;
    target.max_groups = kMostGroups<kPointwise>;
    add_tiles<Dot, PixelForm::kBlock, kPointwise>(target);
    add_tiles<Dot, PixelForm::kThin, kPointwise>(target);
    if constexpr (Dot::kReadsChw32) add_tiles<Dot, PixelForm::kUnpacked, kPointwise>(target);
    target.pack_block = pack_block<Dot>;
    target.pack_thin = pack_thin<Dot>;
    return target;
  }();
  return result;
}

template <class Dot>
const ConvTarget& conv_target_of(Pointwise pointwise) {
  return pointwise == Pointwise::kFp32 ? make_target<Dot, Pointwise::kFp32>()
                                       : make_target<Dot, Pointwise::kFp19>();
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
