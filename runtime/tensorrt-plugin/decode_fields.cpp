#include "decode_fields.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "unina/error.h"

namespace unina::plugin {
namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

constexpr std::int32_t kMostBins = 256;
constexpr std::int64_t kMostPictures = 65535;  // of a grid

std::string where() { return std::string(kPluginName) + ": "; }

template <typename T>
constexpr PluginFieldType kType = PluginFieldType::kUNKNOWN;
template <>
constexpr PluginFieldType kType<std::int32_t> = PluginFieldType::kINT32;
template <>
constexpr PluginFieldType kType<float> = PluginFieldType::kFLOAT32;

template <typename T>
std::vector<T> values(const nvinfer1::PluginFieldCollection& given, const char* name) {
  for (std::int32_t i = 0; i < given.nbFields; ++i) {
    const PluginField& field = given.fields[i];
    if (field.name == nullptr || std::strcmp(field.name, name) != 0) continue;
    if (field.type != kType<T> || field.length < 1 || field.data == nullptr) {
      throw Error(where() + name + ": expected " +
                  (kType<T> == PluginFieldType::kINT32 ? "int32" : "float32") +
                  " values, got type " + std::to_string(static_cast<int>(field.type)) +
                  " of length " + std::to_string(field.length));
    }
    const T* data = static_cast<const T*>(field.data);
    return std::vector<T>(data, data + field.length);
  }
  throw Error(where() + name +
              " is missing; unina-export --with-decode-plugin writes the node whole");
}

template <typename T>
T value(const nvinfer1::PluginFieldCollection& given, const char* name) {
  const std::vector<T> all = values<T>(given, name);
  if (all.size() == 1) return all.front();
  throw Error(where() + name + ": expected one value, got " + std::to_string(all.size()));
}

template <typename T>
void require_within(const char* name, T value, T least, T most) {
  if (value >= least && value <= most) return;
  throw Error(where() + name + " is " + std::to_string(value) + ", expected " +
              std::to_string(least) + " to " + std::to_string(most));
}

void require(const DecodeFields& fields) {
  require_within<std::size_t>("the number of strides", fields.strides.size(), 1, kMostLevels);
  require_within<std::size_t>("the number of thresholds", fields.thresholds.size(), 1,
                              kMostClasses);
  for (const std::int32_t stride : fields.strides) require_within("a stride", stride, 1, 1024);
  for (const float one : fields.thresholds) require_within("a threshold", one, 0.0f, 1.0f);
  require_within("reg_max", fields.reg_max, 1, kMostBins);
  require_within("max_detections", fields.max_detections, 1, 1 << 16);
  require_within("nms_iou", fields.nms_iou, 0.0f, 1.0f);
}

std::string text(const MapShape& map) {
  return std::to_string(map.pictures) + "x" + std::to_string(map.channels) + "x" +
         std::to_string(map.height) + "x" + std::to_string(map.width);
}

void require_map(std::size_t input, const MapShape& map, const MapShape& wanted) {
  if (map.pictures == wanted.pictures && map.channels == wanted.channels &&
      map.height == wanted.height && map.width == wanted.width) {
    return;
  }
  throw Error(where() + "input " + std::to_string(input) + " is " + text(map) + ", expected " +
              text(wanted) + "; inputs are the class map and the box map of each stride");
}

}  // namespace

DecodeFields DecodeFields::from(const nvinfer1::PluginFieldCollection& given) {
  DecodeFields made;
  made.strides = values<std::int32_t>(given, "strides");
  made.reg_max = value<std::int32_t>(given, "reg_max");
  made.thresholds = values<float>(given, "thresholds");
  made.max_detections = value<std::int32_t>(given, "max_detections");
  made.nms_iou = value<float>(given, "nms_iou");
  require(made);
  return made;
}

std::vector<PluginField> DecodeFields::fields() const {
  const auto field = [](const char* name, const auto* data, std::size_t length) {
    return PluginField(name, data, kType<std::remove_cv_t<std::remove_pointer_t<decltype(data)>>>,
                       static_cast<std::int32_t>(length));
  };
  return {field("strides", strides.data(), strides.size()), field("reg_max", &reg_max, 1),
          field("thresholds", thresholds.data(), thresholds.size()),
          field("max_detections", &max_detections, 1), field("nms_iou", &nms_iou, 1)};
}

DecodePlan plan_of(const DecodeFields& fields, const std::vector<MapShape>& maps) {
  if (maps.size() != 2 * fields.strides.size()) {
    throw Error(where() + std::to_string(maps.size()) + " inputs for " +
                std::to_string(fields.strides.size()) +
                " strides; inputs are the class map and the box map of each");
  }
  DecodePlan plan{};
  std::copy(fields.thresholds.begin(), fields.thresholds.end(), plan.thresholds);
  plan.level_count = static_cast<std::int32_t>(fields.strides.size());
  plan.class_count = static_cast<std::int32_t>(fields.thresholds.size());
  plan.reg_max = fields.reg_max;
  plan.nms_iou = fields.nms_iou;
  // Slightly below the logit of the least threshold; the score itself decides.
  const double least = *std::min_element(fields.thresholds.begin(), fields.thresholds.end());
  plan.least_logit = static_cast<float>(std::min(std::log(least / (1.0 - least)), 15.0) - 0.01);
  const std::int64_t pictures = maps[0].pictures;
  require_within<std::int64_t>("the batch", pictures, 1, kMostPictures);
  std::int64_t cells = 0;
  for (std::size_t i = 0; i < fields.strides.size(); ++i) {
    const MapShape &classes = maps[2 * i], &boxes = maps[2 * i + 1];
    const std::int32_t stride = fields.strides[i];
    require_within<std::int64_t>("the height of a map", classes.height, 1, 1 << 14);
    require_within<std::int64_t>("the width of a map", classes.width, 1, 1 << 14);
    require_map(2 * i, classes, {pictures, plan.class_count, classes.height, classes.width});
    require_map(2 * i + 1, boxes, {pictures, 4 * plan.reg_max, classes.height, classes.width});
    const auto height = static_cast<std::int32_t>(classes.height);
    const auto width = static_cast<std::int32_t>(classes.width);
    plan.levels[i] = {nullptr, nullptr, height, width, stride, static_cast<std::int32_t>(cells)};
    cells += classes.height * classes.width;
    require_within<std::int64_t>("the number of cells", cells, 1,
                                 std::numeric_limits<std::int32_t>::max() / 2);
  }
  plan.pictures = static_cast<std::int32_t>(pictures);
  plan.cells = static_cast<std::int32_t>(cells);
  plan.input_width = plan.levels[0].width * plan.levels[0].stride;
  plan.input_height = plan.levels[0].height * plan.levels[0].stride;
  return plan;
}

}  // namespace unina::plugin
