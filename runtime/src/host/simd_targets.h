// What Highway compiles for; comes before any header of Highway.
#pragma once

// The kernels want a vector length that the compiler knows; NEON serves those CPUs.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif
