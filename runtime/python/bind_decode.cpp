// The decoder for Python: NumPy maps in, arrays out.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "detection_arrays.h"
#include "held_image.h"
#include "unina/decode.h"
#include "unina/error.h"

namespace py = pybind11;

namespace unina::python {
namespace {

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
  return to_arrays(std::move(found));
}

}  // namespace

void bind_decode(py::module_& module) {
  module.def("decode", &decode, py::arg("class_maps"), py::arg("box_maps"), py::kw_only(),
             py::arg("strides"), py::arg("reg_max"), py::arg("thresholds"),
             py::arg("max_detections"), py::arg("scales"), py::arg("placement"));
}

}  // namespace unina::python
