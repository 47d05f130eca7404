#include "cudla/sci_buffer.h"

#include <cstring>

namespace unina {
namespace {

SciOwner<NvSciBufObj> allocate(const NvSciLibrary& sci, NvSciBufModule module, std::size_t bytes) {
  using List = SciOwner<NvSciBufAttrList>;
  const List wanted = open_sci(
      "NvSciBufAttrListCreate",
      [&](NvSciBufAttrList* list) { return sci.NvSciBufAttrListCreate(module, list); },
      sci.NvSciBufAttrListFree);

  NvSciBufType type = NvSciBufType_RawBuffer;
  NvSciBufAttrValAccessPerm permission = NvSciBufAccessPerm_ReadWrite;
  bool cpu = true;
  std::uint64_t size = bytes;
  std::uint64_t alignment = 512;  // cuDLA wants 32; NVIDIA's own sample takes this
  NvSciBufAttrKeyValuePair pairs[] = {
      {NvSciBufGeneralAttrKey_Types, &type, sizeof type},
      {NvSciBufGeneralAttrKey_RequiredPerm, &permission, sizeof permission},
      {NvSciBufGeneralAttrKey_NeedCpuAccess, &cpu, sizeof cpu},
      {NvSciBufRawBufferAttrKey_Size, &size, sizeof size},
      {NvSciBufRawBufferAttrKey_Align, &alignment, sizeof alignment}};
  sci.require("NvSciBufAttrListSetAttrs",
              sci.NvSciBufAttrListSetAttrs(wanted.get(), pairs, sizeof pairs / sizeof pairs[0]));

  NvSciBufAttrList agreed = nullptr, differing = nullptr;
  const NvSciBufAttrList all[] = {wanted.get()};
  const NvSciError status = sci.NvSciBufAttrListReconcile(all, 1, &agreed, &differing);
  const List reconciled(agreed, sci.NvSciBufAttrListFree);
  const List conflict(differing, sci.NvSciBufAttrListFree);
  sci.require("NvSciBufAttrListReconcile", status, agreed);

  return open_sci(
      "NvSciBufObjAlloc", [&](NvSciBufObj* object) { return sci.NvSciBufObjAlloc(agreed, object); },
      sci.NvSciBufObjFree);
}

void flush_all(const NvSciLibrary& sci, NvSciBufObj object, std::size_t bytes) {
  sci.require("NvSciBufObjFlushCpuCacheRange", sci.NvSciBufObjFlushCpuCacheRange(object, 0, bytes));
}

void* zeroed(const NvSciLibrary& sci, NvSciBufObj object, std::size_t bytes) {
  void* pointer = nullptr;
  const NvSciError status = sci.NvSciBufObjGetCpuPtr(object, &pointer);
  sci.require("NvSciBufObjGetCpuPtr", status, pointer);
  std::memset(pointer, 0, bytes);
  flush_all(sci, object, bytes);  // else the zeros may be written over the first outputs
  return pointer;
}

std::uint64_t* import(const CudlaLibrary& cudla, const CudlaDevice& device, NvSciBufObj object,
                      std::size_t bytes) {
  cudlaExternalMemoryHandleDesc description{};
  description.extBufObject = object;
  description.size = bytes;
  std::uint64_t* registered = nullptr;
  const cudlaStatus status = CudlaExternalCalls::get().cudlaImportExternalMemory(
      device.get(), &description, &registered, CUDLA_READ_WRITE_PERM);
  cudla.require("cudlaImportExternalMemory", status, registered);
  return registered;
}

}  // namespace

SciBuffer::SciBuffer(const NvSciLibrary& sci, NvSciBufModule module, const CudlaLibrary& cudla,
                     const CudlaDevice& device, std::size_t bytes, ReleaseFailures& failures)
    : sci_(sci),
      bytes_(bytes),
      object_(allocate(sci, module, bytes)),
      host_(zeroed(sci, object_.get(), bytes)),
      registration_(cudla, device, import(cudla, device, object_.get(), bytes), failures) {}

SciBuffer::~SciBuffer() {
  if (!registration_.end()) static_cast<void>(object_.release());
}

void SciBuffer::flush() const { flush_all(sci_, object_.get(), bytes_); }

}  // namespace unina
