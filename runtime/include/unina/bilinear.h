// The definition of resizing: bilinear interpolation in integers, with 11-bit weights.
//
// The two stages and their shifts are those of OpenCV's 8-bit INTER_LINEAR (modules/imgproc,
// resize), so that the pixels a network was trained on, resized by cv::resize, are the pixels it
// sees here. Nothing but integers touches a pixel, and this header depends on nothing: a CUDA
// kernel includes it and gives the same bytes. The weights come from `bilinear_taps`
// (runtime/src/resize.h), once a geometry.
#pragma once

#include <cstdint>

#include "unina/host_device.h"

namespace unina {

constexpr int kBilinearBits = 11;
constexpr int kBilinearOne = 1 << kBilinearBits;

// The two source positions that one target position reads along an axis, and their weights (sum
// 2048).
struct alignas(16) BilinearTap {  // a GPU reads it in one load
  std::int32_t first;
  std::int32_t second;
  std::int32_t first_weight;
  std::int32_t second_weight;
};

// Between two neighbours of a row: 19 bits, exact.
UNINA_HOST_DEVICE inline std::int32_t bilinear_along_row(std::int32_t first, std::int32_t second,
                                                         const BilinearTap& x) {
  return first * x.first_weight + second * x.second_weight;
}

// Between two rows. Each product keeps 10 bits (>> 4, >> 16: what a 16-bit high multiply keeps),
// their sum is rounded by the last two.
UNINA_HOST_DEVICE inline std::uint8_t bilinear_between_rows(std::int32_t first, std::int32_t second,
                                                            std::int32_t first_weight,
                                                            std::int32_t second_weight) {
  const std::int32_t sum =
      (((first >> 4) * first_weight) >> 16) + (((second >> 4) * second_weight) >> 16);
  return static_cast<std::uint8_t>((sum + 2) >> 2);
}

// One channel of one target pixel of an interleaved picture with `channels` values a pixel.
UNINA_HOST_DEVICE inline std::uint8_t bilinear_pixel(const std::uint8_t* source,
                                                     std::int64_t row_stride, int channels,
                                                     int channel, const BilinearTap& x,
                                                     const BilinearTap& y) {
  const std::uint8_t* top = source + y.first * row_stride + channel;
  const std::uint8_t* bottom = source + y.second * row_stride + channel;
  return bilinear_between_rows(
      bilinear_along_row(top[x.first * channels], top[x.second * channels], x),
      bilinear_along_row(bottom[x.first * channels], bottom[x.second * channels], x),
      y.first_weight, y.second_weight);
}

}  // namespace unina
