// The calls of cuDLA that we make, found in libcudla when first needed.
#pragma once

#include <string>

#include "cuda/dynamic_library.h"
#include "cudla/cudla_abi.h"

// Every call, once: the table below and the fault matrix of the tests are made of this list.
#define UNINA_CUDLA_CALLS(X)   \
  X(cudlaGetVersion)           \
  X(cudlaDeviceGetCount)       \
  X(cudlaCreateDevice)         \
  X(cudlaModuleLoadFromMemory) \
  X(cudlaModuleGetAttributes)  \
  X(cudlaMemRegister)          \
  X(cudlaSubmitTask)           \
  X(cudlaGetLastError)         \
  X(cudlaMemUnregister)        \
  X(cudlaModuleUnload)         \
  X(cudlaDestroyDevice)

namespace unina {

struct CudlaLibrary {
#define UNINA_CALL(name) decltype(&::name) name = nullptr;
  UNINA_CUDLA_CALLS(UNINA_CALL)
#undef UNINA_CALL

  // The process's one table. Throws Error saying which library or symbol is missing.
  static const CudlaLibrary& get();
  // Where it was found, for further calls. Throws Error.
  static const DynamicLibrary& library();

  // "cudlaCreateDevice: cudlaErrorDriverNotFound (15): ..." with what a person can do.
  static std::string describe(const char* call, cudlaStatus status);
  // Throws Error(describe(...)) unless `status` is cudlaSuccess.
  static void require(const char* call, cudlaStatus status);
  // For calls that give something: throws also when they report success and give nothing.
  static void require(const char* call, cudlaStatus status, const void* given);
};

}  // namespace unina
