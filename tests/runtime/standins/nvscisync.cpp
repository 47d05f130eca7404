// A stand-in of libnvscisync: sync objects that count signals, fences that wait for a count. For
// tests only.
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>

#include "cudla/nvsci_abi.h"
#include "nvsci.h"
#include "sci_handles.h"
#include "state.h"

struct NvSciSyncModuleRec {
  int objects = 0;  // lists, sync objects and contexts that were made of it
};

struct NvSciSyncAttrListRec {
  NvSciSyncModule module = nullptr;
  bool reconciled = false, cpu = false, deterministic = false;
  bool cpu_waits = false, cpu_signals = false, dla_waits = false, dla_signals = false;
};

struct NvSciSyncCpuWaitContextRec {
  NvSciSyncModule module = nullptr;
};

struct NvSciSyncObjRec {
  NvSciSyncModule module = nullptr;
  std::uint64_t id = 0;
  bool deterministic = false, dla_waits = false, dla_signals = false;
  bool freed = false;
  int fences = 0, imports = 0;
  std::uint64_t promised = 0, signalled = 0;
};

namespace standin {
namespace {

struct SciSyncState : SciLists<NvSciSyncModule, NvSciSyncAttrList> {
  SciSyncState() : SciLists("sync module") {}
  std::condition_variable signalled;
  Handles<NvSciSyncCpuWaitContext> contexts{"wait context"};
  std::map<std::uint64_t, NvSciSyncObj> objects;  // by id, until nothing holds them
  std::uint64_t last_id = 0;
};

SciSyncState& sci() {
  static auto* const made = new SciSyncState;
  return *made;
}

NvSciSyncObj object_of(const void* object) {
  for (const auto& [id, known] : sci().objects) {
    if (known == object && !known->freed) return known;
  }
  return nullptr;
}

// A fence of ours: the id of the object that it holds, the count that it waits for.
NvSciSyncObj object_of_fence(const NvSciSyncFence& fence) {
  const auto found = sci().objects.find(fence.payload[0]);
  return found == sci().objects.end() ? nullptr : found->second;
}

void end_if_nobody_holds(NvSciSyncObj object) {
  if (!object->freed || object->fences != 0) return;
  sci().objects.erase(object->id);
  --object->module->objects;
  delete object;
  live("sync object", -1);
}

void clear(NvSciSyncFence& fence) {
  NvSciSyncObj held = fence.payload[0] != 0 ? object_of_fence(fence) : nullptr;
  std::memset(&fence, 0, sizeof fence);
  if (held == nullptr) return;
  --held->fences;
  end_if_nobody_holds(held);
}

void fill(NvSciSyncFence& fence, NvSciSyncObj object, std::uint64_t value) {
  ++object->fences;
  clear(fence);
  fence.payload[0] = object->id;
  fence.payload[1] = value;
}

bool set(NvSciSyncAttrListRec& list, const NvSciSyncAttrKeyValuePair& pair) {
  NvSciSyncAccessPerm permission{};
  switch (static_cast<int>(pair.attrKey)) {
    case NvSciSyncAttrKey_NeedCpuAccess:
      return read(pair, list.cpu);
    case NvSciSyncAttrKey_RequireDeterministicFences:
      return read(pair, list.deterministic);
    case NvSciSyncAttrKey_RequiredPerm:
      if (list.dla_waits || list.dla_signals) violation("RequiredPerm is cuDLA's to set");
      if (!read(pair, permission)) return false;
      list.cpu_waits = permission == NvSciSyncAccessPerm_WaitOnly;
      list.cpu_signals = permission == NvSciSyncAccessPerm_SignalOnly;
      return list.cpu_waits || list.cpu_signals;
  }
  return false;
}

}  // namespace

bool sci_fill_dla_attributes(void* list, bool waits, bool signals) {
  const std::lock_guard<std::mutex> lock(sci().mutex);
  auto* known = static_cast<NvSciSyncAttrList>(list);
  if (!sci().lists.has(known) || known->reconciled) return false;
  known->dla_waits = waits;
  known->dla_signals = signals;
  return true;
}

bool sci_sync_imported(const void* object, int change) {
  const std::lock_guard<std::mutex> lock(sci().mutex);
  NvSciSyncObj known = object_of(object);
  if (known != nullptr) known->imports += change;
  return known != nullptr;
}

std::function<void(const std::atomic<bool>&)> sci_waiter(const void* fence) {
  NvSciSyncFence copy;
  std::memcpy(&copy, fence, sizeof copy);
  const std::lock_guard<std::mutex> lock(sci().mutex);
  NvSciSyncObj object = object_of_fence(copy);
  if (object == nullptr || !object->dla_waits || object->imports == 0) return {};
  return [id = copy.payload[0], value = copy.payload[1]](const std::atomic<bool>& stopping) {
    std::unique_lock<std::mutex> inner(sci().mutex);
    const auto reached = [&] {
      const auto found = sci().objects.find(id);
      return stopping || found == sci().objects.end() || found->second->signalled >= value;
    };
    while (!reached()) sci().signalled.wait_for(inner, std::chrono::milliseconds(1));
  };
}

std::function<void()> sci_signaller(const void* object, void* fence) {
  const std::lock_guard<std::mutex> lock(sci().mutex);
  NvSciSyncObj known = object_of(object);
  if (known == nullptr || !known->dla_signals || known->imports == 0) return {};
  if ((fence == nullptr) != known->deterministic) return {};
  ++known->promised;
  if (fence != nullptr) fill(*static_cast<NvSciSyncFence*>(fence), known, known->promised);
  return [id = known->id] {
    const std::lock_guard<std::mutex> inner(sci().mutex);
    const auto found = sci().objects.find(id);
    if (found != sci().objects.end()) ++found->second->signalled;
    sci().signalled.notify_all();
  };
}

}  // namespace standin

using standin::object_of;
using standin::run;
using standin::sci;

extern "C" {

NvSciError NvSciSyncModuleOpen(NvSciSyncModule* module) {
  return sci().open_module("NvSciSyncModuleOpen", module);
}

void NvSciSyncModuleClose(NvSciSyncModule module) {
  sci().close_module("NvSciSyncModuleClose", module);
}

NvSciError NvSciSyncAttrListCreate(NvSciSyncModule module, NvSciSyncAttrList* list) {
  return sci().create_list("NvSciSyncAttrListCreate", module, list);
}

NvSciError NvSciSyncAttrListSetAttrs(NvSciSyncAttrList list, const NvSciSyncAttrKeyValuePair* pairs,
                                     std::size_t count) {
  return sci().set_attributes("NvSciSyncAttrListSetAttrs", list, pairs, count, standin::set);
}

// One side waits and the other signals, and the CPU's side says that it is one.
NvSciError NvSciSyncAttrListReconcile(const NvSciSyncAttrList* lists, std::size_t count,
                                      NvSciSyncAttrList* reconciled, NvSciSyncAttrList* conflict) {
  return run<NvSciError>(
      "NvSciSyncAttrListReconcile", NvSciError_ReconciliationFailed,
      [&] {
        const std::lock_guard<std::mutex> lock(sci().mutex);
        NvSciSyncAttrListRec made;
        for (std::size_t i = 0; i < count; ++i) {
          if (!sci().lists.has(lists[i])) return NvSciError_BadParameter;
          made.module = lists[i]->module;
          made.cpu |= lists[i]->cpu;
          made.deterministic |= lists[i]->deterministic;
          made.cpu_waits |= lists[i]->cpu_waits;
          made.cpu_signals |= lists[i]->cpu_signals;
          made.dla_waits |= lists[i]->dla_waits;
          made.dla_signals |= lists[i]->dla_signals;
        }
        if (made.module == nullptr) return NvSciError_BadParameter;
        made.reconciled = true;
        const bool agreed = made.cpu && made.cpu_waits != made.cpu_signals &&
                            made.dla_waits == made.cpu_signals &&
                            made.dla_signals == made.cpu_waits;
        *(agreed ? reconciled : conflict) = sci().keep_list(made);
        return agreed ? NvSciError_Success : NvSciError_ReconciliationFailed;
      },
      [&](std::int64_t) { *reconciled = nullptr; });
}

void NvSciSyncAttrListFree(NvSciSyncAttrList list) {
  sci().free_list("NvSciSyncAttrListFree", list);
}

NvSciError NvSciSyncObjAlloc(NvSciSyncAttrList reconciled, NvSciSyncObj* object) {
  return run<NvSciError>(
      "NvSciSyncObjAlloc", NvSciError_InsufficientMemory,
      [&] {
        const std::lock_guard<std::mutex> lock(sci().mutex);
        if (!sci().lists.has(reconciled) || !reconciled->reconciled) {
          return NvSciError_BadParameter;
        }
        auto* made = new NvSciSyncObjRec;
        made->module = reconciled->module;
        made->id = ++sci().last_id;
        made->deterministic = reconciled->deterministic;
        made->dla_waits = reconciled->dla_waits;
        made->dla_signals = reconciled->dla_signals;
        made->promised = made->signalled = 41;  // a counter of hardware begins anywhere
        ++made->module->objects;
        sci().objects[made->id] = made;
        standin::live("sync object", +1);
        *object = made;
        return NvSciError_Success;
      },
      [&](std::int64_t) { *object = nullptr; });
}

void NvSciSyncObjFree(NvSciSyncObj object) {
  standin::run_mute("NvSciSyncObjFree", [&] {
    const std::lock_guard<std::mutex> lock(sci().mutex);
    if (object_of(object) == nullptr) {
      return standin::violation("NvSciSyncObjFree of what is no sync object");
    }
    if (object->imports != 0) standin::violation("NvSciSyncObjFree while a core can reach it");
    object->freed = true;
    standin::end_if_nobody_holds(object);
  });
}

NvSciError NvSciSyncObjGenerateFence(NvSciSyncObj object, NvSciSyncFence* fence) {
  return run<NvSciError>(
      "NvSciSyncObjGenerateFence", NvSciError_NotSupported,
      [&] {
        const std::lock_guard<std::mutex> lock(sci().mutex);
        if (object_of(object) == nullptr) return NvSciError_BadParameter;
        if (object->deterministic || !object->dla_waits) return NvSciError_NotSupported;
        standin::fill(*fence, object, ++object->promised);
        return NvSciError_Success;
      },
      [](std::int64_t) {});
}

NvSciError NvSciSyncObjSignal(NvSciSyncObj object) {
  return run<NvSciError>("NvSciSyncObjSignal", NvSciError_Unknown, [&] {
    const std::lock_guard<std::mutex> lock(sci().mutex);
    if (object_of(object) == nullptr || !object->dla_waits) return NvSciError_BadParameter;
    ++object->signalled;
    if (!object->deterministic && object->signalled > object->promised) {
      standin::violation("NvSciSyncObjSignal without a fence");
    }
    sci().signalled.notify_all();
    return NvSciError_Success;
  });
}

NvSciError NvSciSyncCpuWaitContextAlloc(NvSciSyncModule module, NvSciSyncCpuWaitContext* context) {
  return run<NvSciError>(
      "NvSciSyncCpuWaitContextAlloc", NvSciError_InsufficientMemory,
      [&] {
        const std::lock_guard<std::mutex> lock(sci().mutex);
        if (!sci().modules.has(module)) return NvSciError_BadParameter;
        ++module->objects;
        *context = sci().contexts.add(new NvSciSyncCpuWaitContextRec{module});
        return NvSciError_Success;
      },
      [&](std::int64_t) { *context = nullptr; });
}

void NvSciSyncCpuWaitContextFree(NvSciSyncCpuWaitContext context) {
  standin::run_mute("NvSciSyncCpuWaitContextFree", [&] {
    const std::lock_guard<std::mutex> lock(sci().mutex);
    if (!sci().contexts.take("NvSciSyncCpuWaitContextFree", context)) return;
    --context->module->objects;
    delete context;
  });
}

NvSciError NvSciSyncFenceWait(const NvSciSyncFence* fence, NvSciSyncCpuWaitContext context,
                              int64_t timeout_us) {
  return run<NvSciError>("NvSciSyncFenceWait", NvSciError_Unknown, [&] {
    std::unique_lock<std::mutex> lock(sci().mutex);
    NvSciSyncObj object = standin::object_of_fence(*fence);
    if (object == nullptr || !sci().contexts.has(context)) return NvSciError_BadParameter;
    const bool reached = sci().signalled.wait_for(lock, std::chrono::microseconds(timeout_us), [&] {
      return object->signalled >= fence->payload[1];
    });
    return reached ? NvSciError_Success : NvSciError_Timeout;
  });
}

NvSciError NvSciSyncFenceUpdateFence(NvSciSyncObj object, uint64_t id, uint64_t value,
                                     NvSciSyncFence* fence) {
  return run<NvSciError>("NvSciSyncFenceUpdateFence", NvSciError_BadParameter, [&] {
    const std::lock_guard<std::mutex> lock(sci().mutex);
    if (object_of(object) == nullptr) return NvSciError_BadParameter;
    if (!object->deterministic) return NvSciError_NotSupported;
    // With an id of 0, from a fence that never was, it tells where the count stands.
    if (id != 0 && id != object->id) standin::violation("a fence of another sync object");
    standin::fill(*fence, object, id == 0 ? object->signalled : value);
    return NvSciError_Success;
  });
}

NvSciError NvSciSyncFenceExtractFence(const NvSciSyncFence* fence, uint64_t* id, uint64_t* value) {
  return run<NvSciError>("NvSciSyncFenceExtractFence", NvSciError_BadParameter, [&] {
    const std::lock_guard<std::mutex> lock(sci().mutex);
    if (standin::object_of_fence(*fence) == nullptr) return NvSciError_BadParameter;
    *id = fence->payload[0];
    *value = fence->payload[1];
    return NvSciError_Success;
  });
}

void NvSciSyncFenceClear(NvSciSyncFence* fence) {
  standin::run_mute("NvSciSyncFenceClear", [&] {
    const std::lock_guard<std::mutex> lock(sci().mutex);
    standin::clear(*fence);
  });
}

}  // extern "C"
