// The reference of GstVideoFrame; NVIDIA's header nvbufsurface.h.
#include "source_gstreamer_frame.h"

#include <gst/video/video.h>

#include <utility>

#include "nvmm/nvmm_picture.h"
#include "unina/error.h"

namespace unina {
namespace {

class SystemFrame final : public GstreamerFrame {
 public:
  SystemFrame(Sample sample, const GstVideoInfo& information) : sample_(std::move(sample)) {
    GstBuffer* const buffer = gst_sample_get_buffer(sample_.get());
    if (gst_video_frame_map(&frame_, &information, buffer, GST_MAP_READ) == FALSE) {
      throw Error(
          "a picture cannot be read by the CPU; let the pipeline end in video/x-raw, for instance "
          "by nvvidconv");
    }
    image_.data = plane(0);
    image_.row_stride = stride(0);
    image_.width = GST_VIDEO_FRAME_WIDTH(&frame_);
    image_.height = GST_VIDEO_FRAME_HEIGHT(&frame_);
    image_.format = format();
    if (image_.format != PixelFormat::kNv12) return;
    image_.chroma = plane(1);
    image_.chroma_stride = stride(1);
  }
  ~SystemFrame() override { gst_video_frame_unmap(&frame_); }
  const ImageView& image() const override { return image_; }

 private:
  const std::uint8_t* plane(int number) const {
    return static_cast<const std::uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame_, number));
  }
  std::size_t stride(int number) const {
    return static_cast<std::size_t>(GST_VIDEO_FRAME_PLANE_STRIDE(&frame_, number));
  }
  PixelFormat format() const {  // the sink's caps let no other through
    switch (GST_VIDEO_FRAME_FORMAT(&frame_)) {
      case GST_VIDEO_FORMAT_RGBA:
        return PixelFormat::kRgba;
      case GST_VIDEO_FORMAT_UYVY:
        return PixelFormat::kUyvy;
      case GST_VIDEO_FORMAT_NV12:
        return PixelFormat::kNv12;
      default:
        return PixelFormat::kBgr;
    }
  }

  Sample sample_;
  GstVideoFrame frame_;
  ImageView image_;
};

// The memory of an NVMM buffer, as GStreamer sees it: an NvBufSurface.
class MappedSurface {
 public:
  explicit MappedSurface(GstBuffer* buffer) : buffer_(buffer) {
    if (gst_buffer_map(buffer_, &map_, GST_MAP_READ) == FALSE) {
      throw Error("an NVMM buffer cannot be mapped");
    }
    if (map_.size == sizeof(NvBufSurface)) return;
    gst_buffer_unmap(buffer_, &map_);
    throw Error("an NVMM buffer of " + std::to_string(map_.size) + " bytes is no NvBufSurface of " +
                std::to_string(sizeof(NvBufSurface)) + "; this needs JetPack 5 or later");
  }
  ~MappedSurface() { gst_buffer_unmap(buffer_, &map_); }
  MappedSurface(const MappedSurface&) = delete;
  MappedSurface& operator=(const MappedSurface&) = delete;
  NvBufSurface* get() const { return reinterpret_cast<NvBufSurface*>(map_.data); }

 private:
  GstBuffer* buffer_;
  GstMapInfo map_;
};

class NvmmFrame final : public GstreamerFrame {
 public:
  NvmmFrame(Sample sample, const GstVideoInfo& information)
      : sample_(std::move(sample)),
        surface_(gst_sample_get_buffer(sample_.get())),
        picture_(surface_.get(), GST_VIDEO_INFO_WIDTH(&information),
                 GST_VIDEO_INFO_HEIGHT(&information)) {}
  const ImageView& image() const override { return picture_.image(); }
  const void* buffers() const { return picture_.buffers(); }

 private:
  Sample sample_;  // in this order: unmapped before it is given back
  MappedSurface surface_;
  NvmmPicture picture_;
};

bool is_nvmm(GstCaps* caps) {
  return gst_caps_features_contains(gst_caps_get_features(caps, 0), "memory:NVMM") != FALSE;
}

}  // namespace

std::shared_ptr<const GstreamerFrame> hold(Sample sample, const GstreamerFrames& held) {
  GstCaps* const caps = gst_sample_get_caps(sample.get());
  GstVideoInfo information;
  gst_video_info_init(&information);
  if (caps == nullptr || gst_video_info_from_caps(&information, caps) == FALSE) {
    throw Error("a picture without a known format");
  }
  if (!is_nvmm(caps)) return std::make_shared<SystemFrame>(std::move(sample), information);
  const void* const buffers = MappedSurface(gst_sample_get_buffer(sample.get())).get()->surfaceList;
  for (const std::shared_ptr<const GstreamerFrame>& other : held) {
    const auto* const nvmm = dynamic_cast<const NvmmFrame*>(other.get());
    if (nvmm != nullptr && nvmm->buffers() == buffers) return other;
  }
  return std::make_shared<NvmmFrame>(std::move(sample), information);
}

}  // namespace unina
