// cuDLA's declarations: NVIDIA's with UNINA_SDK=real, else our own of what is used.
#pragma once

#ifdef UNINA_SDK_REAL
#include <cudla.h>
#else
#include "cudla/cudla_minimal.h"
#endif
