// A picture that somebody else owns: 8-bit, in one of the formats that cameras give; BGR, as OpenCV
// reads it, unless it says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "unina/pixel_format.h"

namespace unina {

struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  std::size_t row_stride = 0;  // bytes from row y to row y + 1, at least least_row_stride()
  PixelFormat format = PixelFormat::kBgr;
  // NV12 only: the plane of U and V, wherever it lies, and its rows' stride (at least `width`).
  const std::uint8_t* chroma = nullptr;
  std::size_t chroma_stride = 0;

  // Bytes of the pixels of one row of `data`.
  std::size_t least_row_stride() const;
};

// "1280x720 NV12", for messages.
std::string described(int width, int height, PixelFormat format);
std::string described(const ImageView& image);

// Throws Error, which `where` begins, for sides that are below 1 or that the format cannot have.
void require_sides(int width, int height, PixelFormat format, const std::string& where);

// Throws Error, which `where` begins, for a picture that is empty, whose rows are shorter than its
// width, or whose sides its format cannot have.
void require_image(const ImageView& image, const std::string& where);

}  // namespace unina
