#include "unina/letterbox.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "resize.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr int kColors = 3;

// From source channel (BGR) to the network's.
std::array<int, kColors> channel_order(ColorOrder color) {
  return color == ColorOrder::kRgb ? std::array<int, kColors>{2, 1, 0}
                                   : std::array<int, kColors>{0, 1, 2};
}

void require_image(const ImageView& image) {
  if (image.data == nullptr || image.width < 1 || image.height < 1 ||
      image.row_stride < static_cast<std::size_t>(image.width) * kColors) {
    throw Error("letterbox: the picture is empty or its rows are shorter than its width (" +
                std::to_string(image.width) + "x" + std::to_string(image.height) + ", " +
                std::to_string(image.row_stride) + " bytes a row)");
  }
}

}  // namespace

// The resized picture and how its rows become rows of the tensor.
class Letterbox::Rows {
 public:
  Rows(const Placement& placement, const PixelSpec& pixels, const TensorFormat& format)
      : resize(placement.source_width, placement.source_height, placement.width, placement.height),
        order(channel_order(pixels.color)) {
    for (int value = 0; value < 256; ++value) {
      const float real = (static_cast<float>(value) - pixels.offset) * pixels.scale;
      const float stored = std::round(real / format.scale);
      quantised[static_cast<std::size_t>(value)] =
          static_cast<std::int8_t>(std::clamp(stored, -128.0f, 127.0f));
    }
    pad = quantised[pixels.letterbox_value];
    const int group = format.channels_per_pixel();
    padding.assign(static_cast<std::size_t>(format.width) * static_cast<std::size_t>(group), 0);
    for (std::size_t i = 0; i < padding.size(); ++i) {
      if (group == 1 || static_cast<int>(i) % group < kColors) padding[i] = pad;
    }
  }

  Resize resize;
  std::array<int, kColors> order;
  std::array<std::int8_t, 256> quantised;
  std::int8_t pad;
  std::vector<std::int8_t> padding;  // one row of the tensor's padding
};

Letterbox::Letterbox(int source_width, int source_height, const PixelSpec& pixels,
                     const TensorFormat& destination)
    : placement_(
          Placement::fit(source_width, source_height, destination.width, destination.height)),
      format_(destination) {
  if (destination.type != DataType::kInt8 || destination.channels != kColors) {
    throw Error("letterbox: the input tensor must be int8 with 3 channels, not " +
                std::to_string(destination.element_size()) + " bytes an element with " +
                std::to_string(destination.channels) + " channels");
  }
  if (!(destination.scale > 0.0f))
    throw Error("letterbox: the input tensor's scale is not positive");
  rows_ = std::make_unique<Rows>(placement_, pixels, destination);
}

Letterbox::~Letterbox() = default;
Letterbox::Letterbox(Letterbox&&) noexcept = default;
Letterbox& Letterbox::operator=(Letterbox&&) noexcept = default;

void Letterbox::write(const ImageView& source, void* destination) {
  require_image(source);
  if (source.width != placement_.source_width || source.height != placement_.source_height) {
    throw Error("letterbox: made for " + std::to_string(placement_.source_width) + "x" +
                std::to_string(placement_.source_height) + " pictures, got " +
                std::to_string(source.width) + "x" + std::to_string(source.height));
  }
  const ImageView picture = rows_->resize(source);
  const int group = format_.channels_per_pixel();
  const int planes = format_.layout == Layout::kLinear ? kColors : 1;
  auto* bytes = static_cast<std::int8_t*>(destination);
  for (int y = 0; y < format_.height; ++y) {
    for (int plane = 0; plane < planes; ++plane) {
      std::memcpy(bytes + format_.offset(plane, y, 0), rows_->padding.data(),
                  rows_->padding.size());
    }
    const int line = y - placement_.top;
    if (line < 0 || line >= placement_.height) continue;
    const std::uint8_t* in = picture.data + static_cast<std::size_t>(line) * picture.row_stride;
    const auto& [first, second, third] = rows_->order;
    const auto& quantised = rows_->quantised;
    if (group >
        1) {  // a pixel's colours lie side by side: one write, the zero of a fourth included
      std::int8_t* out = bytes + format_.offset(0, y, placement_.left);
      for (int x = 0; x < placement_.width; ++x, in += kColors, out += group) {
        const std::int8_t pixel[4] = {quantised[in[first]], quantised[in[second]],
                                      quantised[in[third]], 0};
        std::memcpy(out, pixel, sizeof pixel);
      }
      continue;
    }
    for (int c = 0; c < kColors; ++c) {
      std::int8_t* out = bytes + format_.offset(c, y, placement_.left);
      const std::uint8_t* color = in + rows_->order[static_cast<std::size_t>(c)];
      for (int x = 0; x < placement_.width; ++x) out[x] = quantised[color[x * kColors]];
    }
  }
}

Placement letterbox_pixels(const ImageView& source, int height, int width, const PixelSpec& pixels,
                           std::uint8_t* destination) {
  require_image(source);
  const Placement placement = Placement::fit(source.width, source.height, width, height);
  Resize resize(source.width, source.height, placement.width, placement.height);
  const ImageView picture = resize(source);
  const std::array<int, kColors> order = channel_order(pixels.color);
  std::memset(destination, pixels.letterbox_value,
              static_cast<std::size_t>(width) * height * kColors);
  for (int y = 0; y < placement.height; ++y) {
    const std::uint8_t* in = picture.data + static_cast<std::size_t>(y) * picture.row_stride;
    std::uint8_t* out =
        destination +
        (static_cast<std::size_t>(placement.top + y) * width + placement.left) * kColors;
    for (int x = 0; x < placement.width; ++x) {
      for (int c = 0; c < kColors; ++c) {
        out[x * kColors + c] = in[x * kColors + order[static_cast<std::size_t>(c)]];
      }
    }
  }
  return placement;
}

}  // namespace unina
