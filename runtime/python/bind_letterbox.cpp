// Letterbox and placement for Python: arrays go in and out, no arithmetic happens here.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "held_image.h"
#include "unina/error.h"
#include "unina/letterbox.h"

namespace py = pybind11;

namespace unina::python {
namespace {

ColorOrder color_order(const std::string& color) {
  if (color == "rgb") return ColorOrder::kRgb;
  if (color == "bgr") return ColorOrder::kBgr;
  throw Error("letterbox: color '" + color + "' is neither 'rgb' nor 'bgr'");
}

py::tuple letterbox(const py::object& image, int height, int width, int value,
                    const std::string& color, const std::string& pixel_format) {
  const HeldImage held(image, pixel_format);
  if (value < 0 || value > 255) {
    throw Error("letterbox: value " + std::to_string(value) + " is not within 0 and 255");
  }
  if (height < 1 || width < 1 || height > HeldImage::kMostPixels ||
      width > HeldImage::kMostPixels) {
    throw Error("letterbox: cannot make a picture of height " + std::to_string(height) +
                " and width " + std::to_string(width));
  }
  PixelSpec pixels;
  pixels.color = color_order(color);
  pixels.letterbox_value = static_cast<std::uint8_t>(value);
  py::array_t<std::uint8_t> out({height, width, 3});
  std::uint8_t* data = out.mutable_data();
  Placement placement;
  {
    const py::gil_scoped_release release;
    placement = letterbox_pixels(held.view(), height, width, pixels, data);
  }
  return py::make_tuple(out, placement);
}

using Boxes = py::array_t<float, py::array::c_style | py::array::forcecast>;

Boxes map_boxes(const Boxes& boxes, const Placement& placement,
                Box (Placement::*map)(const Box&) const) {
  if (boxes.ndim() != 2 || boxes.shape(1) != 4) {
    throw Error("boxes: expected an array of N x 4 (x0, y0, x1, y1), got " + describe(boxes));
  }
  Boxes out({boxes.shape(0), py::ssize_t{4}});
  const float* in = boxes.data();
  float* to = out.mutable_data();
  for (py::ssize_t i = 0; i < boxes.shape(0); ++i, in += 4, to += 4) {
    const Box box = (placement.*map)({in[0], in[1], in[2], in[3]});
    to[0] = box.x0, to[1] = box.y0, to[2] = box.x1, to[3] = box.y1;
  }
  return out;
}

Placement make_placement(int left, int top, int width, int height, int source_width,
                         int source_height) {
  if (width < 1 || height < 1 || source_width < 1 || source_height < 1) {
    throw Error("Placement: every side must be at least 1 pixel");
  }
  return {left, top, width, height, source_width, source_height};
}

}  // namespace

void bind_letterbox(py::module_& module) {
  py::class_<Placement>(module, "Placement")
      .def(py::init(&make_placement), py::kw_only(), py::arg("left"), py::arg("top"),
           py::arg("width"), py::arg("height"), py::arg("source_width"), py::arg("source_height"))
      .def_readonly("left", &Placement::left)
      .def_readonly("top", &Placement::top)
      .def_readonly("width", &Placement::width)
      .def_readonly("height", &Placement::height)
      .def_readonly("source_width", &Placement::source_width)
      .def_readonly("source_height", &Placement::source_height)
      .def_static("fit", &Placement::fit, py::arg("source_width"), py::arg("source_height"),
                  py::arg("input_width"), py::arg("input_height"))
      .def(
          "to_input",
          [](const Placement& self, const Boxes& boxes) {
            return map_boxes(boxes, self, &Placement::to_input);
          },
          py::arg("boxes"))
      .def(
          "to_source",
          [](const Placement& self, const Boxes& boxes) {
            return map_boxes(boxes, self, &Placement::to_source);
          },
          py::arg("boxes"))
      .def("__eq__", [](const Placement& a, const Placement& b) { return a == b; })
      .def("__hash__",
           [](const Placement& p) {
             return py::hash(
                 py::make_tuple(p.left, p.top, p.width, p.height, p.source_width, p.source_height));
           })
      .def("__repr__",
           [](const Placement& p) {
             return "Placement(left=" + std::to_string(p.left) + ", top=" + std::to_string(p.top) +
                    ", width=" + std::to_string(p.width) + ", height=" + std::to_string(p.height) +
                    ", source_width=" + std::to_string(p.source_width) +
                    ", source_height=" + std::to_string(p.source_height) + ")";
           })
      .def(py::pickle(
          [](const Placement& p) {
            return py::make_tuple(p.left, p.top, p.width, p.height, p.source_width,
                                  p.source_height);
          },
          [](const py::tuple& t) {
            return make_placement(t[0].cast<int>(), t[1].cast<int>(), t[2].cast<int>(),
                                  t[3].cast<int>(), t[4].cast<int>(), t[5].cast<int>());
          }));
  module.def("letterbox", &letterbox, py::arg("image"), py::arg("height"), py::arg("width"),
             py::kw_only(), py::arg("value") = 128, py::arg("color") = "rgb",
             py::arg("pixel_format") = "bgr");
}

}  // namespace unina::python
