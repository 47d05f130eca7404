// The convolution kernel for CPUs with AVX-512 VNNI: vpdpbusd on 512 bits.
//
// It multiplies unsigned bytes with signed ones, so pixels have 128 added; the bias takes
// 128 * sum(weights) off again. The sum wraps, but ends exact: nothing saturates in between.
#include "host/simd_targets.h"

// After simd_targets.h: the list of targets depends on it.
#include <hwy/detect_targets.h>

#include "host/conv_kernel.h"

#if HWY_ARCH_X86 && !defined(HWY_COMPILE_ONLY_STATIC)
#undef HWY_TARGET
#define HWY_TARGET HWY_AVX3
#include <hwy/highway.h>
// What Highway's AVX3 may use, and one instruction more.
#undef HWY_TARGET_STR
#define HWY_TARGET_STR HWY_TARGET_STR_AVX3 ",avx512vnni"

#include "host/conv_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {

struct Avx512VnniDot {
  static constexpr int kChannelsPerUnit = 4;
  static constexpr std::uint8_t kZero = 0x80;
  static constexpr bool kReadsChw32 = true;

  static HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
    return V32{_mm512_dpbusd_epi32(acc.raw, pixel.raw, weights.raw)};
  }
};

const ConvTarget& avx512_vnni_kernel(Pointwise pointwise) {
  return conv_target_of<Avx512VnniDot>(pointwise);
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

namespace unina::host {

const ConvTarget* avx512_vnni_target(Pointwise pointwise) {
  const bool here =
      (hwy::SupportedTargets() & HWY_AVX3) != 0 && __builtin_cpu_supports("avx512vnni");
  return here ? &N_AVX3::avx512_vnni_kernel(pointwise) : nullptr;
}

}  // namespace unina::host
#else
namespace unina::host {
const ConvTarget* avx512_vnni_target(Pointwise) { return nullptr; }
}  // namespace unina::host
#endif
