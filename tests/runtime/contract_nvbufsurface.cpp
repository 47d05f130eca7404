// What our code relies on in NvBufSurface's header. Compiled in every build against our own
// declarations, and by test_contracts.py against NVIDIA's where UNINA_NVBUF_INCLUDE names it.
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "nvmm/nvbufsurface_library.h"

namespace contract {

using NvBufSurfaceMap = int (*)(NvBufSurface*, int, int, NvBufSurfaceMemMapFlags);
using NvBufSurfaceUnMap = int (*)(NvBufSurface*, int, int);
using NvBufSurfaceSyncForCpu = int (*)(NvBufSurface*, int, int);

// Every call of the table: one that has no line above does not compile.
#define UNINA_CALL(name)                                                   \
  static_assert(std::is_same_v<decltype(&::name), contract::name>, #name); \
  static_assert(std::is_same_v<decltype(unina::NvBufSurfaceLibrary::name), contract::name>, #name);
UNINA_NVBUF_CALLS(UNINA_CALL)
#undef UNINA_CALL

static_assert(NVBUF_MAP_READ == 0);
static_assert(NVBUF_COLOR_FORMAT_NV12 == 6 && NVBUF_COLOR_FORMAT_NV12_ER == 7);
static_assert(NVBUF_COLOR_FORMAT_UYVY == 10 && NVBUF_COLOR_FORMAT_UYVY_ER == 11);
static_assert(NVBUF_COLOR_FORMAT_RGBA == 19);
static_assert(NVBUF_COLOR_FORMAT_NV12_709 == 33 && NVBUF_COLOR_FORMAT_NV12_709_ER == 34);
static_assert(NVBUF_LAYOUT_PITCH == 0 && NVBUF_LAYOUT_BLOCK_LINEAR == 1);
static_assert(NVBUF_MEM_DEFAULT == 0 && NVBUF_MEM_SURFACE_ARRAY == 4 && NVBUF_MEM_HANDLE == 5);
static_assert(sizeof(NvBufSurfaceMemMapFlags) == 4 && sizeof(NvBufSurfaceColorFormat) == 4 &&
              sizeof(NvBufSurfaceLayout) == 4 && sizeof(NvBufSurfaceMemType) == 4);

#define UNINA_MEMBER(type, member, place, kind)                                                    \
  static_assert(offsetof(type, member) == (place) && std::is_same_v<decltype(type::member), kind>, \
                #type "::" #member)

UNINA_MEMBER(NvBufSurface, batchSize, 4, std::uint32_t);
UNINA_MEMBER(NvBufSurface, numFilled, 8, std::uint32_t);
UNINA_MEMBER(NvBufSurface, memType, 16, NvBufSurfaceMemType);
UNINA_MEMBER(NvBufSurface, surfaceList, 24, NvBufSurfaceParams*);
static_assert(sizeof(NvBufSurface) == 64);

UNINA_MEMBER(NvBufSurfaceParams, width, 0, std::uint32_t);
UNINA_MEMBER(NvBufSurfaceParams, height, 4, std::uint32_t);
UNINA_MEMBER(NvBufSurfaceParams, pitch, 8, std::uint32_t);
UNINA_MEMBER(NvBufSurfaceParams, colorFormat, 12, NvBufSurfaceColorFormat);
UNINA_MEMBER(NvBufSurfaceParams, layout, 16, NvBufSurfaceLayout);
UNINA_MEMBER(NvBufSurfaceParams, bufferDesc, 24, std::uint64_t);
UNINA_MEMBER(NvBufSurfaceParams, dataSize, 32, std::uint32_t);
UNINA_MEMBER(NvBufSurfaceParams, planeParams, 48, NvBufSurfacePlaneParams);
UNINA_MEMBER(NvBufSurfaceParams, mappedAddr, 280, NvBufSurfaceMappedAddr);
static_assert(sizeof(NvBufSurfaceParams) == 384);

UNINA_MEMBER(NvBufSurfacePlaneParams, num_planes, 0, std::uint32_t);
UNINA_MEMBER(NvBufSurfacePlaneParams, width, 4, std::uint32_t[4]);
UNINA_MEMBER(NvBufSurfacePlaneParams, height, 20, std::uint32_t[4]);
UNINA_MEMBER(NvBufSurfacePlaneParams, pitch, 36, std::uint32_t[4]);
UNINA_MEMBER(NvBufSurfacePlaneParams, offset, 52, std::uint32_t[4]);
static_assert(sizeof(NvBufSurfacePlaneParams) == 232);

UNINA_MEMBER(NvBufSurfaceMappedAddr, addr, 0, void* [4]);
static_assert(sizeof(NvBufSurfaceMappedAddr) == 72);
#undef UNINA_MEMBER

}  // namespace contract
