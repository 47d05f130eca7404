// FP16 (IEEE 754 binary16) as 16 bits, where the compiler has no type for it.
#pragma once

#include <cstdint>
#include <cstring>

namespace unina {

constexpr std::uint16_t kFloat16Exponent = 0x7c00;  // all ones: infinity or no number

inline bool is_finite_float16(std::uint16_t bits) {
  return (bits & kFloat16Exponent) != kFloat16Exponent;
}

// Exact, for infinities and what is no number too.
inline float float_from_float16(std::uint16_t bits) {
  std::uint32_t wide = static_cast<std::uint32_t>(bits & 0x7fff) << 13;
  float value;
  if (is_finite_float16(bits)) {
    std::memcpy(&value, &wide, sizeof value);
    value *= 0x1p112f;  // moves the exponent, of subnormals as well
    std::memcpy(&wide, &value, sizeof wide);
  } else {
    wide |= 0x7f800000u;
  }
  wide |= static_cast<std::uint32_t>(bits & 0x8000) << 16;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

}  // namespace unina
