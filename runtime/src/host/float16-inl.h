// FP16 in vectors of uint32 or float, by integer arithmetic: the same bits on every target, also
// where Highway would truncate or the CPU has no instruction. Included once a Highway target.
#if defined(UNINA_HOST_FLOAT16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef UNINA_HOST_FLOAT16_INL_H_
#undef UNINA_HOST_FLOAT16_INL_H_
#else
#define UNINA_HOST_FLOAT16_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The FP16 value nearest to each float, ties to even, at most 65504: 16 bits in each lane.
template <class DF, class VF>
HWY_INLINE hn::Vec<hn::Rebind<std::uint32_t, DF>> to_float16(DF df, VF v) {
  const hn::Rebind<std::uint32_t, DF> du;
  const auto most = hn::Set(df, 65504.0f);
  const auto clamped = hn::Min(hn::Max(v, hn::Neg(most)), most);
  const auto bits = hn::BitCast(du, clamped);
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffffff));
  const auto sign = hn::ShiftRight<16>(hn::Xor(bits, magnitude));
  // Normal: drop 13 bits of mantissa, exponent bias 15 instead of 127.
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1));
  const auto carried = hn::Add(hn::Add(magnitude, odd), hn::Set(du, 0xfff));
  const auto normal = hn::Sub(hn::ShiftRight<13>(carried), hn::Set(du, 112u << 10));
  // Below 2^-14: beside 0.5 a float32 has exactly FP16's steps of 2^-24, so the addition rounds.
  const auto half = hn::Set(df, 0.5f);
  const auto sum = hn::Add(hn::BitCast(df, magnitude), half);
  const auto small = hn::Sub(hn::BitCast(du, sum), hn::BitCast(du, half));
  const auto is_small = hn::Lt(hn::BitCast(df, magnitude), hn::Set(df, 0x1p-14f));
  return hn::Or(sign, hn::IfThenElse(hn::RebindMask(du, is_small), small, normal));
}

// The value of the 16 bits in each lane, which are finite.
template <class DF, class VU>
HWY_INLINE hn::Vec<DF> from_float16(DF df, VU bits) {
  const hn::Rebind<std::uint32_t, DF> du;
  const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000)));
  const auto magnitude = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7fff)));
  // The multiplication moves the exponent and is exact, subnormals included.
  const auto value = hn::Mul(hn::BitCast(df, magnitude), hn::Set(df, 0x1p112f));
  return hn::BitCast(df, hn::Or(sign, hn::BitCast(du, value)));
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
