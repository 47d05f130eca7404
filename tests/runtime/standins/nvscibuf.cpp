// A stand-in of libnvscibuf: memory that CPU and device see through caches which are not coherent,
// so that a forgotten flush shows. For tests only.
#include <cstdint>
#include <mutex>
#include <vector>

#include "cudla/nvsci_abi.h"
#include "nvsci.h"
#include "sci_handles.h"
#include "state.h"

struct NvSciBufModuleRec {
  int objects = 0;  // lists and buffers that were made of it
};

struct NvSciBufAttrListRec {
  NvSciBufModule module = nullptr;
  bool reconciled = false;
  bool raw = false, writable = false, cpu = false;
  std::uint64_t size = 0, alignment = 1;
};

struct NvSciBufObjRefRec {
  NvSciBufModule module = nullptr;
  bool cpu_access = false;
  int imports = 0;
  // What the CPU sees, what stood there when it last agreed with the device, what the device sees.
  std::vector<std::byte> cpu, agreed, device;
};

namespace standin {
namespace {

struct SciBuf : SciLists<NvSciBufModule, NvSciBufAttrList> {
  SciBuf() : SciLists("buffer module") {}
  Handles<NvSciBufObj> buffers{"buffer"};
};

SciBuf& sci() {
  static auto* const made = new SciBuf;
  return *made;
}

// Null when it is none.
NvSciBufObj buffer_of(const void* object) {
  auto* buffer = static_cast<NvSciBufObj>(const_cast<void*>(object));
  return sci().buffers.has(buffer) ? buffer : nullptr;
}

bool set(NvSciBufAttrListRec& list, const NvSciBufAttrKeyValuePair& pair) {
  NvSciBufType type{};
  NvSciBufAttrValAccessPerm permission{};
  switch (static_cast<int>(pair.key)) {
    case NvSciBufGeneralAttrKey_Types:
      list.raw = read(pair, type) && type == NvSciBufType_RawBuffer;
      return list.raw;
    case NvSciBufGeneralAttrKey_RequiredPerm:
      list.writable = read(pair, permission) && permission == NvSciBufAccessPerm_ReadWrite;
      return list.writable;
    case NvSciBufGeneralAttrKey_NeedCpuAccess:
      return read(pair, list.cpu);
    case NvSciBufRawBufferAttrKey_Size:
      return read(pair, list.size) && list.size > 0;
    case NvSciBufRawBufferAttrKey_Align:
      return read(pair, list.alignment);
  }
  return false;
}

}  // namespace

std::byte* sci_device_memory(const void* object, std::size_t bytes) {
  const std::lock_guard<std::mutex> lock(sci().mutex);
  NvSciBufObj buffer = buffer_of(object);
  return buffer != nullptr && bytes <= buffer->device.size() ? buffer->device.data() : nullptr;
}

bool sci_buffer_imported(const void* object, int change) {
  const std::lock_guard<std::mutex> lock(sci().mutex);
  NvSciBufObj buffer = buffer_of(object);
  if (buffer != nullptr) buffer->imports += change;
  return buffer != nullptr;
}

}  // namespace standin

using standin::run;
using standin::sci;

extern "C" {

NvSciError NvSciBufModuleOpen(NvSciBufModule* module) {
  return sci().open_module("NvSciBufModuleOpen", module);
}

void NvSciBufModuleClose(NvSciBufModule module) {
  sci().close_module("NvSciBufModuleClose", module);
}

NvSciError NvSciBufAttrListCreate(NvSciBufModule module, NvSciBufAttrList* list) {
  return sci().create_list("NvSciBufAttrListCreate", module, list);
}

NvSciError NvSciBufAttrListSetAttrs(NvSciBufAttrList list, NvSciBufAttrKeyValuePair* pairs,
                                    std::size_t count) {
  return sci().set_attributes("NvSciBufAttrListSetAttrs", list, pairs, count, standin::set);
}

NvSciError NvSciBufAttrListReconcile(const NvSciBufAttrList* lists, std::size_t count,
                                     NvSciBufAttrList* reconciled, NvSciBufAttrList* conflict) {
  return run<NvSciError>(
      "NvSciBufAttrListReconcile", NvSciError_ReconciliationFailed,
      [&] {
        const std::lock_guard<std::mutex> lock(sci().mutex);
        if (count != 1 || !sci().lists.has(lists[0])) return NvSciError_BadParameter;
        NvSciBufAttrListRec made = *lists[0];
        made.reconciled = true;
        const bool complete = made.raw && made.writable && made.size > 0;
        *(complete ? reconciled : conflict) = sci().keep_list(made);
        return complete ? NvSciError_Success : NvSciError_ReconciliationFailed;
      },
      [&](std::int64_t) { *reconciled = nullptr; });
}

void NvSciBufAttrListFree(NvSciBufAttrList list) { sci().free_list("NvSciBufAttrListFree", list); }

NvSciError NvSciBufObjAlloc(NvSciBufAttrList reconciled, NvSciBufObj* buffer) {
  return run<NvSciError>(
      "NvSciBufObjAlloc", NvSciError_InsufficientMemory,
      [&] {
        const std::lock_guard<std::mutex> lock(sci().mutex);
        if (!sci().lists.has(reconciled) || !reconciled->reconciled) {
          return NvSciError_BadParameter;
        }
        auto* made = new NvSciBufObjRefRec;
        made->module = reconciled->module;
        made->cpu_access = reconciled->cpu;
        made->device.assign(reconciled->size, std::byte{0xa5});  // nobody promised zeros
        made->cpu = made->agreed = made->device;
        ++made->module->objects;
        *buffer = sci().buffers.add(made);
        return NvSciError_Success;
      },
      [&](std::int64_t) { *buffer = nullptr; });
}

NvSciError NvSciBufObjGetCpuPtr(NvSciBufObj buffer, void** pointer) {
  return run<NvSciError>(
      "NvSciBufObjGetCpuPtr", NvSciError_NotSupported,
      [&] {
        const std::lock_guard<std::mutex> lock(sci().mutex);
        if (standin::buffer_of(buffer) == nullptr) return NvSciError_BadParameter;
        if (!buffer->cpu_access) return NvSciError_NotSupported;
        *pointer = buffer->cpu.data();
        return NvSciError_Success;
      },
      [&](std::int64_t) { *pointer = nullptr; });
}

// What the CPU changed goes to memory, and what it has not changed comes from there.
NvSciError NvSciBufObjFlushCpuCacheRange(NvSciBufObj buffer, uint64_t offset, uint64_t bytes) {
  return run<NvSciError>(
      "NvSciBufObjFlushCpuCacheRange", NvSciError_BadParameter,
      [&] {
        const std::lock_guard<std::mutex> lock(sci().mutex);
        if (standin::buffer_of(buffer) == nullptr || offset + bytes > buffer->cpu.size()) {
          return NvSciError_BadParameter;
        }
        for (std::size_t i = offset; i < offset + bytes; ++i) {
          if (buffer->cpu[i] != buffer->agreed[i]) buffer->device[i] = buffer->cpu[i];
          buffer->cpu[i] = buffer->agreed[i] = buffer->device[i];
        }
        return NvSciError_Success;
      },
      [](std::int64_t) {});
}

void NvSciBufObjFree(NvSciBufObj buffer) {
  standin::run_mute("NvSciBufObjFree", [&] {
    const std::lock_guard<std::mutex> lock(sci().mutex);
    if (!sci().buffers.take("NvSciBufObjFree", buffer)) return;
    if (buffer->imports != 0) standin::violation("NvSciBufObjFree while a core can reach it");
    --buffer->module->objects;
    delete buffer;
  });
}

}  // extern "C"
