// For functions that nvcc and g++ compile alike.
#pragma once

#if defined(__CUDACC__)
#define UNINA_HOST_DEVICE __host__ __device__
#else
#define UNINA_HOST_DEVICE
#endif
