// The convolution kernel for every Highway target, without a CPU's dot products of bytes:
//   x86            pmaddwd on int16 pairs; pixels and weights are widened when packed.
//   NEON           widening multiplies.
//   anything else  shifts and 32-bit multiplies.
// None of them saturates in between. And which kernel is the best.
#include "host/conv_kernel.h"

#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/conv_kernel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "host/conv_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128 && HWY_ARCH_X86

struct WideningDot {
  static constexpr int kChannelsPerUnit = 2;
  static constexpr std::uint8_t kZero = 0;
  static constexpr bool kReadsChw32 = false;

  static HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
    const hn::RepartitionToNarrow<D32> d16;
    V32 unused = hn::Zero(D32());
    return hn::ReorderWidenMulAccumulate(D32(), hn::BitCast(d16, pixel), hn::BitCast(d16, weights),
                                         acc, unused);
  }
};

#elif HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128 && HWY_ARCH_ARM_A64

struct WideningDot {
  static constexpr int kChannelsPerUnit = 4;
  static constexpr std::uint8_t kZero = 0;
  static constexpr bool kReadsChw32 = true;

  static HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
    const int8x16_t p = vreinterpretq_s8_s32(pixel.raw);
    const int8x16_t w = vreinterpretq_s8_s32(weights.raw);
    // Two products fit into 16 bits because no weight is -128: 2 * 128 * 127 = 32512.
    const int16x8_t low = vmull_s8(vget_low_s8(p), vget_low_s8(w));
    const int16x8_t high = vmull_high_s8(p, w);
    return V32{vpadalq_s16(acc.raw, vpaddq_s16(low, high))};
  }
};

#else

struct WideningDot {
  static constexpr int kChannelsPerUnit = 4;
  static constexpr std::uint8_t kZero = 0;
  static constexpr bool kReadsChw32 = true;

  static HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
    const auto product = [](V32 p, V32 w) {
      return hn::Mul(hn::ShiftRight<24>(p), hn::ShiftRight<24>(w));
    };
    acc = hn::Add(acc, product(pixel, weights));
    acc = hn::Add(acc, product(hn::ShiftLeft<8>(pixel), hn::ShiftLeft<8>(weights)));
    acc = hn::Add(acc, product(hn::ShiftLeft<16>(pixel), hn::ShiftLeft<16>(weights)));
    return hn::Add(acc, product(hn::ShiftLeft<24>(pixel), hn::ShiftLeft<24>(weights)));
  }
};

#endif

const ConvTarget& widening_target(Pointwise pointwise) {
  return conv_target_of<WideningDot>(pointwise);
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {

HWY_EXPORT(widening_target);

const ConvTarget& widening_conv_target(Pointwise pointwise) {
  return HWY_DYNAMIC_DISPATCH(widening_target)(pointwise);
}

const ConvTarget& best_conv_target(Pointwise pointwise) {
  for (const DotProductTarget& candidate : kDotProductTargets)
    if (const ConvTarget* target = candidate.target(pointwise)) return *target;
  return widening_conv_target(pointwise);
}

}  // namespace unina::host
#endif  // HWY_ONCE
