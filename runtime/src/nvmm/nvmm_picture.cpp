#include "nvmm/nvmm_picture.h"

#include <string>

#include "nvmm/nvbufsurface_library.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr int kFirst = 0, kEveryPlane = -1;
// Unverified: as NVIDIA documents nvvidconv.
constexpr const char* kPitchLinear =
    "; let the pipeline end in nvvidconv bl-output=false ! video/x-raw(memory:NVMM),format=NV12";

PixelFormat format_of(const NvBufSurfaceParams& buffer) {
  switch (buffer.colorFormat) {
    case NVBUF_COLOR_FORMAT_NV12:
    case NVBUF_COLOR_FORMAT_NV12_ER:
    case NVBUF_COLOR_FORMAT_NV12_709:
    case NVBUF_COLOR_FORMAT_NV12_709_ER:
      return PixelFormat::kNv12;
    case NVBUF_COLOR_FORMAT_RGBA:
      return PixelFormat::kRgba;
    case NVBUF_COLOR_FORMAT_UYVY:
    case NVBUF_COLOR_FORMAT_UYVY_ER:
      return PixelFormat::kUyvy;
    default:
      throw Error("NVMM picture of NvBufSurface's colour format " +
                  std::to_string(buffer.colorFormat) + ", which is not NV12, RGBA or UYVY" +
                  kPitchLinear);
  }
}

void require_readable(const NvBufSurface& surface) {
  if (surface.batchSize < 1 || surface.surfaceList == nullptr) {
    throw Error("NVMM buffer without a picture");
  }
  // What is allocated as "default" is a surface array on a Jetson.
  if (surface.memType != NVBUF_MEM_SURFACE_ARRAY && surface.memType != NVBUF_MEM_HANDLE &&
      surface.memType != NVBUF_MEM_DEFAULT) {
    throw Error("NVMM picture in memory of NvBufSurface's type " + std::to_string(surface.memType) +
                ", which the CPU cannot map" + kPitchLinear);
  }
  if (surface.surfaceList->layout != NVBUF_LAYOUT_PITCH) {
    throw Error(std::string("NVMM picture in block-linear layout, which only the hardware reads") +
                kPitchLinear);
  }
}

// Rows of a plane and their bytes must be there.
void require_plane(const NvBufSurfacePlaneParams& planes, const void* address, unsigned plane,
                   std::size_t row_bytes, int rows) {
  const std::string which = "plane " + std::to_string(plane) + " of an NVMM picture";
  if (plane >= planes.num_planes) throw Error(which + " is missing");
  if (address == nullptr) throw Error("NvBufSurfaceMap: success, but " + which + " has no address");
  if (planes.pitch[plane] < row_bytes || planes.height[plane] < static_cast<std::uint32_t>(rows)) {
    throw Error(which + " has " + std::to_string(planes.height[plane]) + " rows of " +
                std::to_string(planes.pitch[plane]) + " bytes, too few for " +
                std::to_string(rows) + " of " + std::to_string(row_bytes));
  }
}

}  // namespace

NvmmPicture::NvmmPicture(NvBufSurface* surface, int width, int height) : surface_(surface) {
  require_readable(*surface);
  image_.format = format_of(*surface->surfaceList);
  const NvBufSurfaceLibrary& library = NvBufSurfaceLibrary::get();
  const int mapped = library.NvBufSurfaceMap(surface, kFirst, kEveryPlane, NVBUF_MAP_READ);
  if (mapped != 0) throw Error("NvBufSurfaceMap: " + std::to_string(mapped));
  try {
    const int synced = library.NvBufSurfaceSyncForCpu(surface, kFirst, kEveryPlane);
    if (synced != 0) throw Error("NvBufSurfaceSyncForCpu: " + std::to_string(synced));
    see(width, height);
  } catch (...) {
    library.NvBufSurfaceUnMap(surface, kFirst, kEveryPlane);
    throw;
  }
}

NvmmPicture::~NvmmPicture() {
  // A failure leaves a mapping behind that nobody uses: there is nothing to do about it here.
  NvBufSurfaceLibrary::get().NvBufSurfaceUnMap(surface_, kFirst, kEveryPlane);
}

void NvmmPicture::see(int width, int height) {
  const NvBufSurfacePlaneParams& planes = surface_->surfaceList->planeParams;
  void* const* addresses = surface_->surfaceList->mappedAddr.addr;
  image_.width = width;
  image_.height = height;
  require_sides(width, height, image_.format, "NVMM picture");
  require_plane(planes, addresses[0], 0, image_.least_row_stride(), height);
  image_.data = static_cast<const std::uint8_t*>(addresses[0]);
  image_.row_stride = planes.pitch[0];
  if (image_.format != PixelFormat::kNv12) return;
  require_plane(planes, addresses[1], 1, static_cast<std::size_t>(width), height / 2);
  image_.chroma = static_cast<const std::uint8_t*>(addresses[1]);
  image_.chroma_stride = planes.pitch[1];
}

}  // namespace unina
