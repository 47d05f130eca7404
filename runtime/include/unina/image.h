// A picture that somebody else owns: 8-bit BGR, interleaved, as OpenCV reads it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace unina {

struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  std::size_t row_stride = 0;  // bytes from row y to row y + 1, at least 3 * width
};

}  // namespace unina
