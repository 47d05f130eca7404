// TensorRT's declarations for plugins: NVIDIA's where UNINA_TRT_REAL says so, else our own of what
// is used.
#pragma once

#ifdef UNINA_TRT_REAL
#include <NvInferRuntime.h>
#else
#include "nvinfer_plugin_minimal.h"
#endif
