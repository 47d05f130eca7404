// NvBufSurface's declarations: NVIDIA's where UNINA_NVBUF_INCLUDE names them, else our own of what
// is used.
#pragma once

#ifdef UNINA_NVBUF_REAL
#include <nvbufsurface.h>
#else
#include "nvmm/nvbufsurface_minimal.h"
#endif
