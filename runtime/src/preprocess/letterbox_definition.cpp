#include "preprocess/letterbox_definition.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "preprocess/resize.h"
#include "unina/error.h"

namespace unina {
namespace {

template <PixelFormat format>
void write_pixels(const LetterboxPlan& plan, const SourcePixels& source, std::int8_t* tensor) {
  for (std::int32_t y = 0; y < plan.input_height; ++y) {
    for (std::int32_t x = 0; x < plan.input_width; ++x) {
      store_pixel(plan, tensor, x, y, letterbox_pixel<format>(plan, source, x, y));
    }
  }
}

}  // namespace

std::array<std::int8_t, 256> stored_values(const PixelSpec& pixels, float tensor_scale) {
  std::array<std::int8_t, 256> stored;
  for (int value = 0; value < 256; ++value) {
    const float real = (static_cast<float>(value) - pixels.offset) * pixels.scale;
    const float rounded = std::round(real / tensor_scale);
    stored[static_cast<std::size_t>(value)] =
        static_cast<std::int8_t>(std::clamp(rounded, -128.0f, 127.0f));
  }
  return stored;
}

void require_picture_tensor(const TensorFormat& format) {
  if (format.type != DataType::kInt8 || format.channels != 3) {
    throw Error("letterbox: the input tensor must be int8 with 3 channels, not " +
                std::to_string(format.element_size()) + " bytes an element with " +
                std::to_string(format.channels) + " channels");
  }
  if (!(format.scale > 0.0f)) throw Error("letterbox: the input tensor's scale is not positive");
}

LetterboxDefinition::LetterboxDefinition(int source_width, int source_height,
                                         const PixelSpec& pixels, const TensorFormat& destination)
    : placement_(
          Placement::fit(source_width, source_height, destination.width, destination.height)) {
  require_picture_tensor(destination);
  columns_ = bilinear_taps(Axis::kX, source_width, placement_.width);
  rows_ = bilinear_taps(Axis::kY, source_height, placement_.height);
  stored_ = stored_values(pixels, destination.scale);
  plan_.left = placement_.left;
  plan_.top = placement_.top;
  plan_.width = placement_.width;
  plan_.height = placement_.height;
  plan_.input_width = destination.width;
  plan_.input_height = destination.height;
  plan_.columns = columns_.data();
  plan_.rows = rows_.data();
  plan_.stored = stored_.data();
  plan_.padding = stored_[pixels.letterbox_value];
  plan_.red_first = pixels.color == ColorOrder::kRgb;
  plan_.layout = destination.layout;
  plan_.pixel_row_stride = static_cast<std::int64_t>(destination.row_stride);
  plan_.plane_stride = static_cast<std::int64_t>(destination.channel_stride);
}

SourcePixels source_pixels(const ImageView& image) {
  return {image.data, image.chroma, static_cast<std::int64_t>(image.row_stride),
          static_cast<std::int64_t>(image.chroma_stride)};
}

void LetterboxDefinition::write(const ImageView& source, void* destination) const {
  require_image(source, "letterbox");
  if (source.width != placement_.source_width || source.height != placement_.source_height) {
    throw Error("letterbox: made for " + std::to_string(placement_.source_width) + "x" +
                std::to_string(placement_.source_height) + " pictures, got " +
                std::to_string(source.width) + "x" + std::to_string(source.height));
  }
  const SourcePixels pixels = source_pixels(source);
  auto* tensor = static_cast<std::int8_t*>(destination);
  switch (source.format) {
    case PixelFormat::kBgr:
      return write_pixels<PixelFormat::kBgr>(plan_, pixels, tensor);
    case PixelFormat::kRgba:
      return write_pixels<PixelFormat::kRgba>(plan_, pixels, tensor);
    case PixelFormat::kNv12:
      return write_pixels<PixelFormat::kNv12>(plan_, pixels, tensor);
    case PixelFormat::kUyvy:
      return write_pixels<PixelFormat::kUyvy>(plan_, pixels, tensor);
  }
}

}  // namespace unina
