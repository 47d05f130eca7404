// The CUDA runtime's declarations: NVIDIA's with UNINA_SDK=real, else our own of what is used.
#pragma once

#ifdef UNINA_SDK_REAL
#include <cuda_runtime_api.h>
#else
#include "cuda/cudart_minimal.h"
#endif
