// Preprocessing: a camera's picture, resized, centred, padded and quantised straight into the
// buffer of the accelerator (docs/preprocessing.md). The fast way on a CPU to what
// unina/letterbox_pixel.h defines.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "unina/image.h"
#include "unina/placement.h"
#include "unina/tensor.h"

namespace unina {

enum class ColorOrder { kRgb, kBgr };

// What the network expects of pixels: x = (pixel - offset) * scale, in this order of colours.
struct PixelSpec {
  ColorOrder color = ColorOrder::kRgb;
  std::uint8_t letterbox_value = 128;
  float offset = 128.0f;
  float scale = 1.0f;
};

// One source size and format into one int8 tensor of three channels, any layout. Holds its scratch
// memory: one object a thread.
class Letterbox {
 public:
  // Throws Error for a tensor that is not int8 with three channels, for empty sizes, and for sides
  // that the format cannot have.
  Letterbox(int source_width, int source_height, const PixelSpec& pixels,
            const TensorFormat& destination, PixelFormat source_format = PixelFormat::kBgr);
  ~Letterbox();
  Letterbox(Letterbox&&) noexcept;
  Letterbox& operator=(Letterbox&&) noexcept;

  const Placement& placement() const { return placement_; }
  // Whether write() takes pictures of this size and format.
  bool fits(const ImageView& source) const;
  // Writes all of the tensor; unused channels become zero. Throws Error for another source size or
  // format.
  void write(const ImageView& source, void* destination);

 private:
  struct Rows;
  Placement placement_;
  TensorFormat format_;
  PixelFormat source_format_;
  std::unique_ptr<Rows> rows_;
};

// The same pixels before quantisation: packed 8-bit `height` x `width` x 3 in `pixels.color` order
// (offset and scale play no part). What training and calibration see.
Placement letterbox_pixels(const ImageView& source, int height, int width, const PixelSpec& pixels,
                           std::uint8_t* destination);

// The picture at its own size, whatever its format: packed 8-bit `height` x `width` x 3, BGR.
void to_bgr(const ImageView& source, std::uint8_t* destination);

}  // namespace unina
