// A libnvinfer that has nothing but a registry of plugins, against NVIDIA's headers: to load the
// plugin's library beside it (load_plugin.cpp).
#include <NvInferRuntime.h>

#include <cstring>

namespace {

using nvinfer1::AsciiChar;

class Registry final : public nvinfer1::IPluginRegistry {
 public:
  bool registerCreator(nvinfer1::IPluginCreatorInterface& creator,
                       const AsciiChar* const) noexcept override {
    if (registered != nullptr) return false;
    registered = &creator;
    return true;
  }
  nvinfer1::IPluginCreatorInterface* registered = nullptr;

  // What nobody calls.
  bool registerCreator(nvinfer1::IPluginCreator&, const AsciiChar* const) noexcept override {
    return false;
  }
  nvinfer1::IPluginCreator* const* getPluginCreatorList(
      std::int32_t* const) const noexcept override {
    return nullptr;
  }
  nvinfer1::IPluginCreator* getPluginCreator(const AsciiChar* const, const AsciiChar* const,
                                             const AsciiChar* const) noexcept override {
    return nullptr;
  }
  void setErrorRecorder(nvinfer1::IErrorRecorder* const) noexcept override {}
  nvinfer1::IErrorRecorder* getErrorRecorder() const noexcept override { return nullptr; }
  bool deregisterCreator(const nvinfer1::IPluginCreator&) noexcept override { return false; }
  bool isParentSearchEnabled() const override { return true; }
  void setParentSearchEnabled(const bool) override {}
  PluginLibraryHandle loadLibrary(const AsciiChar*) noexcept override { return nullptr; }
  void deregisterLibrary(PluginLibraryHandle) noexcept override {}
  nvinfer1::IPluginCreatorInterface* const* getAllCreators(
      std::int32_t* const) const noexcept override {
    return nullptr;
  }
  nvinfer1::IPluginCreatorInterface* getCreator(const AsciiChar* const name,
                                                const AsciiChar* const version,
                                                const AsciiChar* const space) noexcept override {
    auto* creator = static_cast<nvinfer1::IPluginCreatorV3One*>(registered);
    const bool found = creator != nullptr && std::strcmp(creator->getPluginName(), name) == 0 &&
                       std::strcmp(creator->getPluginVersion(), version) == 0 &&
                       std::strcmp(creator->getPluginNamespace(), space) == 0;
    return found ? registered : nullptr;
  }
  bool deregisterCreator(const nvinfer1::IPluginCreatorInterface&) noexcept override {
    return false;
  }
  nvinfer1::IPluginResource* acquirePluginResource(const AsciiChar*,
                                                   nvinfer1::IPluginResource*) noexcept override {
    return nullptr;
  }
  std::int32_t releasePluginResource(const AsciiChar*) noexcept override { return 0; }
};

}  // namespace

extern "C" nvinfer1::IPluginRegistry* getPluginRegistry() noexcept {
  static Registry registry;
  return &registry;
}
