#include "deepstream/network_maps.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "printable.h"
#include "unina/error.h"

namespace unina::deepstream {
namespace {

constexpr unsigned kMost = 1 << 15;  // of a side or of channels: what is larger is not a size
constexpr int kMaxDetections = 300;  // as in every manifest that unina-export writes
constexpr unsigned kSides = 4;

struct Map {
  std::string name;
  unsigned channels, height, width;
  const void* data;
};

std::string described(const Map& map) {
  return "layer " + printable(map.name) + " (" + std::to_string(map.channels) + "x" +
         std::to_string(map.height) + "x" + std::to_string(map.width) + ")";
}

Map map_of(const NvDsInferLayerInfo& layer) {
  const std::string name = layer.layerName == nullptr ? "" : layer.layerName;
  const std::string where = "layer " + printable(name);
  // Read as the number it is: a newer DeepStream has types that this one's enumeration has not.
  std::underlying_type_t<NvDsInferDataType> type;
  static_assert(sizeof type == sizeof layer.dataType);
  std::memcpy(&type, &layer.dataType, sizeof type);
  if (type != FLOAT) {
    throw Error(where + " is of data type " + std::to_string(type) +
                ", expected FP32 (0): leave output-io-formats out of the configuration");
  }
  const NvDsInferDims& dims = layer.inferDims;
  if (dims.numDims != 3) {
    throw Error(where + " has " + std::to_string(dims.numDims) +
                " dimensions, expected channels, height and width");
  }
  const Map map{name, dims.d[0], dims.d[1], dims.d[2], layer.buffer};
  for (const unsigned side : {map.channels, map.height, map.width}) {
    if (side < 1 || side > kMost) throw Error(described(map) + ": not the size of a map");
  }
  if (std::uint64_t{map.channels} * map.height * map.width != dims.numElements) {
    throw Error(described(map) + " has " + std::to_string(dims.numElements) + " elements");
  }
  if (map.data == nullptr) {
    throw Error(described(map) + " has no buffer: leave disable-output-host-copy at 0");
  }
  return map;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool may_be(const Map& classes, const Map& boxes, unsigned count) {
  return classes.channels == count && boxes.channels % kSides == 0;
}

// Puts the class map first.
void order(Map& first, Map& second, unsigned count) {
  const bool as_they_are = may_be(first, second, count), swapped = may_be(second, first, count);
  if (as_they_are && swapped) {
    if (ends_with(first.name, "_class") && ends_with(second.name, "_box")) return;
    if (ends_with(first.name, "_box") && ends_with(second.name, "_class")) {
      return std::swap(first, second);
    }
    throw Error(described(first) + " and " + described(second) +
                ": both could be the class map; let their names end in _class and _box");
  }
  if (!as_they_are && !swapped) {
    throw Error(described(first) + " and " + described(second) +
                " are not a class map and a box map: num-detected-classes is " +
                std::to_string(count) + ", so expected " + std::to_string(count) +
                " channels in one and 4 * reg_max in the other");
  }
  if (swapped) std::swap(first, second);
}

int stride_of(const Map& map, const NvDsInferNetworkInfo& network) {
  const unsigned stride = network.width / map.width;
  if (stride < 1 || stride * map.width != network.width || stride * map.height != network.height) {
    throw Error(described(map) + ": does not divide the input of " + std::to_string(network.width) +
                "x" + std::to_string(network.height) + " by one stride");
  }
  return static_cast<int>(stride);
}

TensorFormat format_of(const Map& map) {
  return TensorFormat::packed(DataType::kFloat32, Layout::kLinear, static_cast<int>(map.channels),
                              static_cast<int>(map.height), static_cast<int>(map.width), 1.0f);
}

std::vector<Map> from_fine_to_coarse(const std::vector<NvDsInferLayerInfo>& layers) {
  std::vector<Map> maps;
  for (const NvDsInferLayerInfo& layer : layers) maps.push_back(map_of(layer));
  std::stable_sort(maps.begin(), maps.end(),
                   [](const Map& a, const Map& b) { return a.width > b.width; });
  return maps;
}

void require(const std::vector<NvDsInferLayerInfo>& layers, const NvDsInferNetworkInfo& network,
             const NvDsInferParseDetectionParams& parameters) {
  if (layers.empty() || layers.size() % 2 != 0) {
    throw Error(std::to_string(layers.size()) +
                " output layers, expected two a level: a class map and a box map");
  }
  if (network.width < 1 || network.width > kMost || network.height < 1 || network.height > kMost) {
    throw Error("an input of " + std::to_string(network.width) + "x" +
                std::to_string(network.height) + " pixels: not a picture's size");
  }
  const std::size_t thresholds = parameters.perClassPreclusterThreshold.size();
  if (thresholds == 0 || thresholds != parameters.numClassesConfigured) {
    throw Error(std::to_string(thresholds) + " thresholds (pre-cluster-threshold) for " +
                std::to_string(parameters.numClassesConfigured) +
                " classes (num-detected-classes)");
  }
}

}  // namespace

NetworkMaps maps_of(const std::vector<NvDsInferLayerInfo>& layers,
                    const NvDsInferNetworkInfo& network,
                    const NvDsInferParseDetectionParams& parameters) {
  require(layers, network, parameters);
  std::vector<Map> maps = from_fine_to_coarse(layers);
  NetworkMaps found;
  for (std::size_t i = 0; i < maps.size(); i += 2) {
    Map &classes = maps[i], &boxes = maps[i + 1];
    if (classes.width != boxes.width || classes.height != boxes.height) {
      throw Error(described(classes) + " has no layer of its size beside it");
    }
    order(classes, boxes, parameters.numClassesConfigured);
    const int stride = stride_of(classes, network);
    if (!found.levels.empty() && found.levels.back().stride == stride) {
      throw Error(described(classes) + ": more than two layers of this size");
    }
    found.levels.push_back({stride, format_of(classes), format_of(boxes)});
    found.maps.push_back({classes.data, boxes.data});
  }
  found.spec.reg_max = found.levels.front().boxes.channels / static_cast<int>(kSides);
  found.spec.thresholds = parameters.perClassPreclusterThreshold;
  found.spec.max_detections = kMaxDetections;
  const int width = static_cast<int>(network.width), height = static_cast<int>(network.height);
  found.whole_input = {0, 0, width, height, width, height};
  return found;
}

}  // namespace unina::deepstream
