#include "unina/letterbox.h"

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "preprocess/letterbox_definition.h"
#include "preprocess/resize.h"
#include "preprocess/store_row.h"
#include "preprocess/yuv_to_bgr.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr int kColors = 3;

bool is_yuv(PixelFormat format) {
  return format == PixelFormat::kNv12 || format == PixelFormat::kUyvy;
}

// What the resized picture is in.
PixelFormat resized_format(PixelFormat source) {
  return is_yuv(source) ? PixelFormat::kBgr : source;
}

// Resizes pictures of any format: to BGR first where they are YUV, RGBA as it is.
class ResizeColors {
 public:
  ResizeColors(const Placement& placement, PixelFormat format)
      : resize_(placement.source_width, placement.source_height, placement.width, placement.height,
                resized_format(format)) {
    if (is_yuv(format)) to_bgr_.emplace(format, placement.source_width, placement.source_height);
  }

  ImageView operator()(const ImageView& source) {
    return resize_(to_bgr_ ? (*to_bgr_)(source) : source);
  }

 private:
  std::optional<YuvToBgr> to_bgr_;
  Resize resize_;
};

}  // namespace

// The resized picture and how its rows become rows of the tensor.
struct Letterbox::Rows {
  ResizeColors resize;
  StoreRow store;
};

Letterbox::Letterbox(int source_width, int source_height, const PixelSpec& pixels,
                     const TensorFormat& destination, PixelFormat source_format)
    : placement_(
          Placement::fit(source_width, source_height, destination.width, destination.height)),
      format_(destination),
      source_format_(source_format) {
  require_picture_tensor(destination);
  require_sides(source_width, source_height, source_format, "letterbox");
  rows_ =
      std::make_unique<Rows>(Rows{ResizeColors(placement_, source_format),
                                  StoreRow(pixels, destination, resized_format(source_format))});
}

Letterbox::~Letterbox() = default;
Letterbox::Letterbox(Letterbox&&) noexcept = default;
Letterbox& Letterbox::operator=(Letterbox&&) noexcept = default;

bool Letterbox::fits(const ImageView& source) const {
  return source.width == placement_.source_width && source.height == placement_.source_height &&
         source.format == source_format_;
}

void Letterbox::write(const ImageView& source, void* destination) {
  require_image(source, "letterbox");
  if (!fits(source)) {
    throw Error("letterbox: made for " +
                described(placement_.source_width, placement_.source_height, source_format_) +
                " pictures, got " + described(source));
  }
  const ImageView picture = rows_->resize(source);
  const StoreRow& store = rows_->store;
  const int left = placement_.left, right = left + placement_.width;
  auto* tensor = static_cast<std::int8_t*>(destination);
  for (int y = 0; y < format_.height; ++y) {
    const int line = y - placement_.top;
    if (line < 0 || line >= placement_.height) {
      store.pad(format_.width, tensor, 0, y);
      continue;
    }
    store.pad(left, tensor, 0, y);
    store(picture.data + static_cast<std::size_t>(line) * picture.row_stride, placement_.width,
          tensor, left, y);
    store.pad(format_.width - right, tensor, right, y);
  }
}

Placement letterbox_pixels(const ImageView& source, int height, int width, const PixelSpec& pixels,
                           std::uint8_t* destination) {
  require_image(source, "letterbox");
  const Placement placement = Placement::fit(source.width, source.height, width, height);
  ResizeColors resize(placement, source.format);
  const ImageView picture = resize(source);
  const bool alpha = picture.format == PixelFormat::kRgba;
  const bool reversed = (pixels.color == ColorOrder::kRgb) != alpha;
  std::memset(destination, pixels.letterbox_value,
              static_cast<std::size_t>(width) * height * kColors);
  for (int y = 0; y < placement.height; ++y) {
    const std::uint8_t* in = picture.data + static_cast<std::size_t>(y) * picture.row_stride;
    std::uint8_t* out =
        destination +
        (static_cast<std::size_t>(placement.top + y) * width + placement.left) * kColors;
    for (int x = 0; x < placement.width; ++x, in += alpha ? 4 : 3, out += kColors) {
      for (int c = 0; c < kColors; ++c) out[c] = in[reversed ? 2 - c : c];
    }
  }
  return placement;
}

void to_bgr(const ImageView& source, std::uint8_t* destination) {
  PixelSpec pixels;
  pixels.color = ColorOrder::kBgr;
  letterbox_pixels(source, source.height, source.width, pixels, destination);
}

}  // namespace unina
