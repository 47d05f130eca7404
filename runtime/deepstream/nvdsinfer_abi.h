// DeepStream's declarations: NVIDIA's where UNINA_DEEPSTREAM_INCLUDE was given, else our own of
// what is used.
#pragma once

#ifdef UNINA_DEEPSTREAM_REAL
#include <nvdsinfer_custom_impl.h>
#else
#include "deepstream/nvdsinfer_minimal.h"
#endif
