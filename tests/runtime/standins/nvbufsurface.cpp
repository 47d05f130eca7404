// A stand-in of libnvbufsurface: pictures as nvmm_convert.cpp makes them. What the CPU must not
// read is scrambled: before NvBufSurfaceSyncForCpu, as if it stood in the device's caches only, and
// after NvBufSurfaceUnMap. For tests only.
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "nvmm/nvbufsurface_abi.h"
#include "nvmm_planes.h"
#include "nvmm_scramble.h"
#include "state.h"

namespace standin {
namespace {

struct Mapping {
  bool synchronised = false;
};

struct Mappings {
  std::mutex mutex;
  std::map<NvBufSurfaceParams*, Mapping> all;
};

Mappings& mappings() {
  static auto* const made = new Mappings;
  return *made;
}

int refuse(const std::string& why) {
  violation(why);
  return -1;
}

bool is_first_and_every_plane(int index, int plane) { return index == 0 && plane == -1; }

int map(NvBufSurface* surface, int index, int plane, NvBufSurfaceMemMapFlags flags, bool gives) {
  if (!is_first_and_every_plane(index, plane) || flags != NVBUF_MAP_READ) {
    return refuse("NvBufSurfaceMap: not the whole first buffer for reading");
  }
  NvBufSurfaceParams& buffer = *surface->surfaceList;
  if (surface->memType != NVBUF_MEM_SURFACE_ARRAY && surface->memType != NVBUF_MEM_HANDLE &&
      surface->memType != NVBUF_MEM_DEFAULT) {
    return refuse("NvBufSurfaceMap: memory that the CPU cannot map");
  }
  if (buffer.layout != NVBUF_LAYOUT_PITCH) return refuse("NvBufSurfaceMap: not pitch-linear");
  const std::lock_guard<std::mutex> lock(mappings().mutex);
  if (!mappings().all.emplace(&buffer, Mapping{}).second) {
    return refuse("NvBufSurfaceMap: mapped already");
  }
  live("mapping", 1);
  for (std::uint32_t i = 0; i < buffer.planeParams.num_planes; ++i) {
    void* const address =
        reinterpret_cast<std::byte*>(buffer.bufferDesc) + buffer.planeParams.offset[i];
    buffer.mappedAddr.addr[i] = gives ? address : nullptr;
  }
  return 0;
}

int unmap(NvBufSurface* surface, int index, int plane) {
  if (!is_first_and_every_plane(index, plane)) return refuse("NvBufSurfaceUnMap: a part only");
  NvBufSurfaceParams& buffer = *surface->surfaceList;
  const std::lock_guard<std::mutex> lock(mappings().mutex);
  const auto found = mappings().all.find(&buffer);
  if (found == mappings().all.end()) return refuse("NvBufSurfaceUnMap: is not mapped");
  if (found->second.synchronised) scramble(buffer);
  mappings().all.erase(found);
  live("mapping", -1);
  for (void*& address : buffer.mappedAddr.addr) address = nullptr;
  return 0;
}

int synchronise(NvBufSurface* surface, int index, int plane) {
  if (!is_first_and_every_plane(index, plane)) return refuse("NvBufSurfaceSyncForCpu: a part only");
  NvBufSurfaceParams& buffer = *surface->surfaceList;
  const std::lock_guard<std::mutex> lock(mappings().mutex);
  const auto found = mappings().all.find(&buffer);
  if (found == mappings().all.end()) return refuse("NvBufSurfaceSyncForCpu: is not mapped");
  if (!found->second.synchronised) scramble(buffer);
  found->second.synchronised = true;
  return 0;
}

}  // namespace
}  // namespace standin

extern "C" {

int NvBufSurfaceMap(NvBufSurface* surface, int index, int plane, NvBufSurfaceMemMapFlags flags) {
  return standin::run<int>(
      "NvBufSurfaceMap", -1, [&] { return standin::map(surface, index, plane, flags, true); },
      [&](std::int64_t) { standin::map(surface, index, plane, flags, false); });
}

int NvBufSurfaceUnMap(NvBufSurface* surface, int index, int plane) {
  return standin::run<int>("NvBufSurfaceUnMap", -1,
                           [&] { return standin::unmap(surface, index, plane); });
}

int NvBufSurfaceSyncForCpu(NvBufSurface* surface, int index, int plane) {
  return standin::run<int>("NvBufSurfaceSyncForCpu", -1,
                           [&] { return standin::synchronise(surface, index, plane); });
}

int standin_nvbuf_plane_at(const void* address) {
  const std::lock_guard<std::mutex> lock(standin::mappings().mutex);
  for (const auto& [buffer, mapping] : standin::mappings().all) {
    if (!mapping.synchronised) continue;
    for (std::uint32_t i = 0; i < buffer->planeParams.num_planes; ++i) {
      const auto* plane =
          reinterpret_cast<const std::byte*>(buffer->bufferDesc) + buffer->planeParams.offset[i];
      if (plane == address) return 1;
    }
  }
  return 0;
}

}  // extern "C"
