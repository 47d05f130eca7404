// The convolution kernel for 64-bit ARM CPUs with the dot product of Armv8.2 (Orin's Cortex-A78AE
// among them): sdot on 128 bits, signed bytes on both sides.
#include "host/simd_targets.h"

// After simd_targets.h: the list of targets depends on it.
#include <hwy/detect_targets.h>

#include "host/conv_kernel.h"

#if HWY_ARCH_ARM_A64 && !defined(HWY_COMPILE_ONLY_STATIC)
#include <hwy/highway.h>
#include <sys/auxv.h>
// What Highway's NEON may use, and one instruction more, unless the whole build may use it.
#if !defined(__ARM_FEATURE_DOTPROD)
#undef HWY_TARGET_STR
#define HWY_TARGET_STR "arch=armv8.2-a+dotprod+crypto"
#endif

#include "host/conv_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {

struct NeonDotprodDot {
  static constexpr int kChannelsPerUnit = 4;
  static constexpr std::uint8_t kZero = 0;
  static constexpr bool kReadsChw32 = true;

  static HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
    return V32{
        vdotq_s32(acc.raw, vreinterpretq_s8_s32(pixel.raw), vreinterpretq_s8_s32(weights.raw))};
  }
};

const ConvTarget& neon_dotprod_kernel(Pointwise pointwise) {
  return conv_target_of<NeonDotprodDot>(pointwise);
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

namespace unina::host {

const ConvTarget* neon_dotprod_target(Pointwise pointwise) {
  const bool here =
      (hwy::SupportedTargets() & HWY_TARGET) != 0 && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  return here ? &HWY_NAMESPACE::neon_dotprod_kernel(pointwise) : nullptr;
}

}  // namespace unina::host
#else
namespace unina::host {
const ConvTarget* neon_dotprod_target(Pointwise) { return nullptr; }
}  // namespace unina::host
#endif
