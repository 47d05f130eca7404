// FP19, the format of the DLA's pointwise arithmetic (TensorRT 8.5.3 guide, 12.2.3): a sign, 8 bits
// of exponent and 10 of mantissa, a float32 whose 13 lowest bits are zero. How the DLA rounds to it
// is not published; to nearest, ties to even, is our definition (docs/integer-semantics.md).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "unina/error.h"

namespace unina::host {

constexpr int kFp19Cut = 13;  // mantissa bits of a float32 that FP19 lacks
constexpr std::uint32_t kFp19Kept = 0xffffffffu << kFp19Cut;
constexpr std::uint32_t kFp19BelowHalf = (1u << (kFp19Cut - 1)) - 1;

inline float to_fp19(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  // A carry out of the mantissa rightly raises the exponent, in the end to infinity.
  bits = (bits + (bits >> kFp19Cut & 1u) + kFp19BelowHalf) & kFp19Kept;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

// A factor or addend that is settled when a network is loaded. Finite ones, and an inverse above 0,
// keep every step free of NaN. Throws unina::Error.
inline float settled_fp19(float value, const std::string& what) {
  const float rounded = to_fp19(value);
  if (!std::isfinite(rounded))
    throw Error(what + " is " + std::to_string(value) +
                ", beyond FP19; its scales lie too far apart");
  return rounded;
}

// 1 / scale, of an output.
inline float inverse_fp19(float scale) {
  return settled_fp19(1.0f / scale, "1 / (scale of the output)");
}

}  // namespace unina::host
