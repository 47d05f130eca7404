// From a network's raw maps to boxes inside a TensorRT engine: `UninaDecode` as an IPluginV3
// (docs/tensorrt-plugin.md). Nothing is thrown across the interface: what fails is one line on
// stderr, and an answer that says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "decode_fields.h"
#include "nvinfer_plugin_abi.h"

namespace unina::plugin {

// Inputs: class map and box map of each level, float32. Outputs: how many detections (int32, N x
// 1), boxes (float32, N x K x 4), scores (float32, N x K) and classes (int32, N x K). Holds nothing
// but its fields, so that any thread may use it.
class DecodePlugin final : public nvinfer1::IPluginV3,
                           public nvinfer1::IPluginV3OneCore,
                           public nvinfer1::IPluginV3OneBuild,
                           public nvinfer1::IPluginV3OneRuntime {
 public:
  explicit DecodePlugin(const DecodeFields& fields);
  DecodePlugin(const DecodePlugin&) = delete;  // its collection points into itself
  DecodePlugin& operator=(const DecodePlugin&) = delete;

  nvinfer1::IPluginCapability* getCapabilityInterface(
      nvinfer1::PluginCapabilityType type) noexcept override;
  nvinfer1::IPluginV3* clone() noexcept override;

  const char* getPluginName() const noexcept override { return kPluginName; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }

  std::int32_t getNbOutputs() const noexcept override;
  std::int32_t getOutputDataTypes(nvinfer1::DataType* outputTypes, std::int32_t nbOutputs,
                                  const nvinfer1::DataType* inputTypes,
                                  std::int32_t nbInputs) const noexcept override;
  std::int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, std::int32_t nbInputs,
                               const nvinfer1::DimsExprs* shapeInputs, std::int32_t nbShapeInputs,
                               nvinfer1::DimsExprs* outputs, std::int32_t nbOutputs,
                               nvinfer1::IExprBuilder& exprBuilder) noexcept override;
  bool supportsFormatCombination(std::int32_t pos, const nvinfer1::DynamicPluginTensorDesc* inOut,
                                 std::int32_t nbInputs, std::int32_t nbOutputs) noexcept override;
  std::int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, std::int32_t nbInputs,
                               const nvinfer1::DynamicPluginTensorDesc* out,
                               std::int32_t nbOutputs) noexcept override;
  std::size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* inputs,
                               std::int32_t nbInputs,
                               const nvinfer1::DynamicPluginTensorDesc* outputs,
                               std::int32_t nbOutputs) const noexcept override;

  std::int32_t onShapeChange(const nvinfer1::PluginTensorDesc* in, std::int32_t nbInputs,
                             const nvinfer1::PluginTensorDesc* out,
                             std::int32_t nbOutputs) noexcept override;
  std::int32_t enqueue(const nvinfer1::PluginTensorDesc* inputDesc,
                       const nvinfer1::PluginTensorDesc* outputDesc, const void* const* inputs,
                       void* const* outputs, void* workspace,
                       cudaStream_t stream) noexcept override;
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext* context) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

 private:
  DecodeFields fields_;
  std::vector<nvinfer1::PluginField> serialized_;
  nvinfer1::PluginFieldCollection collection_;
};

}  // namespace unina::plugin
