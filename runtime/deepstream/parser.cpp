// The output parser that Gst-nvinfer loads (custom-lib-path, parse-bbox-func-name): boxes by the
// same decoder as unina-detector's. NVIDIA's description of the function: "Using a Custom Model
// with DeepStream" in the DeepStream developer guide.
#include <cstdio>
#include <exception>
#include <type_traits>

#include "deepstream/network_maps.h"
#include "printable.h"

namespace unina::deepstream {
namespace {

NvDsInferObjectDetectionInfo object_of(const Detection& detection) {
  NvDsInferObjectDetectionInfo object{};
  object.classId = static_cast<unsigned>(detection.class_id);
  object.left = detection.box.x0;
  object.top = detection.box.y0;
  object.width = detection.box.x1 - detection.box.x0;
  object.height = detection.box.y1 - detection.box.y0;
  object.detectionConfidence = detection.score;
  return object;
}

}  // namespace
}  // namespace unina::deepstream

// Objects that reach their class's pre-cluster-threshold, best first, in pixels of the network's
// input. Holds nothing between frames, so that any number of elements may share the library. False,
// with a line on stderr and `objects` as they were, for layers that are not a detector's maps.
extern "C" __attribute__((visibility("default"))) bool NvDsInferParseCustomUnina(
    const std::vector<NvDsInferLayerInfo>& layers, const NvDsInferNetworkInfo& network,
    const NvDsInferParseDetectionParams& parameters,
    std::vector<NvDsInferObjectDetectionInfo>& objects) {
  try {
    const auto network_maps = unina::deepstream::maps_of(layers, network, parameters);
    unina::Decoder decoder(network_maps.spec, network_maps.levels);
    const auto found = decoder.decode(network_maps.maps, network_maps.whole_input);
    objects.reserve(objects.size() + found.size());
    for (const unina::Detection& one : found) {
      objects.push_back(unina::deepstream::object_of(one));
    }
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "NvDsInferParseCustomUnina: %s\n", unina::one_line(error.what()).c_str());
  }
  return false;
}

static_assert(std::is_same_v<decltype(&NvDsInferParseCustomUnina), NvDsInferParseCustomFunc>);
