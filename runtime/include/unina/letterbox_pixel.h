// The definition of preprocessing: one pixel of the network's input from a camera's picture, in
// integers (docs/preprocessing.md).
//
// Colour first, then size, then quantisation: every source pixel that is read becomes blue, green
// and red; those are interpolated by unina/bilinear.h; the result is looked up in a table of 256
// stored values. This header depends on nothing that runs: nvcc and g++ compile the same function,
// so a GPU, the CPU and the tests cannot disagree on what a pixel is.
#pragma once

#include <cstdint>
#include <cstring>

#include "unina/bilinear.h"
#include "unina/pixel_format.h"
#include "unina/tensor.h"

namespace unina {

struct Color {
  std::int32_t blue, green, red;  // 0 to 255
};

// Where the bytes of a picture are; strides in bytes.
struct SourcePixels {
  const std::uint8_t* data;
  const std::uint8_t* chroma;  // NV12 only
  std::int64_t row_stride;
  std::int64_t chroma_stride;
};

// One geometry, all that the pixels of a picture share. Plain, so that it travels to a GPU as it
// is; it owns nothing.
struct LetterboxPlan {
  std::int32_t left, top, width, height;   // of the resized picture inside the input
  std::int32_t input_width, input_height;  // of the network's input
  const BilinearTap* columns;              // `width` of them
  const BilinearTap* rows;                 // `height` of them
  const std::int8_t* stored;               // 256: what each pixel value becomes
  std::int8_t padding;                     // what stands around the picture
  bool red_first;                          // the network's order of colours
  Layout layout;                           // of the tensor, and its strides in bytes
  std::int64_t pixel_row_stride;
  std::int64_t plane_stride;  // linear only
};

// The three values of one input pixel, in the network's order.
struct StoredPixel {
  std::int8_t values[3];
};

UNINA_HOST_DEVICE inline std::int32_t to_8_bits(std::int32_t value) {
  return value < 0 ? 0 : (value > 255 ? 255 : value);
}

// BT.601 in the limited range, with 20 bits of fraction and the standard's coefficients in three
// decimals (1.164, 1.596, 0.813, 0.391, 2.018), as OpenCV has them. Rounds half up; nothing
// overflows 32 bits.
UNINA_HOST_DEVICE inline Color color_of_yuv(std::int32_t y, std::int32_t u, std::int32_t v) {
  constexpr std::int32_t kBits = 20, kHalf = 1 << (kBits - 1);
  constexpr std::int32_t kLuma = 1220542;                             // 1.164
  constexpr std::int32_t kRedFromV = 1673527, kGreenFromV = 852492;   // 1.596, 0.813
  constexpr std::int32_t kGreenFromU = 409993, kBlueFromU = 2116026;  // 0.391, 2.018
  const std::int32_t luma = (y < 16 ? 0 : y - 16) * kLuma + kHalf;
  u -= 128;
  v -= 128;
  return {to_8_bits((luma + kBlueFromU * u) >> kBits),
          to_8_bits((luma - kGreenFromU * u - kGreenFromV * v) >> kBits),
          to_8_bits((luma + kRedFromV * v) >> kBits)};
}

// The colour of source pixel (x, y). U and V are not interpolated: each pair serves its pixels.
template <PixelFormat format>
UNINA_HOST_DEVICE inline Color source_color(const SourcePixels& source, std::int32_t x,
                                            std::int32_t y) {
  const std::uint8_t* row = source.data + y * source.row_stride;
  if constexpr (format == PixelFormat::kBgr) {
    return {row[3 * x], row[3 * x + 1], row[3 * x + 2]};
  } else if constexpr (format == PixelFormat::kRgba) {
    return {row[4 * x + 2], row[4 * x + 1], row[4 * x]};
  } else if constexpr (format == PixelFormat::kNv12) {
    const std::uint8_t* pair = source.chroma + (y >> 1) * source.chroma_stride + (x & ~1);
    return color_of_yuv(row[x], pair[0], pair[1]);
  } else {
    const std::uint8_t* two = row + 2 * (x & ~1);
    return color_of_yuv(two[1 + 2 * (x & 1)], two[0], two[2]);
  }
}

// Input pixel (x, y).
template <PixelFormat format>
UNINA_HOST_DEVICE inline StoredPixel letterbox_pixel(const LetterboxPlan& plan,
                                                     const SourcePixels& source, std::int32_t x,
                                                     std::int32_t y) {
  x -= plan.left;
  y -= plan.top;
  if (x < 0 || y < 0 || x >= plan.width || y >= plan.height) {
    return {{plan.padding, plan.padding, plan.padding}};
  }
  const BilinearTap column = plan.columns[x];
  const BilinearTap row = plan.rows[y];
  const Color top_left = source_color<format>(source, column.first, row.first);
  const Color top_right = source_color<format>(source, column.second, row.first);
  const Color bottom_left = source_color<format>(source, column.first, row.second);
  const Color bottom_right = source_color<format>(source, column.second, row.second);
  const std::uint8_t blue =
      bilinear_between_rows(bilinear_along_row(top_left.blue, top_right.blue, column),
                            bilinear_along_row(bottom_left.blue, bottom_right.blue, column),
                            row.first_weight, row.second_weight);
  const std::uint8_t green =
      bilinear_between_rows(bilinear_along_row(top_left.green, top_right.green, column),
                            bilinear_along_row(bottom_left.green, bottom_right.green, column),
                            row.first_weight, row.second_weight);
  const std::uint8_t red =
      bilinear_between_rows(bilinear_along_row(top_left.red, top_right.red, column),
                            bilinear_along_row(bottom_left.red, bottom_right.red, column),
                            row.first_weight, row.second_weight);
  return {{plan.stored[plan.red_first ? red : blue], plan.stored[green],
           plan.stored[plan.red_first ? blue : red]}};
}

// Puts input pixel (x, y) into the tensor; in the layouts that have more than three channels, zero
// into the others. On a GPU, buffer and strides are multiples of a pixel's bytes.
UNINA_HOST_DEVICE inline void store_pixel(const LetterboxPlan& plan, std::int8_t* tensor,
                                          std::int32_t x, std::int32_t y,
                                          const StoredPixel& pixel) {
  std::int8_t* row = tensor + y * plan.pixel_row_stride;
  if (plan.layout == Layout::kLinear) {
    for (int c = 0; c < 3; ++c) row[c * plan.plane_stride + x] = pixel.values[c];
    return;
  }
  const int bytes = plan.layout == Layout::kHwc4 ? 4 : (plan.layout == Layout::kChw16 ? 16 : 32);
  std::int8_t* out = row + static_cast<std::int64_t>(x) * bytes;
#if defined(__CUDA_ARCH__)  // wide stores: a warp writes whole sectors
  const std::uint32_t colors =
      static_cast<std::uint8_t>(pixel.values[0]) | static_cast<std::uint8_t>(pixel.values[1]) << 8 |
      static_cast<std::uint32_t>(static_cast<std::uint8_t>(pixel.values[2])) << 16;
  if (bytes == 4) {
    *reinterpret_cast<std::uint32_t*>(out) = colors;
    return;
  }
  *reinterpret_cast<uint4*>(out) = make_uint4(colors, 0, 0, 0);
  if (bytes == 32) *reinterpret_cast<uint4*>(out + 16) = make_uint4(0, 0, 0, 0);
#else
  std::memset(out, 0, static_cast<std::size_t>(bytes));
  std::memcpy(out, pixel.values, 3);
#endif
}

}  // namespace unina
