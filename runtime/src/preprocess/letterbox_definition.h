// unina/letterbox_pixel.h for a whole tensor: the tables of one geometry, and every pixel by the
// definition, one after the other. What the fast paths are compared with, and where the CUDA kernel
// has its tables from.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "unina/letterbox.h"
#include "unina/letterbox_pixel.h"

namespace unina {

// What each pixel value is stored as: clamp(round_half_away((value - offset) * scale /
// tensor_scale)), each step one float32 operation, so that the table is the same on every machine.
std::array<std::int8_t, 256> stored_values(const PixelSpec& pixels, float tensor_scale);

// Throws Error for a tensor that no picture can be put into: not int8, not three channels, no
// scale.
void require_picture_tensor(const TensorFormat& format);

class LetterboxDefinition {
 public:
  LetterboxDefinition(int source_width, int source_height, const PixelSpec& pixels,
                      const TensorFormat& destination);
  // The plan points into this object.
  LetterboxDefinition(const LetterboxDefinition&) = delete;
  LetterboxDefinition& operator=(const LetterboxDefinition&) = delete;

  const Placement& placement() const { return placement_; }
  const LetterboxPlan& plan() const { return plan_; }
  const std::vector<BilinearTap>& columns() const { return columns_; }
  const std::vector<BilinearTap>& rows() const { return rows_; }
  const std::array<std::int8_t, 256>& stored() const { return stored_; }

  // Throws Error for another size.
  void write(const ImageView& source, void* destination) const;

 private:
  Placement placement_;
  std::vector<BilinearTap> columns_, rows_;
  std::array<std::int8_t, 256> stored_;
  LetterboxPlan plan_;
};

// Where the definition reads a picture.
SourcePixels source_pixels(const ImageView& image);

}  // namespace unina
