#include "preprocess/yuv_to_bgr.h"

#include <cstring>
#include <map>
#include <mutex>
#include <opencv2/imgproc.hpp>
#include <random>
#include <tuple>

#include "preprocess/letterbox_definition.h"
#include "preprocess/opencv_threads.h"

namespace unina {
namespace {

template <PixelFormat format>
void by_definition(const ImageView& source, std::uint8_t* out) {
  const SourcePixels pixels = source_pixels(source);
  for (std::int32_t y = 0; y < source.height; ++y) {
    for (std::int32_t x = 0; x < source.width; ++x, out += 3) {
      const Color color = source_color<format>(pixels, x, y);
      out[0] = static_cast<std::uint8_t>(color.blue);
      out[1] = static_cast<std::uint8_t>(color.green);
      out[2] = static_cast<std::uint8_t>(color.red);
    }
  }
}

void by_definition(const ImageView& source, std::uint8_t* out) {
  if (source.format == PixelFormat::kNv12) {
    by_definition<PixelFormat::kNv12>(source, out);
  } else {
    by_definition<PixelFormat::kUyvy>(source, out);
  }
}

cv::Mat plane(const std::uint8_t* data, int height, int width, int type, std::size_t stride) {
  return cv::Mat(height, width, type, const_cast<std::uint8_t*>(data), stride);
}

void by_opencv(const ImageView& source, std::uint8_t* out) {
  keep_opencv_on_this_thread();
  const int width = source.width, height = source.height;
  cv::Mat to(height, width, CV_8UC3, out);
  if (source.format == PixelFormat::kNv12) {
    cv::cvtColorTwoPlane(plane(source.data, height, width, CV_8UC1, source.row_stride),
                         plane(source.chroma, height / 2, width / 2, CV_8UC2, source.chroma_stride),
                         to, cv::COLOR_YUV2BGR_NV12);
  } else {
    cv::cvtColor(plane(source.data, height, width, CV_8UC2, source.row_stride), to,
                 cv::COLOR_YUV2BGR_UYVY);
  }
}

// Compares the two on noise of this size. OpenCV may hand a size to a platform's own routine, whose
// coefficients have fewer bits (Carotene's have), so the answer belongs to this process.
bool opencv_equals_definition(PixelFormat format, int width, int height) {
  const auto pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  std::vector<std::uint8_t> probe(2 * pixels);
  std::mt19937 noise(1);
  for (std::uint8_t& byte : probe) byte = static_cast<std::uint8_t>(noise() >> 11);
  ImageView view;
  view.data = probe.data();
  view.width = width;
  view.height = height;
  view.format = format;
  view.row_stride = view.least_row_stride();
  view.chroma = probe.data() + pixels;
  view.chroma_stride = static_cast<std::size_t>(width);
  std::vector<std::uint8_t> fast(3 * pixels), definition(3 * pixels);
  by_opencv(view, fast.data());
  by_definition(view, definition.data());
  return fast == definition;
}

bool opencv_is_proven(PixelFormat format, int width, int height) {
  static std::mutex mutex;
  static std::map<std::tuple<PixelFormat, int, int>, bool> verdicts;
  const std::tuple key(format, width, height);
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = verdicts.find(key);
  if (found != verdicts.end()) return found->second;
  return verdicts[key] = opencv_equals_definition(format, width, height);
}

}  // namespace

YuvToBgr::YuvToBgr(PixelFormat format, int width, int height, PixelPath path)
    : opencv_(path == PixelPath::kOpenCv ||
              (path == PixelPath::kAuto && opencv_is_proven(format, width, height))),
      pixels_(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3) {}

ImageView YuvToBgr::operator()(const ImageView& source) {
  if (opencv_) {
    by_opencv(source, pixels_.data());
  } else {
    by_definition(source, pixels_.data());
  }
  return {pixels_.data(), source.width, source.height, static_cast<std::size_t>(source.width) * 3};
}

}  // namespace unina
