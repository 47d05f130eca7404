// From the output layers of Gst-nvinfer to what unina::Decoder reads. Nothing else tells the parser
// what network it is: every parameter follows from the layers' sizes, num-detected-classes and the
// classes' thresholds, so that one library serves every bundle.
#pragma once

#include <vector>

#include "deepstream/nvdsinfer_abi.h"
#include "unina/decode.h"
#include "unina/placement.h"

namespace unina::deepstream {

struct NetworkMaps {
  DecodeSpec spec;
  std::vector<LevelFormat> levels;  // from the finest stride to the coarsest
  std::vector<LevelMaps> maps;      // in the layers' own buffers
  Placement whole_input;  // boxes stay in input pixels: Gst-nvinfer takes them to the frame
};

// Two layers of one size are a level. The one with a channel for each class is the class map; where
// both have as many, their names tell: ..._class and ..._box. Throws Error for anything that cannot
// be the maps of a detector (docs/bundle.md): a layer too few or too many, sizes that do not divide
// the input's, a type other than FP32, no buffer.
NetworkMaps maps_of(const std::vector<NvDsInferLayerInfo>& layers,
                    const NvDsInferNetworkInfo& network,
                    const NvDsInferParseDetectionParams& parameters);

}  // namespace unina::deepstream
