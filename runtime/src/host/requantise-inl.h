// Requantisation of one vector, in float32 or FP19, exactly as docs/integer-semantics.md defines
// it. Included once a Highway target.
#if defined(UNINA_HOST_REQUANTISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef UNINA_HOST_REQUANTISE_INL_H_
#undef UNINA_HOST_REQUANTISE_INL_H_
#else
#define UNINA_HOST_REQUANTISE_INL_H_
#endif

#include <hwy/highway.h>

#include "host/fp19.h"
#include "unina/host_engine.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// clamp(round(v), low, 127) with low in [-128, 0]. The clamp may come before the rounding because
// its bounds are integers; it also keeps the conversion in range.
template <Rounding kRounding, class D32, class VF>
HWY_INLINE hn::Vec<D32> round_clamped([[maybe_unused]] D32 d32, VF v, VF low) {
  const hn::Rebind<float, D32> df;
  const auto clamped = hn::Min(hn::Max(v, low), hn::Set(df, 127.0f));
  if constexpr (kRounding == Rounding::kHalfEven) {
#if HWY_ARCH_X86 && HWY_MAX_BYTES == 64
    // Highway's own conversions also mend values beyond int32, which cannot come here.
    return hn::Vec<D32>{_mm512_cvtps_epi32(clamped.raw)};
#else
    return hn::NearestInt(clamped);
#endif
  } else {
    // Adding the float32 just below 0.5 and truncating is exact: 0.5 itself would carry 0.49999997
    // over to 1, the one below carries every tie but nothing beneath it (test_host_targets tries
    // all floats around the ties).
    const auto below_half = hn::Set(df, 0x1.fffffep-2f);
    const auto carried = hn::Add(clamped, hn::CopySignToAbs(below_half, clamped));
#if HWY_ARCH_X86 && HWY_MAX_BYTES == 64
    return hn::Vec<D32>{_mm512_cvttps_epi32(carried.raw)};
#else
    return hn::ConvertTo(d32, carried);
#endif
  }
}

// clamp(round(float32(acc) * multiplier), low, 127).
template <Rounding kRounding, class D32, class V32, class VF>
HWY_INLINE V32 requantise(D32 d32, V32 acc, VF multiplier, VF low) {
  const hn::Rebind<float, D32> df;
  return round_clamped<kRounding>(d32, hn::Mul(hn::ConvertTo(df, acc), multiplier), low);
}

// Rounds lanes to FP19, ties to even; to_fp19 of host/fp19.h.
template <class DF, class VF>
HWY_INLINE VF to_fp19(DF df, VF v) {
  const hn::Rebind<std::uint32_t, DF> du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<kFp19Cut>(bits), hn::Set(du, 1));
  const auto carried = hn::Add(hn::Add(bits, odd), hn::Set(du, kFp19BelowHalf));
  return hn::BitCast(df, hn::And(carried, hn::Set(du, kFp19Kept)));
}

// One lane: acc and addend in, int8 out. ReLU comes last, as a clamp: the steps after it keep the
// sign.
template <Rounding kRounding, class D32, class V32, class VF>
HWY_INLINE V32 requantise_fp19(D32 d32, V32 acc, VF dequantise, VF addend, VF inverse, VF low) {
  const hn::Rebind<float, D32> df;
  auto v = to_fp19(df, hn::ConvertTo(df, acc));
  v = to_fp19(df, hn::Mul(v, dequantise));
  v = to_fp19(df, hn::Add(v, addend));
  return round_clamped<kRounding>(d32, to_fp19(df, hn::Mul(v, inverse)), low);
}

// Stores lanes that lie in [-128, 127] as bytes.
template <class D32, class V32>
HWY_INLINE void store_int8([[maybe_unused]] D32 d32, V32 values, std::int8_t* to) {
#if HWY_ARCH_X86 && HWY_MAX_BYTES == 64
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(values.raw));
#else
  const hn::Rebind<std::int8_t, D32> d8;
  hn::StoreU(hn::DemoteTo(d8, values), d8, to);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
