// A camera's YUV picture as BGR, byte for byte as unina/letterbox_pixel.h defines its colours.
#pragma once

#include <cstdint>
#include <vector>

#include "preprocess/pixel_path.h"
#include "unina/image.h"

namespace unina {

// One size of NV12 or UYVY. Holds the picture it makes: one object a thread.
class YuvToBgr {
 public:
  YuvToBgr(PixelFormat format, int width, int height, PixelPath path = PixelPath::kAuto);

  // The picture, packed, valid until the next call.
  ImageView operator()(const ImageView& source);
  bool uses_opencv() const { return opencv_; }

 private:
  bool opencv_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace unina
