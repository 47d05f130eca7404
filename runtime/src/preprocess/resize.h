// Resizes interleaved pictures of one size to another, byte for byte as unina/bilinear.h defines
// it.
#pragma once

#include <cstdint>
#include <vector>

#include "preprocess/pixel_path.h"
#include "unina/bilinear.h"
#include "unina/image.h"

namespace unina {

enum class Axis { kX, kY };

// The taps of every target position along one axis. Every step is one IEEE operation, so the table
// is the same on every machine: f = float32((i + 0.5) * (1 / (target / source)) - 0.5) with the
// inner steps in float64; first = floor(f); second_weight = round_half_even((f - first) * 2048).
// Outside the picture the border repeats: along x with weights 2048 and 0, along y by reading the
// border row twice (the two differ by the truncation in `bilinear_between_rows`; cv::resize does
// so).
std::vector<BilinearTap> bilinear_taps(Axis axis, int source, int target);

// One geometry, of BGR or RGBA pictures: every channel is resized like every other. Holds the
// picture that it makes: one object a thread.
class Resize {
 public:
  Resize(int source_width, int source_height, int width, int height,
         PixelFormat format = PixelFormat::kBgr, PixelPath path = PixelPath::kAuto);

  // The resized picture, packed, in the source's format, valid until the next call.
  ImageView operator()(const ImageView& source);
  bool uses_opencv() const { return opencv_; }

 private:
  void integer_rows(const ImageView& source);

  int source_width_, source_height_, width_, height_, channels_;
  PixelFormat format_;
  bool opencv_ = false;
  std::vector<BilinearTap> x_, y_;
  std::vector<std::int32_t> rows_;  // two source rows, interpolated along x
  std::vector<std::uint8_t> pixels_;
};

}  // namespace unina
