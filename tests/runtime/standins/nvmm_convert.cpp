// The element standinnvmm: pictures of system memory in, the same in video/x-raw(memory:NVMM) out,
// as nvvidconv gives them on a Jetson: each buffer's memory is an NvBufSurface. Its rows are longer
// than the picture. The stand-in of libnvbufsurface maps them. For tests only.
#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "nvmm/nvbufsurface_abi.h"
#include "nvmm_scramble.h"

namespace {

constexpr std::uint32_t kPitchAlignment = 256;  // as on a Jetson

struct Surface {
  NvBufSurface surface{};
  NvBufSurfaceParams buffer{};
  std::vector<std::uint8_t> bytes;
};

struct Convert {
  GstBaseTransform parent;
  GstVideoInfo information;
  guint memory_type, layout, color_format;  // color_format 0: the caps'
};
struct ConvertClass {
  GstBaseTransformClass parent;
};

enum Property { kNone, kMemoryType, kLayout, kColorFormat };

G_DEFINE_TYPE(Convert, convert, GST_TYPE_BASE_TRANSFORM)

NvBufSurfaceColorFormat color_format_of(const Convert& self) {
  if (self.color_format != 0) return static_cast<NvBufSurfaceColorFormat>(self.color_format);
  switch (GST_VIDEO_INFO_FORMAT(&self.information)) {
    case GST_VIDEO_FORMAT_RGBA:
      return NVBUF_COLOR_FORMAT_RGBA;
    case GST_VIDEO_FORMAT_UYVY:
      return NVBUF_COLOR_FORMAT_UYVY;
    default:
      return NVBUF_COLOR_FORMAT_NV12;
  }
}

Surface* surface_of(const Convert& self, GstVideoFrame* frame) {
  auto* const made = new Surface;
  NvBufSurfaceParams& buffer = made->buffer;
  buffer.width = static_cast<std::uint32_t>(GST_VIDEO_FRAME_WIDTH(frame));
  buffer.height = static_cast<std::uint32_t>(GST_VIDEO_FRAME_HEIGHT(frame));
  buffer.colorFormat = color_format_of(self);
  buffer.layout = static_cast<NvBufSurfaceLayout>(self.layout);
  NvBufSurfacePlaneParams& planes = buffer.planeParams;
  planes.num_planes = GST_VIDEO_FRAME_N_PLANES(frame);
  for (std::uint32_t plane = 0; plane < planes.num_planes; ++plane) {
    const auto component = static_cast<int>(plane);  // the first of each plane, in these formats
    const auto row_bytes =
        static_cast<std::uint32_t>(GST_VIDEO_FRAME_COMP_WIDTH(frame, component) *
                                   GST_VIDEO_FRAME_COMP_PSTRIDE(frame, component));
    // UYVY's first component is every second byte of a row.
    const std::uint32_t bytes =
        GST_VIDEO_FRAME_FORMAT(frame) == GST_VIDEO_FORMAT_UYVY ? 2 * buffer.width : row_bytes;
    planes.width[plane] = static_cast<std::uint32_t>(GST_VIDEO_FRAME_COMP_WIDTH(frame, component));
    planes.height[plane] =
        static_cast<std::uint32_t>(GST_VIDEO_FRAME_COMP_HEIGHT(frame, component));
    planes.pitch[plane] = (bytes / kPitchAlignment + 1) * kPitchAlignment;
    planes.offset[plane] = static_cast<std::uint32_t>(made->bytes.size());
    made->bytes.resize(made->bytes.size() + planes.pitch[plane] * planes.height[plane], 0x77);
    const auto* from =
        static_cast<const std::uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(frame, component));
    for (std::uint32_t row = 0; row < planes.height[plane]; ++row) {
      std::memcpy(
          &made->bytes[planes.offset[plane] + row * planes.pitch[plane]],
          from + row * static_cast<std::size_t>(GST_VIDEO_FRAME_PLANE_STRIDE(frame, component)),
          bytes);
    }
  }
  buffer.pitch = planes.pitch[0];
  buffer.bufferDesc = reinterpret_cast<std::uint64_t>(made->bytes.data());
  buffer.dataSize = static_cast<std::uint32_t>(made->bytes.size());
  standin::scramble(buffer);
  made->surface.batchSize = made->surface.numFilled = 1;
  made->surface.memType = static_cast<NvBufSurfaceMemType>(self.memory_type);
  made->surface.surfaceList = &buffer;
  return made;
}

GstFlowReturn prepare_output_buffer(GstBaseTransform* transform, GstBuffer* input,
                                    GstBuffer** output) {
  auto* const self = reinterpret_cast<Convert*>(transform);
  GstVideoFrame frame;
  if (gst_video_frame_map(&frame, &self->information, input, GST_MAP_READ) == FALSE) {
    return GST_FLOW_ERROR;
  }
  Surface* const made = surface_of(*self, &frame);
  gst_video_frame_unmap(&frame);
  *output = gst_buffer_new_wrapped_full(
      static_cast<GstMemoryFlags>(0), &made->surface, sizeof(NvBufSurface), 0, sizeof(NvBufSurface),
      made, [](void* surface) { delete static_cast<Surface*>(surface); });
  gst_buffer_copy_into(
      *output, input,
      static_cast<GstBufferCopyFlags>(GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS), 0,
      static_cast<gsize>(-1));
  return GST_FLOW_OK;
}

GstCaps* transform_caps(GstBaseTransform*, GstPadDirection direction, GstCaps* caps,
                        GstCaps* filter) {
  GstCaps* const other = gst_caps_copy(caps);
  for (guint i = 0; i < gst_caps_get_size(other); ++i) {
    gst_caps_set_features(
        other, i,
        gst_caps_features_new(
            direction == GST_PAD_SINK ? "memory:NVMM" : GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY,
            nullptr));
  }
  if (filter == nullptr) return other;
  GstCaps* const both = gst_caps_intersect_full(filter, other, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref(other);
  return both;
}

void set_property(GObject* object, guint property, const GValue* value, GParamSpec*) {
  auto* const self = reinterpret_cast<Convert*>(object);
  guint& member = property == kMemoryType ? self->memory_type
                  : property == kLayout   ? self->layout
                                          : self->color_format;
  member = g_value_get_uint(value);
}

void convert_init(Convert* self) { self->memory_type = NVBUF_MEM_SURFACE_ARRAY; }

void convert_class_init(ConvertClass* type) {
  GObjectClass* const object = G_OBJECT_CLASS(type);
  object->set_property = set_property;
  const char* const names[] = {"memory-type", "layout", "color-format"};
  for (guint property = kMemoryType; property <= kColorFormat; ++property) {
    g_object_class_install_property(object, property,
                                    g_param_spec_uint(names[property - 1], nullptr, nullptr, 0,
                                                      G_MAXUINT, 0, G_PARAM_WRITABLE));
  }
  GstElementClass* const element = GST_ELEMENT_CLASS(type);
  gst_element_class_set_static_metadata(element, "NVMM pictures for tests", "Test",
                                        "Lays pictures into an NvBufSurface", "UNINA");
  const auto add = [&](const char* name, GstPadDirection direction, const char* text) {
    GstCaps* const caps = gst_caps_from_string(text);
    gst_element_class_add_pad_template(element,
                                       gst_pad_template_new(name, direction, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
  };
  add("sink", GST_PAD_SINK, "video/x-raw,format={NV12,RGBA,UYVY}");
  add("src", GST_PAD_SRC, "video/x-raw(memory:NVMM),format={NV12,RGBA,UYVY}");
  GstBaseTransformClass* const transform = GST_BASE_TRANSFORM_CLASS(type);
  transform->transform_caps = transform_caps;
  transform->set_caps = [](GstBaseTransform* self, GstCaps* input, GstCaps*) {
    return gst_video_info_from_caps(&reinterpret_cast<Convert*>(self)->information, input);
  };
  transform->decide_allocation = [](GstBaseTransform*, GstQuery*) -> gboolean { return TRUE; };
  transform->prepare_output_buffer = prepare_output_buffer;
  transform->transform = [](GstBaseTransform*, GstBuffer*, GstBuffer*) { return GST_FLOW_OK; };
}

gboolean plugin_init(GstPlugin* plugin) {
  return gst_element_register(plugin, "standinnvmm", GST_RANK_NONE, convert_get_type());
}

}  // namespace

#define PACKAGE "unina-tests"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, standinnvmm, "NVMM pictures for tests",
                  plugin_init, "1.0", "Proprietary", "unina-tests", "https://example.org")
