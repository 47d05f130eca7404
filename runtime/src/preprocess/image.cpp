#include "unina/image.h"

#include "unina/error.h"

namespace unina {

std::size_t ImageView::least_row_stride() const {
  const auto pixels = static_cast<std::size_t>(width < 0 ? 0 : width);
  switch (format) {
    case PixelFormat::kBgr:
      return 3 * pixels;
    case PixelFormat::kRgba:
      return 4 * pixels;
    case PixelFormat::kNv12:
      return pixels;
    case PixelFormat::kUyvy:
      return 2 * pixels;
  }
  return 0;
}

std::string described(int width, int height, PixelFormat format) {
  return std::to_string(width) + "x" + std::to_string(height) + " " + name_of(format);
}

std::string described(const ImageView& image) {
  return described(image.width, image.height, image.format);
}

void require_sides(int width, int height, PixelFormat format, const std::string& where) {
  // Text is made only where it is thrown: this is asked for every picture.
  const auto fail = [&](const char* why) {
    throw Error(where + ": a " + described(width, height, format) + " picture: " + why);
  };
  if (width < 1 || height < 1) fail("it is empty");
  const bool nv12 = format == PixelFormat::kNv12;
  if ((nv12 || format == PixelFormat::kUyvy) && width % 2 != 0) {
    fail("two columns share U and V, so the width must be even; crop one");
  }
  if (nv12 && height % 2 != 0) {
    fail("two rows share U and V, so the height must be even; crop one");
  }
}

void require_image(const ImageView& image, const std::string& where) {
  if (image.data == nullptr || image.width < 1 || image.height < 1 ||
      image.row_stride < image.least_row_stride()) {
    throw Error(where + ": the picture is empty or its rows are shorter than its width (" +
                described(image) + ", " + std::to_string(image.row_stride) + " bytes a row)");
  }
  require_sides(image.width, image.height, image.format, where);
  if (image.format == PixelFormat::kNv12 &&
      (image.chroma == nullptr || image.chroma_stride < static_cast<std::size_t>(image.width))) {
    throw Error(where + ": a " + described(image) +
                " picture needs its plane of U and V: ImageView::chroma is empty or its rows are "
                "shorter than the width (" +
                std::to_string(image.chroma_stride) + " bytes a row)");
  }
}

}  // namespace unina
