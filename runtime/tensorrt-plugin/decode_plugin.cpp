#include "decode_plugin.h"

#include <algorithm>
#include <string>

#include "decode_launch.h"
#include "guarded.h"
#include "unina/error.h"

namespace unina::plugin {
namespace {

using nvinfer1::DataType;
using nvinfer1::Dims;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginTensorDesc;

constexpr std::int32_t kDone = 0, kFailed = -1;  // what TensorRT is told
enum Output : std::int32_t { kCount, kBoxes, kScores, kClasses, kOutputs };
constexpr DataType kOutputTypes[kOutputs] = {DataType::kINT32, DataType::kFLOAT, DataType::kFLOAT,
                                             DataType::kINT32};

void require_outputs(std::int32_t count) {
  if (count == kOutputs) return;
  throw Error(std::string(kPluginName) + ": " + std::to_string(count) + " outputs, expected " +
              std::to_string(kOutputs) + ": number, boxes, scores, classes");
}

MapShape shape_of(const Dims& dims, std::int32_t input) {
  if (dims.nbDims == 4) return {dims.d[0], dims.d[1], dims.d[2], dims.d[3]};
  throw Error(std::string(kPluginName) + ": input " + std::to_string(input) + " has " +
              std::to_string(dims.nbDims) + " dimensions, expected N x C x H x W");
}

std::vector<MapShape> shapes_of(const PluginTensorDesc* in, std::int32_t count) {
  std::vector<MapShape> shapes;
  for (std::int32_t i = 0; i < count; ++i) shapes.push_back(shape_of(in[i].dims, i));
  return shapes;
}

// The largest that may come: what is open has -1 in `desc` and its bound in `max`.
std::vector<MapShape> largest_shapes_of(const DynamicPluginTensorDesc* in, std::int32_t count) {
  std::vector<MapShape> shapes;
  for (std::int32_t i = 0; i < count; ++i) {
    Dims most = in[i].desc.dims;
    for (std::int32_t d = 0; d < most.nbDims && most.nbDims == in[i].max.nbDims; ++d) {
      most.d[d] = std::max(most.d[d], in[i].max.d[d]);
    }
    shapes.push_back(shape_of(most, i));
  }
  return shapes;
}

}  // namespace

DecodePlugin::DecodePlugin(const DecodeFields& fields)
    : fields_(fields),
      serialized_(fields_.fields()),
      collection_{static_cast<std::int32_t>(serialized_.size()), serialized_.data()} {}

nvinfer1::IPluginCapability* DecodePlugin::getCapabilityInterface(
    nvinfer1::PluginCapabilityType type) noexcept {
  switch (type) {
    case nvinfer1::PluginCapabilityType::kCORE:
      return static_cast<nvinfer1::IPluginV3OneCore*>(this);
    case nvinfer1::PluginCapabilityType::kBUILD:
      return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
    case nvinfer1::PluginCapabilityType::kRUNTIME:
      return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
  }
  return nullptr;
}

nvinfer1::IPluginV3* DecodePlugin::clone() noexcept {
  return guarded<nvinfer1::IPluginV3*>(nullptr, [&] { return new DecodePlugin(fields_); });
}

nvinfer1::IPluginV3* DecodePlugin::attachToContext(nvinfer1::IPluginResourceContext*) noexcept {
  return clone();
}

const nvinfer1::PluginFieldCollection* DecodePlugin::getFieldsToSerialize() noexcept {
  return &collection_;
}

std::int32_t DecodePlugin::getNbOutputs() const noexcept { return kOutputs; }

std::int32_t DecodePlugin::getOutputDataTypes(DataType* outputTypes, std::int32_t nbOutputs,
                                              const DataType*, std::int32_t) const noexcept {
  return guarded(kFailed, [&] {
    require_outputs(nbOutputs);
    std::copy(kOutputTypes, kOutputTypes + kOutputs, outputTypes);
    return kDone;
  });
}

std::int32_t DecodePlugin::getOutputShapes(const nvinfer1::DimsExprs* inputs, std::int32_t nbInputs,
                                           const nvinfer1::DimsExprs*, std::int32_t,
                                           nvinfer1::DimsExprs* outputs, std::int32_t nbOutputs,
                                           nvinfer1::IExprBuilder& exprBuilder) noexcept {
  return guarded(kFailed, [&] {
    require_outputs(nbOutputs);
    if (nbInputs < 1 || inputs[0].nbDims != 4) {
      throw Error(std::string(kPluginName) + ": input 0 is expected to be N x C x H x W");
    }
    const auto* pictures = inputs[0].d[0];
    const auto* slots = exprBuilder.constant(fields_.max_detections);
    for (std::int32_t i = 0; i < kOutputs; ++i) {
      outputs[i].nbDims = i == kBoxes ? 3 : 2;
      outputs[i].d[0] = pictures;
      outputs[i].d[1] = i == kCount ? exprBuilder.constant(1) : slots;
    }
    outputs[kBoxes].d[2] = exprBuilder.constant(4);
    return kDone;
  });
}

// Float32 in, as the arithmetic is, and all of it linear: TensorRT converts what a layer before it
// writes in another form.
bool DecodePlugin::supportsFormatCombination(std::int32_t pos, const DynamicPluginTensorDesc* inOut,
                                             std::int32_t nbInputs,
                                             std::int32_t nbOutputs) noexcept {
  if (pos < 0 || nbOutputs != kOutputs || pos >= nbInputs + nbOutputs) return false;
  const PluginTensorDesc& one = inOut[pos].desc;
  return one.format == nvinfer1::TensorFormat::kLINEAR &&
         one.type == (pos < nbInputs ? DataType::kFLOAT : kOutputTypes[pos - nbInputs]);
}

std::int32_t DecodePlugin::configurePlugin(const DynamicPluginTensorDesc* in, std::int32_t nbInputs,
                                           const DynamicPluginTensorDesc*,
                                           std::int32_t nbOutputs) noexcept {
  return guarded(kFailed, [&] {
    require_outputs(nbOutputs);
    plan_of(fields_, largest_shapes_of(in, nbInputs));
    return kDone;
  });
}

std::size_t DecodePlugin::getWorkspaceSize(const DynamicPluginTensorDesc* inputs,
                                           std::int32_t nbInputs, const DynamicPluginTensorDesc*,
                                           std::int32_t) const noexcept {
  return guarded<std::size_t>(
      0, [&] { return workspace_bytes(plan_of(fields_, largest_shapes_of(inputs, nbInputs))); });
}

std::int32_t DecodePlugin::onShapeChange(const PluginTensorDesc* in, std::int32_t nbInputs,
                                         const PluginTensorDesc*, std::int32_t nbOutputs) noexcept {
  return guarded(kFailed, [&] {
    require_outputs(nbOutputs);
    plan_of(fields_, shapes_of(in, nbInputs));
    return kDone;
  });
}

std::int32_t DecodePlugin::enqueue(const PluginTensorDesc* inputDesc, const PluginTensorDesc*,
                                   const void* const* inputs, void* const* outputs, void* workspace,
                                   cudaStream_t stream) noexcept {
  return guarded(kFailed, [&] {
    const auto count = static_cast<std::int32_t>(2 * fields_.strides.size());
    DecodePlan plan = plan_of(fields_, shapes_of(inputDesc, count));
    for (std::int32_t i = 0; i < plan.level_count; ++i) {
      plan.levels[i].classes = static_cast<const float*>(inputs[2 * i]);
      plan.levels[i].boxes = static_cast<const float*>(inputs[2 * i + 1]);
    }
    const Found found = {fields_.max_detections, static_cast<std::int32_t*>(outputs[kCount]),
                         static_cast<float*>(outputs[kBoxes]),
                         static_cast<float*>(outputs[kScores]),
                         static_cast<std::int32_t*>(outputs[kClasses])};
    const char* refused = launch_decode(plan, found, workspace, stream);
    if (refused == nullptr) return kDone;
    throw Error(std::string(kPluginName) + ": CUDA refused its kernels: " + refused);
  });
}

}  // namespace unina::plugin
