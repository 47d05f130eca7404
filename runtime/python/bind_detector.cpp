// Letterbox, placement, decode and detector for Python: arrays go in and out, no arithmetic happens
// here.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <mutex>
#include <optional>
#include <string>

#include "unina/decode.h"
#include "unina/detector.h"
#include "unina/error.h"
#include "unina/letterbox.h"

namespace py = pybind11;

namespace unina::python {
namespace {

std::string describe(const py::array& array) {
  return py::str(array.dtype()).cast<std::string>() + " " +
         py::str(array.attr("shape")).cast<std::string>();
}

// Keeps the array that the view looks into alive: rows with gaps are read in place, all else is
// copied.
struct HeldImage {
  py::array array;
  ImageView view;

  explicit HeldImage(const py::array& image) : array(image) {
    if (!py::isinstance<py::array_t<std::uint8_t>>(image) || image.ndim() != 3 ||
        image.shape(2) != 3) {
      throw Error("image: expected a uint8 array of height x width x 3 (BGR), got " +
                  describe(image));
    }
    if (image.size() == 0) throw Error("image: the array is empty: " + describe(image));
    if (image.shape(0) > kMostPixels || image.shape(1) > kMostPixels) {
      throw Error("image: sides over " + std::to_string(kMostPixels) +
                  " pixels: " + describe(image));
    }
    if (image.strides(2) != 1 || image.strides(1) != 3 || image.strides(0) < 3 * image.shape(1)) {
      array = py::array_t < std::uint8_t, py::array::c_style | py::array::forcecast > (image);
    }
    view = {static_cast<const std::uint8_t*>(array.data()), static_cast<int>(array.shape(1)),
            static_cast<int>(array.shape(0)), static_cast<std::size_t>(array.strides(0))};
  }

  static constexpr py::ssize_t kMostPixels = 32768;
};

ColorOrder color_order(const std::string& color) {
  if (color == "rgb") return ColorOrder::kRgb;
  if (color == "bgr") return ColorOrder::kBgr;
  throw Error("letterbox: color '" + color + "' is neither 'rgb' nor 'bgr'");
}

py::tuple letterbox(const py::array& image, int height, int width, int value,
                    const std::string& color) {
  const HeldImage held(image);
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
    placement = letterbox_pixels(held.view, height, width, pixels, data);
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

py::tuple to_arrays(const Detections& found) {
  const auto count = static_cast<py::ssize_t>(found.size());
  py::array_t<float> boxes({count, py::ssize_t{4}});
  py::array_t<float> scores(count);
  py::array_t<std::int32_t> classes(count);
  float* box = boxes.mutable_data();
  for (py::ssize_t i = 0; i < count; ++i, box += 4) {
    const Detection& one = found[static_cast<std::size_t>(i)];
    box[0] = one.box.x0, box[1] = one.box.y0, box[2] = one.box.x1, box[3] = one.box.y1;
    scores.mutable_data()[i] = one.score;
    classes.mutable_data()[i] = one.class_id;
  }
  return py::make_tuple(boxes, scores, classes);
}

// One map, contiguous, as the decoder wants it.
struct HeldMap {
  py::array array;
  TensorFormat format;

  HeldMap(const py::array& map, const std::string& name, std::optional<float> scale) {
    const bool int8 = py::isinstance<py::array_t<std::int8_t>>(map);
    const bool float16 = map.dtype().equal(py::dtype("float16"));
    const bool float32 = py::isinstance<py::array_t<float>>(map);
    if (!(int8 || float16 || float32) || map.ndim() != 3 || map.size() == 0) {
      throw Error(
          name + ": expected an int8, float16 or float32 array of channels x height x width, got " +
          describe(map));
    }
    if (!int8) scale.reset();
    if (int8 && !scale) throw Error(name + ": an int8 map needs its scale; pass scales=");
    if (map.shape(0) > 1 << 20 || map.shape(1) > 1 << 20 || map.shape(2) > 1 << 20) {
      throw Error(name + ": absurd shape " + describe(map));
    }
    array = py::array::ensure(map, py::array::c_style);
    const DataType type = int8      ? DataType::kInt8
                          : float16 ? DataType::kFloat16
                                    : DataType::kFloat32;
    format = TensorFormat::packed(type, Layout::kLinear, static_cast<int>(map.shape(0)),
                                  static_cast<int>(map.shape(1)), static_cast<int>(map.shape(2)),
                                  scale.value_or(1.0f));
  }
};

py::tuple decode(const std::vector<py::array>& class_maps, const std::vector<py::array>& box_maps,
                 const std::vector<int>& strides, int reg_max, const std::vector<float>& thresholds,
                 int max_detections,
                 const std::optional<std::vector<std::pair<float, float>>>& scales,
                 const std::optional<Placement>& placement) {
  const std::size_t count = strides.size();
  if (class_maps.size() != count || box_maps.size() != count ||
      (scales && scales->size() != count)) {
    throw Error("decode: " + std::to_string(class_maps.size()) + " class maps, " +
                std::to_string(box_maps.size()) + " box maps, " +
                std::to_string(scales ? scales->size() : count) + " scales for " +
                std::to_string(count) + " strides: there must be one of each a level");
  }
  std::vector<HeldMap> held;
  std::vector<LevelFormat> formats;
  std::vector<LevelMaps> maps;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string level = "[" + std::to_string(i) + "]";
    std::optional<float> class_scale, box_scale;
    if (scales) class_scale = (*scales)[i].first, box_scale = (*scales)[i].second;
    const HeldMap& classes = held.emplace_back(class_maps[i], "class_maps" + level, class_scale);
    formats.push_back({strides[i], classes.format, {}});
    maps.push_back({classes.array.data(), nullptr});
    const HeldMap& boxes = held.emplace_back(box_maps[i], "box_maps" + level, box_scale);
    formats.back().boxes = boxes.format;
    maps.back().boxes = boxes.array.data();
  }
  Decoder decoder({reg_max, thresholds, max_detections}, formats);
  Placement where;
  if (placement) {
    where = *placement;
  } else {  // input pixels, clipped to the input
    where.width = where.source_width = formats[0].classes.width * strides[0];
    where.height = where.source_height = formats[0].classes.height * strides[0];
  }
  Detections found;
  {
    const py::gil_scoped_release release;
    found = decoder.decode(maps, where);
  }
  return to_arrays(found);
}

DetectorOptions options(const std::string& accelerator, std::optional<float> score_threshold,
                        int threads) {
  DetectorOptions options;
  options.accelerator = accelerator;
  options.score_threshold = score_threshold;
  options.threads = threads;
  return options;
}

// Detects on one picture at a time, from whichever Python thread.
class PythonDetector {
 public:
  PythonDetector(const std::string& path, const std::string& accelerator,
                 std::optional<float> score_threshold, int threads)
      : detector_(path, options(accelerator, score_threshold, threads)) {}

  py::tuple detect(const py::array& image) {
    const HeldImage held(image);
    Detections found;
    {
      const py::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(mutex_);
      found = detector_.detect(held.view);
    }
    return to_arrays(found);
  }
  py::dict times() const {
    const StageTimes& times = detector_.times();
    py::dict out;
    out["preprocess"] = times.preprocess_ms;
    out["infer"] = times.infer_ms;
    out["decode"] = times.decode_ms;
    return out;
  }
  const std::string& manifest_json() const { return detector_.manifest().json; }
  std::string accelerator() const { return detector_.accelerator_name(); }

 private:
  Detector detector_;
  std::mutex mutex_;
};

Placement make_placement(int left, int top, int width, int height, int source_width,
                         int source_height) {
  if (width < 1 || height < 1 || source_width < 1 || source_height < 1) {
    throw Error("Placement: every side must be at least 1 pixel");
  }
  return {left, top, width, height, source_width, source_height};
}

}  // namespace

void bind_detector(py::module_& module) {
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
             py::kw_only(), py::arg("value") = 128, py::arg("color") = "rgb");
  module.def("decode", &decode, py::arg("class_maps"), py::arg("box_maps"), py::kw_only(),
             py::arg("strides"), py::arg("reg_max"), py::arg("thresholds"),
             py::arg("max_detections"), py::arg("scales"), py::arg("placement"));
  py::class_<PythonDetector>(module, "Detector")
      .def(py::init<const std::string&, const std::string&, std::optional<float>, int>(),
           py::call_guard<py::gil_scoped_release>(), py::arg("path"), py::arg("accelerator"),
           py::arg("score_threshold"), py::arg("threads"))
      .def("detect", &PythonDetector::detect, py::arg("image"))
      .def_property_readonly("times", &PythonDetector::times)
      .def_property_readonly("manifest_json", &PythonDetector::manifest_json)
      .def_property_readonly("accelerator", &PythonDetector::accelerator);
}

}  // namespace unina::python
