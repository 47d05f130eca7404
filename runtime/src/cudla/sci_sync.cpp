#include "cudla/sci_sync.h"

namespace unina {
namespace {

using List = SciOwner<NvSciSyncAttrList>;

List make_list(const NvSciLibrary& sci, NvSciSyncModule module) {
  return open_sci(
      "NvSciSyncAttrListCreate",
      [&](NvSciSyncAttrList* list) { return sci.NvSciSyncAttrListCreate(module, list); },
      sci.NvSciSyncAttrListFree);
}

void set(const NvSciLibrary& sci, NvSciSyncAttrList list, NvSciSyncAttrKey key, const void* value,
         std::size_t bytes) {
  const NvSciSyncAttrKeyValuePair pair = {key, value, bytes};
  sci.require("NvSciSyncAttrListSetAttrs", sci.NvSciSyncAttrListSetAttrs(list, &pair, 1));
}

SciOwner<NvSciSyncObj> allocate(const NvSciLibrary& sci, NvSciSyncModule module, DlaRole role,
                                bool deterministic) {
  const bool dla_waits = role == DlaRole::kWaits;
  const List dla = make_list(sci, module);
  CudlaLibrary::require("cudlaGetNvSciSyncAttributes",
                        CudlaExternalCalls::get().cudlaGetNvSciSyncAttributes(
                            reinterpret_cast<std::uint64_t*>(dla.get()),
                            dla_waits ? CUDLA_NVSCISYNC_ATTR_WAIT : CUDLA_NVSCISYNC_ATTR_SIGNAL));
  const List cpu = make_list(sci, module);
  const bool yes = true;
  const NvSciSyncAccessPerm permission =
      dla_waits ? NvSciSyncAccessPerm_SignalOnly : NvSciSyncAccessPerm_WaitOnly;
  set(sci, cpu.get(), NvSciSyncAttrKey_NeedCpuAccess, &yes, sizeof yes);
  set(sci, cpu.get(), NvSciSyncAttrKey_RequiredPerm, &permission, sizeof permission);
  if (deterministic) {  // the waiter's to ask for
    set(sci, dla_waits ? dla.get() : cpu.get(), NvSciSyncAttrKey_RequireDeterministicFences, &yes,
        sizeof yes);
  }

  const NvSciSyncAttrList both[] = {cpu.get(), dla.get()};
  NvSciSyncAttrList agreed = nullptr, differing = nullptr;
  const NvSciError status = sci.NvSciSyncAttrListReconcile(both, 2, &agreed, &differing);
  const List reconciled(agreed, sci.NvSciSyncAttrListFree);
  const List conflict(differing, sci.NvSciSyncAttrListFree);
  sci.require("NvSciSyncAttrListReconcile", status, agreed);

  return open_sci(
      "NvSciSyncObjAlloc",
      [&](NvSciSyncObj* object) { return sci.NvSciSyncObjAlloc(agreed, object); },
      sci.NvSciSyncObjFree);
}

std::uint64_t* import(const CudlaLibrary& cudla, const CudlaDevice& device, NvSciSyncObj object) {
  cudlaExternalSemaphoreHandleDesc description{};
  description.extSyncObject = object;
  std::uint64_t* registered = nullptr;
  const cudlaStatus status = CudlaExternalCalls::get().cudlaImportExternalSemaphore(
      device.get(), &description, &registered, 0);
  cudla.require("cudlaImportExternalSemaphore", status, registered);
  return registered;
}

}  // namespace

SciSync::SciSync(const NvSciLibrary& sci, NvSciSyncModule module, const CudlaLibrary& cudla,
                 const CudlaDevice& device, DlaRole role, bool deterministic,
                 ReleaseFailures& failures)
    : sci_(sci),
      role_(role),
      deterministic_(deterministic),
      object_(allocate(sci, module, role, deterministic)),
      registration_(cudla, device, import(cudla, device, object_.get()), failures) {}

SciSync::~SciSync() {
  sci_.NvSciSyncFenceClear(&fence_);  // it holds the object
  if (!registration_.end()) static_cast<void>(object_.release());
}

void SciSync::update_fence(std::uint64_t value) {
  sci_.require("NvSciSyncFenceUpdateFence",
               sci_.NvSciSyncFenceUpdateFence(object_.get(), id_, value, &fence_));
}

void SciSync::next_fence() {
  if (armed_) return;
  if (deterministic_) {
    if (!counting_) {  // whatever a new object begins with
      update_fence(0);
      sci_.require("NvSciSyncFenceExtractFence",
                   sci_.NvSciSyncFenceExtractFence(&fence_, &id_, &value_));
      counting_ = true;
    }
    update_fence(value_ + 1);
    ++value_;
  } else {
    sci_.NvSciSyncFenceClear(&fence_);
    if (role_ == DlaRole::kWaits) {
      sci_.require("NvSciSyncObjGenerateFence",
                   sci_.NvSciSyncObjGenerateFence(object_.get(), &fence_));
    }
  }
  armed_ = true;
}

void SciSync::signal() {
  sci_.require("NvSciSyncObjSignal", sci_.NvSciSyncObjSignal(object_.get()));
  armed_ = false;
}

bool SciSync::wait(NvSciSyncCpuWaitContext context, int timeout_ms) {
  const NvSciError status =
      sci_.NvSciSyncFenceWait(&fence_, context, std::int64_t{1000} * timeout_ms);
  if (status == NvSciError_Timeout) return false;
  sci_.require("NvSciSyncFenceWait", status);
  armed_ = false;
  return true;
}

}  // namespace unina
