// The convolution kernel for every Highway target.
//
// Per unit and target:
//   AVX-512 VNNI   vpdpbusd: unsigned times signed, so pixels are stored with 128 added; the bias
//                  takes 128 * sum(weights) off again. The sum wraps, but ends exact.
//   other x86      pmaddwd on int16 pairs; pixels and weights are widened when packed.
//   NEON           sdot where the compiler may use it, else widening multiplies.
//   anything else  shifts and 32-bit multiplies.
// None of them saturates in between.
#include "host/conv_kernel.h"

#include <cstring>

#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/conv_kernel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "host/requantise-inl.h"

// clang-format off
HWY_BEFORE_NAMESPACE();
// Highway 1.0.3 checks for AVX-512 VNNI but only tells the compiler of its 256-bit form.
#if HWY_TARGET == HWY_AVX3_DL
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512vnni"))), apply_to = function)
#else
#pragma GCC target("avx512vnni")
#endif
#endif
// clang-format on
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D32 = hn::CappedTag<std::int32_t, kGroup>;
using V32 = hn::Vec<D32>;
constexpr int kLanes = static_cast<int>(HWY_MIN(HWY_LANES(std::int32_t), kGroup));

#if HWY_TARGET == HWY_AVX3_DL

constexpr int kChannelsPerUnit = 4;
constexpr std::uint8_t kZero = 0x80;
constexpr bool kHasUnpacked = true;
constexpr std::int32_t kFlip = static_cast<std::int32_t>(0x80808080u);  // adds 128 to each byte

HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
  return V32{_mm512_dpbusd_epi32(acc.raw, pixel.raw, weights.raw)};
}

#elif HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

constexpr int kChannelsPerUnit = 2;
constexpr std::uint8_t kZero = 0;
constexpr bool kHasUnpacked = false;
constexpr std::int32_t kFlip = 0;

HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
  const hn::RepartitionToNarrow<D32> d16;
  V32 unused = hn::Zero(D32());
  return hn::ReorderWidenMulAccumulate(D32(), hn::BitCast(d16, pixel), hn::BitCast(d16, weights),
                                       acc, unused);
}

#elif HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64

constexpr int kChannelsPerUnit = 4;
constexpr std::uint8_t kZero = 0;
constexpr bool kHasUnpacked = true;
constexpr std::int32_t kFlip = 0;

HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
  const int8x16_t p = vreinterpretq_s8_s32(pixel.raw);
  const int8x16_t w = vreinterpretq_s8_s32(weights.raw);
#if defined(__ARM_FEATURE_DOTPROD)
  return V32{vdotq_s32(acc.raw, p, w)};
#else
  // Two products fit into 16 bits because no weight is -128: 2 * 128 * 127 = 32512.
  const int16x8_t low = vmull_s8(vget_low_s8(p), vget_low_s8(w));
  const int16x8_t high = vmull_high_s8(p, w);
  return V32{vpadalq_s16(acc.raw, vpaddq_s16(low, high))};
#endif
}

#else

constexpr int kChannelsPerUnit = 4;
constexpr std::uint8_t kZero = 0;
constexpr bool kHasUnpacked = true;
constexpr std::int32_t kFlip = 0;

HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
  const auto product = [](V32 p, V32 w) {
    return hn::Mul(hn::ShiftRight<24>(p), hn::ShiftRight<24>(w));
  };
  acc = hn::Add(acc, product(pixel, weights));
  acc = hn::Add(acc, product(hn::ShiftLeft<8>(pixel), hn::ShiftLeft<8>(weights)));
  acc = hn::Add(acc, product(hn::ShiftLeft<16>(pixel), hn::ShiftLeft<16>(weights)));
  return hn::Add(acc, product(hn::ShiftLeft<24>(pixel), hn::ShiftLeft<24>(weights)));
}

#endif

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

constexpr int kBlockPixelBytes = kBlockChannels / kChannelsPerUnit * kUnitBytes;
constexpr int kThinPixelBytes = 4 / kChannelsPerUnit * kUnitBytes;

template <PixelForm kForm, int kGroups, int kPixels, Rounding kRounding, Pointwise kPointwise>
void convolve(const ConvTile& tile) {
  constexpr D32 d;
  constexpr int kVectors = kGroups * kGroup / kLanes;
  constexpr std::ptrdiff_t kPixelBytes =
      kForm == PixelForm::kThin ? kThinPixelBytes : kBlockPixelBytes;
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
        if constexpr (kForm == PixelForm::kUnpacked && kFlip != 0)
          unit = hn::Xor(unit, hn::Set(d, kFlip));
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) acc[p][v] = dot(acc[p][v], unit, w[v]);
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

HWY_INLINE void pack_one_block(const std::int8_t* from, std::uint8_t* to) {
  if constexpr (kChannelsPerUnit == 4) {
    const hn::CappedTag<std::uint8_t, kBlockChannels> d;
    const auto bias = hn::Set(d, kZero);
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

void pack_block(const std::int8_t* from, std::size_t step, std::uint8_t* to, int count) {
  for (int i = 0; i < count; ++i, from += step, to += kBlockPixelBytes) pack_one_block(from, to);
}

void pack_thin(const std::int8_t* from, std::size_t step, std::uint8_t* to, int count) {
  int i = 0;
  if constexpr (kChannelsPerUnit == 4) {
    // The usual stem: every second pixel. It loads the one after the last too, hence "<".
    const hn::CappedTag<std::uint32_t, 16> d;
    const auto bias = hn::Set(d, 0x01010101u * kZero);
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
  for (; i < count; ++i, from += step, to += kThinPixelBytes) {
    if constexpr (kChannelsPerUnit == 4) {
      std::uint32_t bits;
      std::memcpy(&bits, from, sizeof bits);
      bits ^= 0x01010101u * kZero;
      std::memcpy(to, &bits, sizeof bits);
    } else {
      const std::int16_t wide[4] = {from[0], from[1], from[2], from[3]};
      std::memcpy(to, wide, sizeof wide);
    }
  }
}

template <PixelForm kForm, Pointwise kPointwise, int kGroups, int kSize>
void add_tile(ConvTarget& target) {
  constexpr int kPixels = size_of(kGroups).pixels[kSize];
  auto& entry = target.tiles[static_cast<int>(kForm)][kGroups - 1][kSize];
  entry[static_cast<int>(Rounding::kHalfAway)] =
      convolve<kForm, kGroups, kPixels, Rounding::kHalfAway, kPointwise>;
  entry[static_cast<int>(Rounding::kHalfEven)] =
      convolve<kForm, kGroups, kPixels, Rounding::kHalfEven, kPointwise>;
  target.tile_pixels[kGroups - 1][kSize] = kPixels;
}

template <Pointwise kPointwise>
constexpr int kMostGroups = kPointwise == Pointwise::kFp32 ? kGroupsOfTarget : 1;

template <PixelForm kForm, Pointwise kPointwise, int kGroups = 1>
void add_tiles(ConvTarget& target) {
  add_tile<kForm, kPointwise, kGroups, 0>(target);
  add_tile<kForm, kPointwise, kGroups, 1>(target);
  add_tile<kForm, kPointwise, kGroups, 2>(target);
  add_tile<kForm, kPointwise, kGroups, 3>(target);
  if constexpr (kGroups < kMostGroups<kPointwise>)
    add_tiles<kForm, kPointwise, kGroups + 1>(target);
}

template <Pointwise kPointwise>
const ConvTarget& make_target() {
  static const ConvTarget result = [] {
    ConvTarget target{};
    target.channels_per_unit = kChannelsPerUnit;
    target.has_unpacked = kHasUnpacked;
    target.zero = kZero;
    target.max_groups = kMostGroups<kPointwise>;
    add_tiles<PixelForm::kBlock, kPointwise>(target);
    add_tiles<PixelForm::kThin, kPointwise>(target);
    if constexpr (kHasUnpacked) add_tiles<PixelForm::kUnpacked, kPointwise>(target);
    target.pack_block = pack_block;
    target.pack_thin = pack_thin;
    return target;
  }();
  return result;
}

const ConvTarget& conv_target() { return make_target<Pointwise::kFp32>(); }
const ConvTarget& conv_target_fp19() { return make_target<Pointwise::kFp19>(); }

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
#if HWY_TARGET == HWY_AVX3_DL && defined(__clang__)
#pragma clang attribute pop
#endif
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {

HWY_EXPORT(conv_target);
HWY_EXPORT(conv_target_fp19);

const ConvTarget& best_conv_target(Pointwise pointwise) {
  return pointwise == Pointwise::kFp32 ? HWY_DYNAMIC_DISPATCH(conv_target)()
                                       : HWY_DYNAMIC_DISPATCH(conv_target_fp19)();
}

}  // namespace unina::host
#endif  // HWY_ONCE
