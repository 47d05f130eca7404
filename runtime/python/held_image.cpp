#include "held_image.h"

#include <vector>

#include "unina/error.h"

namespace py = pybind11;

namespace unina::python {
namespace {

constexpr const char* kNv12Shape =
    "a uint8 array of 1.5 height x width (NV12), or a tuple of its planes, height x width and "
    "height/2 x width/2 x 2";

std::string describe_any(const py::object& object) {
  if (object.is_none()) return "None, which cv2.imread returns for a file that it cannot read";
  if (py::isinstance<py::array>(object)) return describe(object.cast<py::array>());
  return py::str(py::type::of(object).attr("__name__")).cast<std::string>();
}

[[noreturn]] void refuse(const std::string& expected, const py::object& image) {
  throw Error("image: expected " + expected + ", got " + describe_any(image));
}

bool is_uint8(const py::object& object) {
  return py::isinstance<py::array_t<std::uint8_t>>(object);
}

void require_sides_within(py::ssize_t height, py::ssize_t width, const py::object& image) {
  if (height < 1 || width < 1) throw Error("image: the array is empty: " + describe_any(image));
  if (height > HeldImage::kMostPixels || width > HeldImage::kMostPixels) {
    throw Error("image: sides over " + std::to_string(HeldImage::kMostPixels) +
                " pixels: " + describe_any(image));
  }
}

// The array itself where each row's bytes lie side by side and rows follow each other upwards, else
// a copy.
py::array rows_in_order(const py::object& object) {
  auto array = object.cast<py::array>();
  py::ssize_t row = 1;
  bool in_place = true;
  for (py::ssize_t axis = array.ndim() - 1; axis > 0; --axis) {
    in_place = in_place && array.strides(axis) == row;
    row *= array.shape(axis);
  }
  if (in_place && array.strides(0) >= row) return array;
  return py::array_t < std::uint8_t, py::array::c_style | py::array::forcecast > (array);
}

const std::uint8_t* bytes(const py::array& array) {
  return static_cast<const std::uint8_t*>(array.data());
}

std::size_t row_stride(const py::array& array) {
  return static_cast<std::size_t>(array.strides(0));
}

}  // namespace

std::string describe(const py::array& array) {
  return py::str(array.dtype()).cast<std::string>() + " " +
         py::str(array.attr("shape")).cast<std::string>();
}

HeldImage::HeldImage(const py::object& image, const std::string& pixel_format) {
  if (pixel_format == "bgr") {
    view_.format = PixelFormat::kBgr;
    hold_packed(image, 3);
  } else if (pixel_format == "rgba") {
    view_.format = PixelFormat::kRgba;
    hold_packed(image, 4);
  } else if (pixel_format == "uyvy") {
    view_.format = PixelFormat::kUyvy;
    hold_packed(image, 2);
  } else if (pixel_format == "nv12") {
    view_.format = PixelFormat::kNv12;
    hold_nv12(image);
  } else {
    throw Error("pixel_format '" + pixel_format + "': expected 'bgr', 'rgba', 'nv12' or 'uyvy'");
  }
  require_image(view_, "image");
}

void HeldImage::hold_packed(const py::object& image, int bytes_a_pixel) {
  const auto wrong = [&] {
    refuse("a uint8 array of height x width x " + std::to_string(bytes_a_pixel) + " (" +
               name_of(view_.format) + ")",
           image);
  };
  if (!is_uint8(image)) wrong();
  const auto array = image.cast<py::array>();
  if (array.ndim() != 3 || array.shape(2) != bytes_a_pixel) wrong();
  require_sides_within(array.shape(0), array.shape(1), image);
  pixels_ = rows_in_order(image);
  view_.data = bytes(pixels_);
  view_.height = static_cast<int>(pixels_.shape(0));
  view_.width = static_cast<int>(pixels_.shape(1));
  view_.row_stride = row_stride(pixels_);
}

void HeldImage::hold_nv12(const py::object& image) {
  py::object luma = image, chroma;
  if (py::isinstance<py::tuple>(image)) {
    const auto planes = image.cast<py::tuple>();
    if (planes.size() != 2) {
      throw Error(std::string("image: expected ") + kNv12Shape + ", got a tuple of " +
                  std::to_string(planes.size()));
    }
    luma = planes[0], chroma = planes[1];
  }
  if (!is_uint8(luma)) refuse(kNv12Shape, luma);
  const auto array = luma.cast<py::array>();
  if (array.ndim() != 2) refuse(kNv12Shape, luma);
  py::ssize_t height = array.shape(0);
  const py::ssize_t width = array.shape(1);
  if (!chroma) {
    if (height % 3 != 0) refuse(kNv12Shape, luma);
    height = height / 3 * 2;
  }
  require_sides_within(height, width, luma);
  pixels_ = rows_in_order(luma);
  view_.data = bytes(pixels_);
  view_.width = static_cast<int>(width);
  view_.height = static_cast<int>(height);
  view_.row_stride = row_stride(pixels_);
  if (!chroma) {  // below the rows of Y
    view_.chroma = view_.data + static_cast<std::size_t>(height) * view_.row_stride;
    view_.chroma_stride = view_.row_stride;
    return;
  }
  const std::string expected = "planes of U and V for " + std::to_string(width) + "x" +
                               std::to_string(height) + " pixels: uint8, " +
                               std::to_string(height / 2) + " rows of " + std::to_string(width) +
                               " bytes";
  if (!is_uint8(chroma)) refuse(expected, chroma);
  const auto pairs = chroma.cast<py::array>();
  py::ssize_t row = 1;
  for (py::ssize_t axis = 1; axis < pairs.ndim(); ++axis) row *= pairs.shape(axis);
  if (pairs.ndim() < 2 || pairs.ndim() > 3 || pairs.shape(0) != height / 2 || row != width) {
    refuse(expected, chroma);
  }
  chroma_ = rows_in_order(chroma);
  view_.chroma = bytes(chroma_);
  view_.chroma_stride = row_stride(chroma_);
}

}  // namespace unina::python
