// TensorRT's declarations: NVIDIA's where UNINA_TRT_INCLUDE was given, else our own of what is
// used.
#pragma once

#ifdef UNINA_TRT_REAL
#include <NvInferRuntime.h>
#else
#include "tensorrt/nvinfer_minimal.h"
#endif
