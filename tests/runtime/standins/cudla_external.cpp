// The stand-in of libcudla, standalone mode: NvSci's buffers and sync objects are imported.
#include <mutex>

#include "cudla_state.h"
#include "nvsci.h"
#include "state.h"

using standin::cudla;
using standin::run;
using Kind = cudlaDevHandle_t::Kind;

extern "C" {

cudlaStatus cudlaImportExternalMemory(cudlaDevHandle device,
                                      const cudlaExternalMemoryHandleDesc* description,
                                      uint64_t** registered, uint32_t flags) {
  return run<cudlaStatus>(
      "cudlaImportExternalMemory", cudlaErrorNvSci,
      [&] {
        const std::lock_guard<std::mutex> lock(cudla().mutex);
        if (!standin::is_device(device)) return cudlaErrorInvalidDevice;
        if (!device->core) return cudlaErrorUnsupportedOperation;
        if (description == nullptr || registered == nullptr || flags != CUDLA_READ_WRITE_PERM) {
          return cudlaErrorInvalidParam;
        }
        const void* object = description->extBufObject;
        if (standin::sci_device_memory(object, description->size) == nullptr) {
          return cudlaErrorNvSci;
        }
        const cudlaStatus status =
            standin::add_mapping(device, {Kind::kSciBuffer, object}, registered);
        if (status == cudlaSuccess) standin::sci_buffer_imported(object, +1);
        return status;
      },
      [&](std::int64_t) { *registered = nullptr; });
}

cudlaStatus cudlaGetNvSciSyncAttributes(uint64_t* list, uint32_t flags) {
  return run<cudlaStatus>(
      "cudlaGetNvSciSyncAttributes", cudlaErrorNvSci,
      [&] {
        const bool waits = (flags & CUDLA_NVSCISYNC_ATTR_WAIT) != 0;
        const bool signals = (flags & CUDLA_NVSCISYNC_ATTR_SIGNAL) != 0;
        if (!waits && !signals) return cudlaErrorInvalidParam;
        return standin::sci_fill_dla_attributes(list, waits, signals) ? cudlaSuccess
                                                                      : cudlaErrorInvalidAttribute;
      },
      [](std::int64_t) {});
}

cudlaStatus cudlaImportExternalSemaphore(cudlaDevHandle device,
                                         const cudlaExternalSemaphoreHandleDesc* description,
                                         uint64_t** registered, uint32_t flags) {
  return run<cudlaStatus>(
      "cudlaImportExternalSemaphore", cudlaErrorNvSci,
      [&] {
        const std::lock_guard<std::mutex> lock(cudla().mutex);
        if (!standin::is_device(device)) return cudlaErrorInvalidDevice;
        if (!device->core) return cudlaErrorUnsupportedOperation;
        if (description == nullptr || registered == nullptr || flags != 0) {
          return cudlaErrorInvalidParam;
        }
        const void* object = description->extSyncObject;
        if (!standin::sci_sync_imported(object, 0)) return cudlaErrorNvSci;
        const cudlaStatus status =
            standin::add_mapping(device, {Kind::kSciSync, object}, registered);
        if (status == cudlaSuccess) standin::sci_sync_imported(object, +1);
        return status;
      },
      [&](std::int64_t) { *registered = nullptr; });
}

}  // extern "C"
