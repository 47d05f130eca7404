// What TensorRT finds in its registry by the name of an ONNX node, and makes plugins with.
#pragma once

#include <cstdint>
#include <vector>

#include "decode_fields.h"
#include "nvinfer_plugin_abi.h"

namespace unina::plugin {

class DecodeCreator final : public nvinfer1::IPluginCreatorV3One {
 public:
  DecodeCreator();
  DecodeCreator(const DecodeCreator&) = delete;
  DecodeCreator& operator=(const DecodeCreator&) = delete;

  // From an ONNX node's attributes, or from what an engine has stored. Null when they do not fit.
  nvinfer1::IPluginV3* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fc,
                                    nvinfer1::TensorRTPhase phase) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &collection_; }
  const char* getPluginName() const noexcept override { return kPluginName; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }

 private:
  std::vector<nvinfer1::PluginField> names_;
  nvinfer1::PluginFieldCollection collection_;
};

}  // namespace unina::plugin
