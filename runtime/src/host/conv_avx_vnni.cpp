// The convolution kernel for CPUs with AVX-VNNI but no AVX-512 (PCs since 2021): vpdpbusd on 256
// bits. Pixels are biased as in conv_avx512_vnni.cpp.
#include "host/simd_targets.h"

// After simd_targets.h: the list of targets depends on it.
#include <hwy/detect_targets.h>

#include "host/conv_kernel.h"

#if HWY_ARCH_X86 && !defined(HWY_COMPILE_ONLY_STATIC)
#include <cpuid.h>
#undef HWY_TARGET
#define HWY_TARGET HWY_AVX2
#include <hwy/highway.h>
// What Highway's AVX2 may use, and one instruction more.
#undef HWY_TARGET_STR
#define HWY_TARGET_STR HWY_TARGET_STR_AVX2 ",avxvnni"

#include "host/conv_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {

struct AvxVnniDot {
  static constexpr int kChannelsPerUnit = 4;
  static constexpr std::uint8_t kZero = 0x80;
  static constexpr bool kReadsChw32 = true;

  static HWY_INLINE V32 dot(V32 acc, V32 pixel, V32 weights) {
    return V32{_mm256_dpbusd_avx_epi32(acc.raw, pixel.raw, weights.raw)};
  }
};

const ConvTarget& avx_vnni_kernel(Pointwise pointwise) {
  return conv_target_of<AvxVnniDot>(pointwise);
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

namespace unina::host {
namespace {

// CPUID leaf 7, subleaf 1, bit 4 of eax; not every compiler's __builtin_cpu_supports knows it.
bool has_avx_vnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}

}  // namespace

const ConvTarget* avx_vnni_target(Pointwise pointwise) {
  const bool here = (hwy::SupportedTargets() & HWY_AVX2) != 0 && has_avx_vnni();
  return here ? &N_AVX2::avx_vnni_kernel(pointwise) : nullptr;
}

}  // namespace unina::host
#else
namespace unina::host {
const ConvTarget* avx_vnni_target(Pointwise) { return nullptr; }
}  // namespace unina::host
#endif
