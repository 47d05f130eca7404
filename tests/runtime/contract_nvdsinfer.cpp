// What the parser relies on in DeepStream's headers. Compiled in every build against our own
// declarations, and by test_contracts.py against NVIDIA's where UNINA_DEEPSTREAM_INCLUDE names
// them.
#include <cstddef>
#include <type_traits>

#include "deepstream/nvdsinfer_abi.h"

namespace contract {

using Parse = bool (*)(const std::vector<NvDsInferLayerInfo>&, const NvDsInferNetworkInfo&,
                       const NvDsInferParseDetectionParams&,
                       std::vector<NvDsInferObjectDetectionInfo>&);
static_assert(std::is_same_v<NvDsInferParseCustomFunc, Parse>);
static_assert(NVDSINFER_MAX_DIMS == 8);
static_assert(FLOAT == 0 && HALF == 1 && INT8 == 2 && INT32 == 3);
static_assert(sizeof(NvDsInferDataType) == 4);

// offsetof of a type that is not of standard layout is conditionally supported; both compilers do.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
#define UNINA_MEMBER(type, member, place, kind)                                                    \
  static_assert(offsetof(type, member) == (place) && std::is_same_v<decltype(type::member), kind>, \
                #type "::" #member)

UNINA_MEMBER(NvDsInferDims, numDims, 0, unsigned int);
UNINA_MEMBER(NvDsInferDims, d, 4, unsigned int[8]);
UNINA_MEMBER(NvDsInferDims, numElements, 36, unsigned int);
static_assert(sizeof(NvDsInferDims) == 40);

UNINA_MEMBER(NvDsInferLayerInfo, dataType, 0, NvDsInferDataType);
UNINA_MEMBER(NvDsInferLayerInfo, inferDims, 4, NvDsInferDims);
UNINA_MEMBER(NvDsInferLayerInfo, bindingIndex, 44, int);
UNINA_MEMBER(NvDsInferLayerInfo, layerName, 48, const char*);
UNINA_MEMBER(NvDsInferLayerInfo, buffer, 56, void*);
UNINA_MEMBER(NvDsInferLayerInfo, isInput, 64, int);
static_assert(sizeof(NvDsInferLayerInfo) == 72);

UNINA_MEMBER(NvDsInferNetworkInfo, width, 0, unsigned int);
UNINA_MEMBER(NvDsInferNetworkInfo, height, 4, unsigned int);
UNINA_MEMBER(NvDsInferNetworkInfo, channels, 8, unsigned int);
static_assert(sizeof(NvDsInferNetworkInfo) == 12);

UNINA_MEMBER(NvDsInferObjectDetectionInfo, classId, 0, unsigned int);
UNINA_MEMBER(NvDsInferObjectDetectionInfo, left, 4, float);
UNINA_MEMBER(NvDsInferObjectDetectionInfo, top, 8, float);
UNINA_MEMBER(NvDsInferObjectDetectionInfo, width, 12, float);
UNINA_MEMBER(NvDsInferObjectDetectionInfo, height, 16, float);
UNINA_MEMBER(NvDsInferObjectDetectionInfo, detectionConfidence, 20, float);
static_assert(sizeof(NvDsInferObjectDetectionInfo) == 24);

constexpr std::size_t kVector = sizeof(std::vector<float>);
UNINA_MEMBER(NvDsInferParseDetectionParams, numClassesConfigured, 0, unsigned int);
UNINA_MEMBER(NvDsInferParseDetectionParams, perClassPreclusterThreshold, 8, std::vector<float>);
UNINA_MEMBER(NvDsInferParseDetectionParams, perClassPostclusterThreshold, 8 + kVector,
             std::vector<float>);
#undef UNINA_MEMBER

}  // namespace contract
