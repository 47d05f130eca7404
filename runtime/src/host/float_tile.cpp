// A promoted convolution: FP16 in, weights in FP16, sums in float32, one after the other in the
// order that docs/integer-semantics.md defines, so that every target gives the same bits.
//
// A vector is some of 16 output channels; a tile a few neighbouring pixels of them. Input rows are
// converted into scratch as float32 with their padding, all channels of a pixel side by side, a
// band of output rows at a time.
#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/float_tile.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "host/float16-inl.h"
#include "host/float_tile.h"
#include "host/requantise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, kFloatGroup>;
using I32 = hn::Rebind<std::int32_t, F32>;
constexpr int kLanesOfFloat = static_cast<int>(HWY_MIN(HWY_LANES(float), kFloatGroup));
constexpr int kVectorsOfGroup = kFloatGroup / kLanesOfFloat;
// As many accumulators as registers allow beside weights and a pixel.
constexpr int kPixelsOfTile = kLanesOfFloat == 1                   ? 1
                              : kLanesOfFloat == 4 && HWY_ARCH_X86 ? 3
                              : kLanesOfFloat == 16                ? 12
                                                                   : 6;

enum class Store { kFloat16, kInt8HalfAway, kInt8HalfEven };

template <Store kStore>
void convolve_float(const FloatTile& tile) {
  constexpr F32 df;
  using V = hn::Vec<F32>;
  V acc[kPixelsOfTile][kVectorsOfGroup];
#pragma GCC unroll 12
  for (int p = 0; p < kPixelsOfTile; ++p)
#pragma GCC unroll 16
    for (int v = 0; v < kVectorsOfGroup; ++v)
      acc[p][v] = hn::Load(df, tile.bias + v * kLanesOfFloat);

  const float* weights = tile.weights;
  for (const std::int32_t* tap = tile.taps; tap != tile.taps_end; ++tap, weights += kFloatGroup) {
    V w[kVectorsOfGroup];
#pragma GCC unroll 16
    for (int v = 0; v < kVectorsOfGroup; ++v) w[v] = hn::Load(df, weights + v * kLanesOfFloat);
    const float* pixel = tile.pixels + *tap;
#pragma GCC unroll 12
    for (int p = 0; p < kPixelsOfTile; ++p) {
      const V x = hn::Set(df, pixel[p * tile.step]);
      // Fused or not: the product of two FP16 numbers is exact.
#pragma GCC unroll 16
      for (int v = 0; v < kVectorsOfGroup; ++v) acc[p][v] = hn::MulAdd(x, w[v], acc[p][v]);
    }
  }

  const V low = hn::Set(df, tile.low);
  const int count = tile.count;
#pragma GCC unroll 12
  for (int p = 0; p < kPixelsOfTile; ++p) {
    if (p >= count) break;
    std::uint8_t* to = tile.out + p * kFloatPixelBytes;
#pragma GCC unroll 16
    for (int v = 0; v < kVectorsOfGroup; ++v) {
      const auto half = to_float16(df, hn::Max(acc[p][v], low));
      if constexpr (kStore == Store::kFloat16) {
        const hn::Rebind<std::uint16_t, F32> d16;
        hn::StoreU(hn::DemoteTo(d16, hn::BitCast(I32(), half)), d16,
                   reinterpret_cast<std::uint16_t*>(to) + v * kLanesOfFloat);
      } else {
        constexpr Rounding kRounding =
            kStore == Store::kInt8HalfAway ? Rounding::kHalfAway : Rounding::kHalfEven;
        const V steps = hn::Mul(from_float16(df, half), hn::Set(df, tile.inverse));
        store_int8(I32(), round_clamped<kRounding>(I32(), steps, hn::Set(df, -128.0f)),
                   reinterpret_cast<std::int8_t*>(to) + v * kLanesOfFloat);
      }
    }
  }
}

// `count` pixels of kChannels int8 to as many of FP16's values, `step` floats apart.
template <int kChannels>
void unpack_int8(const std::int8_t* from, float scale, float* to, std::size_t step, int count) {
  constexpr hn::CappedTag<float, HWY_MIN(kChannels, kFloatGroup)> df;
  constexpr hn::Rebind<std::int32_t, decltype(df)> d32;
  constexpr hn::Rebind<std::int8_t, decltype(df)> d8;
  const auto s = hn::Set(df, scale);
  for (int i = 0; i < count; ++i, from += kChannels, to += step)
    for (std::size_t c = 0; c < kChannels; c += hn::Lanes(df)) {
      const auto q = hn::PromoteTo(d32, hn::LoadU(d8, from + c));
      const auto half = to_float16(df, hn::Mul(hn::ConvertTo(df, q), s));
      hn::StoreU(from_float16(df, half), df, to + c);
    }
}

void unpack_float16(const std::uint16_t* from, float* to, std::size_t step, int count) {
  constexpr F32 df;
  constexpr hn::Rebind<std::uint16_t, F32> d16;
  constexpr hn::Rebind<std::uint32_t, F32> d32;
  for (int i = 0; i < count; ++i, from += kFloatGroup, to += step)
    for (std::size_t c = 0; c < kFloatGroup; c += hn::Lanes(df))
      hn::StoreU(from_float16(df, hn::PromoteTo(d32, hn::LoadU(d16, from + c))), df, to + c);
}

const FloatTarget& float_target() {
  static const FloatTarget target{
      kPixelsOfTile,
      convolve_float<Store::kFloat16>,
      {convolve_float<Store::kInt8HalfAway>, convolve_float<Store::kInt8HalfEven>},
      unpack_int8<4>,
      unpack_int8<32>,
      unpack_float16};
  return target;
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {

HWY_EXPORT(float_target);

const FloatTarget& best_float_target() { return HWY_DYNAMIC_DISPATCH(float_target)(); }

}  // namespace unina::host
#endif  // HWY_ONCE
