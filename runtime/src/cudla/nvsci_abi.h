// NvSci's declarations: NVIDIA's where UNINA_NVSCI_INCLUDE names them, else our own of what is
// used.
#pragma once

#ifdef UNINA_NVSCI_REAL
#include <nvscibuf.h>
#include <nvscisync.h>
#else
#include "cudla/nvsci_minimal.h"
#endif
