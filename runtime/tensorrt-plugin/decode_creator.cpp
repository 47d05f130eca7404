#include "decode_creator.h"

#include "decode_plugin.h"
#include "guarded.h"
#include "unina/error.h"

namespace unina::plugin {
namespace {

// The names alone: TensorRT's ONNX parser takes the attributes that it finds here.
std::vector<nvinfer1::PluginField> names() {
  std::vector<nvinfer1::PluginField> all = DecodeFields().fields();
  for (nvinfer1::PluginField& field : all) field.data = nullptr, field.length = 0;
  return all;
}

}  // namespace

DecodeCreator::DecodeCreator()
    : names_(names()), collection_{static_cast<std::int32_t>(names_.size()), names_.data()} {}

nvinfer1::IPluginV3* DecodeCreator::createPlugin(const char*,
                                                 const nvinfer1::PluginFieldCollection* fc,
                                                 nvinfer1::TensorRTPhase) noexcept {
  return guarded<nvinfer1::IPluginV3*>(nullptr, [&] {
    if (fc == nullptr) throw Error(std::string(kPluginName) + ": no fields were given");
    return new DecodePlugin(DecodeFields::from(*fc));
  });
}

}  // namespace unina::plugin
