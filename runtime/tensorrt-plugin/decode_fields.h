// The numbers that the plugin needs: an ONNX node's attributes, a plugin's fields and what an
// engine stores are the same five, by the same names (model-tools/unina/export/decode_plugin.py
// writes the node).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "decode_plan.h"
#include "nvinfer_plugin_abi.h"

namespace unina::plugin {

constexpr const char* kPluginName = "UninaDecode";
constexpr const char* kPluginVersion = "1";
constexpr const char* kPluginNamespace = "";

struct DecodeFields {
  std::vector<std::int32_t> strides;  // of the levels, in the order of the inputs
  std::int32_t reg_max = 0;
  std::vector<float> thresholds;  // the score that a detection of each class must reach
  std::int32_t max_detections = 0;
  float nms_iou =
      1.0f;  // a box is dropped that overlaps a better one of its class by more; 1: none

  // Throws Error naming the field that is missing, unknown or wrong.
  static DecodeFields from(const nvinfer1::PluginFieldCollection& given);
  // Pointing into this object.
  std::vector<nvinfer1::PluginField> fields() const;
};

// N x C x H x W of one input.
struct MapShape {
  std::int64_t pictures, channels, height, width;
};

// All but the pointers of a plan. `maps`: class map and box map of each level. Throws Error naming
// the input whose shape does not fit.
DecodePlan plan_of(const DecodeFields& fields, const std::vector<MapShape>& maps);

}  // namespace unina::plugin
