// Loads a plugin's library as `trtexec --staticPlugins` does, asks the registry for the plugin as
// TensorRT's ONNX parser does, makes one and runs it on memory that is no GPU's.
// load_plugin LIBNVINFER LIBPLUGIN
#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <cstdio>
#include <memory>
#include <vector>

namespace {

void* open(const char* path) {
  void* opened = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  if (opened == nullptr) std::printf("%s\n", dlerror());
  return opened;
}

nvinfer1::PluginTensorDesc map(std::int64_t channels) {
  return {nvinfer1::Dims{4, {1, channels, 2, 2}}, nvinfer1::DataType::kFLOAT,
          nvinfer1::TensorFormat::kLINEAR, 1.0f};
}

}  // namespace

int main(int, char** arguments) {
  using namespace nvinfer1;
  void* library = open(arguments[1]);
  void* plugins = open(arguments[2]);
  if (library == nullptr || plugins == nullptr) return 2;
  dlclose(plugins);  // as a careless program does; the registry still points into it
  auto* registry = reinterpret_cast<IPluginRegistry* (*)()>(dlsym(library, "getPluginRegistry"))();
  auto* creator = static_cast<IPluginCreatorV3One*>(registry->getCreator("UninaDecode", "1", ""));
  if (creator == nullptr) return 3;
  const std::int32_t stride = 8, reg_max = 1, most = 5;
  const float threshold = 0.5f, iou = 1.0f;
  const std::vector<PluginField> fields = {{"strides", &stride, PluginFieldType::kINT32, 1},
                                           {"reg_max", &reg_max, PluginFieldType::kINT32, 1},
                                           {"thresholds", &threshold, PluginFieldType::kFLOAT32, 1},
                                           {"max_detections", &most, PluginFieldType::kINT32, 1},
                                           {"nms_iou", &iou, PluginFieldType::kFLOAT32, 1}};
  const PluginFieldCollection all = {static_cast<std::int32_t>(fields.size()), fields.data()};
  const std::unique_ptr<IPluginV3> made(
      creator->createPlugin("decode", &all, TensorRTPhase::kBUILD));
  if (made == nullptr) return 4;
  auto* runtime = static_cast<IPluginV3OneRuntime*>(
      made->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
  const PluginTensorDesc descs[] = {map(1), map(4)};
  std::vector<float> memory(4096);
  const void* inputs[] = {memory.data(), memory.data()};
  void* outputs[] = {memory.data(), memory.data(), memory.data(), memory.data()};
  const int told = runtime->enqueue(descs, nullptr, inputs, outputs, memory.data(), nullptr);
  std::printf("registered, made, enqueue returned %d\n", told);
  return 0;
}
