// What TensorRT does with an ONNX node, for Python: a plugin is made of the node's attributes, told
// its shapes and run; its kernels are played on the CPU (played_launch.cpp).
#include <cstdint>
#include <memory>
#include <vector>

#include "decode_creator.h"
#include "fake_expressions.h"

using namespace nvinfer1;

// `types`: of the fields, as TensorRT numbers them. `shapes`: four sizes an input. Returns which
// step failed, 0 for none.
extern "C" int run_plugin(int field_count, const char** names, const int* types, const int* lengths,
                          const void** data, int input_count, const std::int64_t* shapes,
                          const void** inputs, void** outputs) {
  unina::plugin::DecodeCreator creator;
  std::vector<PluginField> fields;
  for (int i = 0; i < field_count; ++i) {
    fields.emplace_back(names[i], data[i], static_cast<PluginFieldType>(types[i]), lengths[i]);
  }
  const PluginFieldCollection all = {field_count, fields.data()};
  const std::unique_ptr<IPluginV3> made(creator.createPlugin("", &all, TensorRTPhase::kBUILD));
  if (made == nullptr) return 1;
  std::vector<PluginTensorDesc> descs;
  std::vector<DynamicPluginTensorDesc> ranges;
  for (int i = 0; i < input_count; ++i) {
    Dims dims{};
    dims.nbDims = 4;
    for (int d = 0; d < 4; ++d) dims.d[d] = shapes[4 * i + d];
    descs.push_back({dims, DataType::kFLOAT, TensorFormat::kLINEAR, 1.0f});
    ranges.push_back({descs.back(), dims, dims, dims});
  }
  auto* build =
      static_cast<IPluginV3OneBuild*>(made->getCapabilityInterface(PluginCapabilityType::kBUILD));
  auto* runtime = static_cast<IPluginV3OneRuntime*>(
      made->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
  if (build->configurePlugin(ranges.data(), input_count, nullptr, 4) != 0) return 2;
  std::vector<unsigned char> memory(
      build->getWorkspaceSize(ranges.data(), input_count, nullptr, 4) + 256);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  auto* workspace = memory.data() + (256 - address % 256);
  return runtime->enqueue(descs.data(), nullptr, inputs, outputs, workspace, nullptr) == 0 ? 0 : 3;
}

// What TensorRT's parser asks for before it reads a node's attributes.
extern "C" int field_names(const char** names, int most) {
  static unina::plugin::DecodeCreator creator;
  const PluginFieldCollection* all = creator.getFieldNames();
  for (int i = 0; i < all->nbFields && i < most; ++i) names[i] = all->fields[i].name;
  return all->nbFields;
}
