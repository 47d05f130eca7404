// Pictures of noise in every format that a camera gives, with gaps between their rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "unina/image.h"

namespace unina {

constexpr PixelFormat kEveryFormat[] = {PixelFormat::kBgr, PixelFormat::kRgba, PixelFormat::kNv12,
                                        PixelFormat::kUyvy};

struct CameraPicture {
  CameraPicture(PixelFormat format, int width, int height, unsigned seed, std::size_t gap = 0) {
    view.width = width;
    view.height = height;
    view.format = format;
    view.row_stride = view.least_row_stride() + gap;
    const auto rows = static_cast<std::size_t>(height);
    bytes.resize(view.row_stride * rows);
    if (format == PixelFormat::kNv12) {
      view.chroma_stride = static_cast<std::size_t>(width) + 2 * gap;
      pairs.resize(view.chroma_stride * (rows / 2));
    }
    std::mt19937 random(seed);
    for (auto* plane : {&bytes, &pairs})
      for (std::uint8_t& byte : *plane) byte = static_cast<std::uint8_t>(random() >> 13);
    view.data = bytes.data();
    view.chroma = pairs.empty() ? nullptr : pairs.data();
  }
  CameraPicture(const CameraPicture&) = delete;
  CameraPicture& operator=(const CameraPicture&) = delete;

  std::vector<std::uint8_t> bytes, pairs;
  ImageView view;
};

}  // namespace unina
