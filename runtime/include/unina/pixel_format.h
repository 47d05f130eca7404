// How a camera's 8-bit pixels lie in memory.
#pragma once

namespace unina {

// YUV is BT.601 in the limited range (Y 16 to 235, U and V 16 to 240), which is what UVC cameras
// and V4L2's default for a YUV camera give. What it becomes is laid down in
// unina/letterbox_pixel.h.
enum class PixelFormat {
  kBgr,   // B G R, as OpenCV reads pictures
  kRgba,  // R G B A; alpha plays no part
  kNv12,  // a plane of Y, then one of U V pairs, each pair for 2x2 pixels; width and height even
  kUyvy,  // U Y V Y: one pair of U and V for two pixels of a row; width even
};

constexpr const char* name_of(PixelFormat format) {
  switch (format) {
    case PixelFormat::kBgr:
      return "BGR";
    case PixelFormat::kRgba:
      return "RGBA";
    case PixelFormat::kNv12:
      return "NV12";
    case PixelFormat::kUyvy:
      return "UYVY";
  }
  return "?";
}

}  // namespace unina
