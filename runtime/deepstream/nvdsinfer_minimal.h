// What the parser uses of DeepStream's nvdsinfer.h and nvdsinfer_custom_impl.h, declared in our own
// words from NVIDIA's API reference (names, order and types are the same from 5.0 to 8.0). For
// machines without the SDK: tests are compiled against this file, and what a Jetson loads never is.
// tests/runtime/contract_nvdsinfer.cpp holds these lines against NVIDIA's where those are given.
#pragma once

#include <vector>

#define NVDSINFER_MAX_DIMS 8

struct NvDsInferDims {
  unsigned int numDims;  // without the batch
  unsigned int d[NVDSINFER_MAX_DIMS];
  unsigned int numElements;
};

enum NvDsInferDataType { FLOAT = 0, HALF = 1, INT8 = 2, INT32 = 3 };

struct NvDsInferLayerInfo {
  NvDsInferDataType dataType;
  union {
    NvDsInferDims inferDims;
    NvDsInferDims dims;
  };
  int bindingIndex;
  const char* layerName;
  void* buffer;  // one frame, on the CPU
  int isInput;
};

struct NvDsInferNetworkInfo {
  unsigned int width;
  unsigned int height;
  unsigned int channels;
};

struct NvDsInferObjectDetectionInfo {
  unsigned int classId;
  float left;  // in pixels of the network's input, as all four
  float top;
  float width;
  float height;
  float detectionConfidence;
};

struct NvDsInferParseDetectionParams {
  unsigned int numClassesConfigured;
  std::vector<float> perClassPreclusterThreshold;
  std::vector<float> perClassPostclusterThreshold;
  std::vector<float>& perClassThreshold = perClassPreclusterThreshold;
};

using NvDsInferParseCustomFunc = bool (*)(const std::vector<NvDsInferLayerInfo>&,
                                          const NvDsInferNetworkInfo&,
                                          const NvDsInferParseDetectionParams&,
                                          std::vector<NvDsInferObjectDetectionInfo>&);
