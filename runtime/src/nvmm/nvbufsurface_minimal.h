// What this project uses of NVIDIA's NvBufSurface, declared in its own words: the picture buffers
// of a Jetson. JetPack has the header, no package index does. The numbers and places are NVIDIA's;
// tests/runtime/contract_nvbufsurface.cpp holds them, and NVIDIA's header where UNINA_NVBUF_INCLUDE
// names its folder.
#pragma once

#include <cstdint>

extern "C" {

enum NvBufSurfaceMemMapFlags : std::uint32_t { NVBUF_MAP_READ = 0 };

enum NvBufSurfaceColorFormat : std::uint32_t {
  NVBUF_COLOR_FORMAT_NV12 = 6,
  NVBUF_COLOR_FORMAT_NV12_ER = 7,
  NVBUF_COLOR_FORMAT_UYVY = 10,
  NVBUF_COLOR_FORMAT_UYVY_ER = 11,
  NVBUF_COLOR_FORMAT_RGBA = 19,
  NVBUF_COLOR_FORMAT_NV12_709 = 33,
  NVBUF_COLOR_FORMAT_NV12_709_ER = 34,
};

enum NvBufSurfaceLayout : std::uint32_t {
  NVBUF_LAYOUT_PITCH = 0,
  NVBUF_LAYOUT_BLOCK_LINEAR = 1,
};

enum NvBufSurfaceMemType : std::uint32_t {
  NVBUF_MEM_DEFAULT = 0,
  NVBUF_MEM_SURFACE_ARRAY = 4,
  NVBUF_MEM_HANDLE = 5,
};

struct NvBufSurfacePlaneParams {
  std::uint32_t num_planes;
  std::uint32_t width[4];
  std::uint32_t height[4];
  std::uint32_t pitch[4];
  std::uint32_t offset[4];
  std::uint32_t not_used[8];
  void* reserved_for_nvidia[16];
};

struct NvBufSurfaceMappedAddr {
  void* addr[4];
  void* not_used;
  void* reserved_for_nvidia[4];
};

struct NvBufSurfaceParams {
  std::uint32_t width;
  std::uint32_t height;
  std::uint32_t pitch;
  NvBufSurfaceColorFormat colorFormat;
  NvBufSurfaceLayout layout;
  std::uint64_t bufferDesc;
  std::uint32_t dataSize;
  void* not_used;
  NvBufSurfacePlaneParams planeParams;
  NvBufSurfaceMappedAddr mappedAddr;
  void* reserved_for_nvidia[4];  // releases since 2023 point to more with the first of these
};

struct NvBufSurface {
  std::uint32_t gpuId;
  std::uint32_t batchSize;
  std::uint32_t numFilled;
  bool not_used;
  NvBufSurfaceMemType memType;
  NvBufSurfaceParams* surfaceList;
  void* reserved_for_nvidia[4];
};

int NvBufSurfaceMap(NvBufSurface* surface, int index, int plane, NvBufSurfaceMemMapFlags flags);
int NvBufSurfaceUnMap(NvBufSurface* surface, int index, int plane);
int NvBufSurfaceSyncForCpu(NvBufSurface* surface, int index, int plane);

}  // extern "C"
