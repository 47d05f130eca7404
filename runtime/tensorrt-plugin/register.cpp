// Puts the creator into TensorRT's registry when the library is loaded, which is all that
// `trtexec --staticPlugins` does. TensorRT is opened by name instead of linked, so that the library
// is built where only its headers are, and finds the one that the process has loaded, however it
// was (Python's loads it for itself alone).
#include <string>

#include "cuda/dynamic_library.h"
#include "decode_creator.h"
#include "guarded.h"
#include "unina/error.h"

namespace unina::plugin {
namespace {

bool register_creator() {
  return guarded(false, [] {
    const DynamicLibrary library({"libnvinfer.so." + std::to_string(NV_TENSORRT_MAJOR)});
    decltype(&::getPluginRegistry) registry = nullptr;
    library.find("getPluginRegistry", registry);
    // Never deleted: the registry keeps a pointer to it until the process ends.
    static DecodeCreator* const creator = new DecodeCreator;
    if (registry()->registerCreator(*creator, kPluginNamespace)) return true;
    throw Error(std::string(kPluginName) + ": " + library.name() +
                " has a plugin of this name already; load the library once");
  });
}

[[maybe_unused]] const bool registered = register_creator();

}  // namespace
}  // namespace unina::plugin
