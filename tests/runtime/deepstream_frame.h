// What Gst-nvinfer hands to DeepStream's parser, and the parser, opened as Gst-nvinfer opens it.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "deepstream/nvdsinfer_abi.h"

namespace unina::test {

constexpr char kParser[] = "NvDsInferParseCustomUnina";

inline NvDsInferParseCustomFunc parser() {
  void* library = ::dlopen(UNINA_DEEPSTREAM_PARSER, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  return reinterpret_cast<NvDsInferParseCustomFunc>(::dlsym(library, kParser));
}

// One picture's layers, with the memory that they point to.
struct Frame {
  std::vector<std::string> names;
  std::vector<std::vector<float>> values;
  std::vector<NvDsInferLayerInfo> layers;
  NvDsInferNetworkInfo network{};
  NvDsInferParseDetectionParams parameters;

  void add(const std::string& name, unsigned channels, unsigned height, unsigned width) {
    names.push_back(name);
    values.emplace_back(std::size_t{channels} * height * width);
    NvDsInferLayerInfo layer{};
    layer.dataType = FLOAT;
    layer.inferDims.numDims = 3;
    layer.inferDims.d[0] = channels;
    layer.inferDims.d[1] = height;
    layer.inferDims.d[2] = width;
    layer.inferDims.numElements = channels * height * width;
    layer.bindingIndex = static_cast<int>(layers.size()) + 1;
    layers.push_back(layer);
  }
  void thresholds(const std::vector<float>& each) {
    parameters.numClassesConfigured = static_cast<unsigned>(each.size());
    parameters.perClassPreclusterThreshold = each;
    parameters.perClassPostclusterThreshold.assign(each.size(), 0.0f);
  }
  // Once every layer is there: names and values have their final addresses.
  void connect() {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layers[i].layerName = names[i].c_str();
      layers[i].buffer = values[i].data();
    }
  }
};

struct Answer {
  bool good = false;
  std::string told;  // on stderr
  std::vector<NvDsInferObjectDetectionInfo> objects;
};

inline Answer parse(const Frame& frame) {
  static const NvDsInferParseCustomFunc function = parser();
  Answer answer;
  testing::internal::CaptureStderr();
  answer.good = function(frame.layers, frame.network, frame.parameters, answer.objects);
  answer.told = testing::internal::GetCapturedStderr();
  return answer;
}

// A small detector of two levels: one object in the cell (1, 2) of each.
inline Frame small_frame(unsigned classes, unsigned reg_max,
                         const std::vector<std::string>& names) {
  Frame frame;
  frame.network = {64, 32, 3};
  frame.thresholds(std::vector<float>(classes, 0.5f));
  for (unsigned level = 0; level < 2; ++level) {
    const unsigned height = 4 >> level, width = 8 >> level, cell = 1 * width + 2;
    frame.add(names[2 * level], classes, height, width);
    std::vector<float>& logits = frame.values.back();
    std::fill(logits.begin(), logits.end(), -9.0f);
    logits[std::size_t{level} * height * width + cell] = 2.0f + static_cast<float>(level);
    frame.add(names[2 * level + 1], 4 * reg_max, height, width);
    for (float& value : frame.values.back()) value = 0.5f;
  }
  frame.connect();
  return frame;
}

inline const std::vector<std::string> kNames{"p3_class", "p3_box", "p4_class", "p4_box"};

}  // namespace unina::test
