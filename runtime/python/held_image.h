// A NumPy picture as the library sees it.
#pragma once

#include <pybind11/numpy.h>

#include <string>

#include "unina/image.h"

namespace unina::python {

// "uint8 (720, 1280, 3)", for messages.
std::string describe(const pybind11::array& array);

// Looks into the arrays and keeps them alive. Rows with gaps are read in place; an array whose
// pixels lie otherwise is copied.
class HeldImage {
 public:
  static constexpr pybind11::ssize_t kMostPixels = 32768;  // of a side

  // `pixel_format`: "bgr", "rgba", "uyvy", or "nv12", which may be a tuple of its two planes.
  // Throws Error for what is no such picture.
  HeldImage(const pybind11::object& image, const std::string& pixel_format);

  const ImageView& view() const { return view_; }

 private:
  void hold_packed(const pybind11::object& image, int bytes_a_pixel);
  void hold_nv12(const pybind11::object& image);

  pybind11::array pixels_, chroma_;
  ImageView view_;
};

}  // namespace unina::python
