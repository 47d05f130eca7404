// Every operator of the host engine, element by element, as plain as docs/integer-semantics.md.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "host/step.h"

namespace unina::host {

inline std::int8_t element(const Buffer& b, int c, int y, int x) {
  return b.data[b.format.offset(c, y, x)];
}

inline std::int8_t scalar_round(float v, Rounding rounding, bool relu) {
  float q = std::trunc(v);
  const float rest = std::fabs(v - q);
  const bool up = rounding == Rounding::kHalfAway
                      ? rest >= 0.5f
                      : rest > 0.5f || (rest == 0.5f && std::fmod(q, 2.0f) != 0.0f);
  if (up) q += std::copysign(1.0f, v);
  return static_cast<std::int8_t>(std::clamp(q, relu ? 0.0f : -128.0f, 127.0f));
}

inline std::int8_t scalar_requantise(std::int32_t value, float multiplier, Rounding rounding,
                                     bool relu) {
  return scalar_round(static_cast<float>(value) * multiplier, rounding, relu);
}

// The nearest value with 11 significant bits, ties to even, by arithmetic rather than by bits.
inline float scalar_fp19(float v) {
  if (v == 0.0f || !std::isfinite(v)) return v;
  int exponent;
  std::frexp(v, &exponent);
  const double step = std::ldexp(1.0, std::max(exponent, -125) - 11);
  return static_cast<float>(std::nearbyint(static_cast<double>(v) / step) * step);
}

// What an accumulator without its bias becomes; `step` is its scale.
inline std::int8_t scalar_requantise_fp19(std::int32_t value, float step, float addend,
                                          float output_scale, Rounding rounding, bool relu) {
  float v = scalar_fp19(scalar_fp19(static_cast<float>(value)) * scalar_fp19(step));
  v = scalar_fp19(v + scalar_fp19(addend));
  if (relu) v = std::max(v, 0.0f);
  return scalar_round(scalar_fp19(v * scalar_fp19(1.0f / output_scale)), rounding, relu);
}

// The product of a pixel and a factor, in FP19 all along.
inline std::int8_t scalar_mul_fp19(std::int8_t a, float scale_a, std::int8_t b, float scale_b,
                                   float output_scale, Rounding rounding) {
  const float x = scalar_fp19(a * scalar_fp19(scale_a)), y = scalar_fp19(b * scalar_fp19(scale_b));
  const float product = scalar_fp19(x * y);
  return scalar_round(scalar_fp19(product * scalar_fp19(1.0f / output_scale)), rounding, false);
}

// What input pixel `pixel` of `pixels` adds to output pixel `i` of a bilinear enlargement, in parts
// of 2 * factor.
inline int scalar_bilinear_weight(int i, int pixel, int pixels, int factor, Corner corner) {
  const int at = corner == Corner::kHalfPixel ? 2 * i + 1 - factor : 2 * i;
  const int whole = 2 * factor, inside = std::clamp(at, 0, whole * (pixels - 1));
  return std::max(0, whole - std::abs(inside - whole * pixel));
}

// Element (k, y, x) of what `op` makes of `inputs`.
inline std::int8_t scalar_element(const Operator& op, const std::vector<Buffer>& inputs,
                                  const TensorFormat& out, Arithmetic arithmetic, int k, int y,
                                  int x) {
  const Rounding rounding = arithmetic.rounding;
  const bool fp19 = arithmetic.pointwise == Pointwise::kFp19;
  const Buffer& in = inputs[0];
  switch (op.type) {
    case OperatorType::kConv: {
      const int depth = in.format.channels / op.groups;
      const int first = k / (out.channels / op.groups) * depth;
      const auto channel = static_cast<std::size_t>(k);
      std::int32_t sum = fp19 ? 0 : op.bias[channel];
      const std::int8_t* w =
          op.weights.data() + channel * static_cast<std::size_t>(depth * op.kernel.y * op.kernel.x);
      for (int c = 0; c < depth; ++c)
        for (int ky = 0; ky < op.kernel.y; ++ky)
          for (int kx = 0; kx < op.kernel.x; ++kx, ++w) {
            const int sy = y * op.stride.y - op.pads.top + ky * op.dilation.y;
            const int sx = x * op.stride.x - op.pads.left + kx * op.dilation.x;
            if (sy >= 0 && sy < in.format.height && sx >= 0 && sx < in.format.width)
              sum += std::int32_t{*w} * element(in, first + c, sy, sx);
          }
      const float step = op.multiplier[channel] * out.scale;
      return fp19 ? scalar_requantise_fp19(sum, step, static_cast<float>(op.bias[channel]) * step,
                                           out.scale, rounding, op.relu)
                  : scalar_requantise(sum, op.multiplier[channel], rounding, op.relu);
    }
    case OperatorType::kRelu:
      return std::max(element(in, k, y, x), std::int8_t{0});
    case OperatorType::kAdd:
      if (fp19) {
        const float scale = scalar_fp19(in.format.scale);
        const float b = static_cast<float>(element(inputs.at(1), k, y, x)) * scale;
        return scalar_requantise_fp19(element(in, k, y, x), scale, b, out.scale, rounding, op.relu);
      }
      return scalar_requantise(std::int32_t{element(in, k, y, x)} + element(inputs.at(1), k, y, x),
                               op.multiplier[0], rounding, op.relu);
    case OperatorType::kConcat: {
      std::size_t part = 0;
      for (; k >= inputs.at(part).format.channels; ++part) k -= inputs.at(part).format.channels;
      return element(inputs.at(part), k, y, x);
    }
    case OperatorType::kMaxPool: {
      std::int8_t best = -128;
      for (int ky = 0; ky < op.kernel.y; ++ky)
        for (int kx = 0; kx < op.kernel.x; ++kx) {
          const int sy = y * op.stride.y - op.pads.top + ky;
          const int sx = x * op.stride.x - op.pads.left + kx;
          if (sy >= 0 && sy < in.format.height && sx >= 0 && sx < in.format.width)
            best = std::max(best, element(in, k, sy, sx));
        }
      return best;
    }
    case OperatorType::kResize:
      return element(in, k, y / op.factor.y, x / op.factor.x);
    case OperatorType::kTable:
      return op.table[static_cast<std::size_t>(element(in, k, y, x) + 128)];
    case OperatorType::kMul: {
      const Buffer& other = inputs.at(1);
      const bool one_a_channel = other.format.height * other.format.width == 1;
      const std::int8_t a = element(in, k, y, x);
      const std::int8_t b = one_a_channel ? element(other, k, 0, 0) : element(other, k, y, x);
      return fp19 ? scalar_mul_fp19(a, in.format.scale, b, other.format.scale, out.scale, rounding)
                  : scalar_requantise(a * b, op.multiplier[0], rounding, false);
    }
    case OperatorType::kMax:
      return std::max(element(in, k, y, x), element(inputs.at(1), k, y, x));
    case OperatorType::kMin:
      return std::min(element(in, k, y, x), element(inputs.at(1), k, y, x));
    case OperatorType::kAvgPool: {
      int sum = 0, pixels = 0;
      for (int ky = 0; ky < op.kernel.y; ++ky)
        for (int kx = 0; kx < op.kernel.x; ++kx) {
          const int sy = y * op.stride.y - op.pads.top + ky;
          const int sx = x * op.stride.x - op.pads.left + kx;
          if (sy < 0 || sy >= in.format.height || sx < 0 || sx >= in.format.width) continue;
          sum += element(in, k, sy, sx);
          ++pixels;
        }
      return scalar_round(static_cast<float>(sum) / static_cast<float>(pixels), rounding, false);
    }
    case OperatorType::kBilinear: {
      const int height = in.format.height, width = in.format.width;
      std::int32_t sum = 0;
      for (int sy = 0; sy < height; ++sy) {
        const int weight_y = scalar_bilinear_weight(y, sy, height, op.factor.y, op.corner);
        for (int sx = 0; weight_y > 0 && sx < width; ++sx)
          sum += weight_y * scalar_bilinear_weight(x, sx, width, op.factor.x, op.corner) *
                 element(in, k, sy, sx);
      }
      return scalar_requantise(sum, op.multiplier[0], rounding, false);
    }
    case OperatorType::kDepthToSpace: {
      const int phase = y % op.block.y * op.block.x + x % op.block.x;
      return element(in, phase * out.channels + k, y / op.block.y, x / op.block.x);
    }
  }
  return 0;
}

}  // namespace unina::host
