#include "preprocess/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <opencv2/imgproc.hpp>
#include <random>

#include "preprocess/opencv_threads.h"

namespace unina {
namespace {

int channels_of(PixelFormat format) { return format == PixelFormat::kRgba ? 4 : 3; }

void opencv_resize(const ImageView& source, int width, int height, std::uint8_t* pixels) {
  keep_opencv_on_this_thread();
  const int type = CV_8UC(channels_of(source.format));
  const cv::Mat from(source.height, source.width, type, const_cast<std::uint8_t*>(source.data),
                     source.row_stride);
  cv::Mat to(height, width, type, pixels);
  cv::resize(from, to, to.size(), 0, 0, cv::INTER_LINEAR);
}

// Compares OpenCV with the definition on noise and on noise of black and white, which together read
// every weight of this geometry with values that show a difference of one. OpenCV may hand a size
// to a platform's own routine (IPP, Carotene), so the answer belongs to this process and is found
// here.
bool opencv_equals_definition(int source_width, int source_height, int width, int height,
                              PixelFormat format) {
  const auto channels = static_cast<std::size_t>(channels_of(format));
  const std::size_t row = static_cast<std::size_t>(source_width) * channels;
  std::vector<std::uint8_t> probe(row * static_cast<std::size_t>(source_height) + 8);
  const ImageView view{probe.data(), source_width, source_height, row, format};
  std::vector<std::uint8_t> fast(static_cast<std::size_t>(width) * height * channels);
  Resize definition(source_width, source_height, width, height, format, PixelPath::kInteger);
  std::mt19937_64 noise(1);
  for (const bool extreme : {false, true}) {
    for (std::size_t i = 0; i + 8 <= probe.size(); i += 8) {
      std::uint64_t eight = noise();
      if (extreme) eight = (eight & 0x0101010101010101u) * 0xFF;
      std::memcpy(probe.data() + i, &eight, 8);
    }
    opencv_resize(view, width, height, fast.data());
    if (std::memcmp(fast.data(), definition(view).data, fast.size()) != 0) return false;
  }
  return true;
}

bool opencv_is_proven(int source_width, int source_height, int width, int height,
                      PixelFormat format) {
  static std::mutex mutex;
  static std::map<std::array<int, 5>, bool> verdicts;
  const std::array<int, 5> geometry = {source_width, source_height, width, height,
                                       channels_of(format)};
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = verdicts.find(geometry);
  if (found != verdicts.end()) return found->second;
  return verdicts[geometry] =
             opencv_equals_definition(source_width, source_height, width, height, format);
}

}  // namespace

std::vector<BilinearTap> bilinear_taps(Axis axis, int source, int target) {
  const double scale = 1.0 / (static_cast<double>(target) / source);
  std::vector<BilinearTap> taps(static_cast<std::size_t>(target));
  for (int i = 0; i < target; ++i) {
    float fraction = static_cast<float>((i + 0.5) * scale - 0.5);
    int first = static_cast<int>(std::floor(fraction));
    fraction -= static_cast<float>(first);
    if (axis == Axis::kX && (first < 0 || first >= source - 1)) fraction = 0.0f;
    taps[static_cast<std::size_t>(i)] = {
        std::clamp(first, 0, source - 1), std::clamp(first + 1, 0, source - 1),
        static_cast<std::int32_t>(std::lrint((1.0f - fraction) * kBilinearOne)),
        static_cast<std::int32_t>(std::lrint(fraction * kBilinearOne))};
  }
  return taps;
}

Resize::Resize(int source_width, int source_height, int width, int height, PixelFormat format,
               PixelPath path)
    : source_width_(source_width),
      source_height_(source_height),
      width_(width),
      height_(height),
      channels_(channels_of(format)),
      format_(format),
      pixels_(static_cast<std::size_t>(width) * height * channels_) {
  opencv_ = path == PixelPath::kOpenCv ||
            (path == PixelPath::kAuto &&
             opencv_is_proven(source_width, source_height, width, height, format));
  if (opencv_) return;
  x_ = bilinear_taps(Axis::kX, source_width, width);
  y_ = bilinear_taps(Axis::kY, source_height, height);
  rows_.resize(2 * static_cast<std::size_t>(width) * channels_);
}

ImageView Resize::operator()(const ImageView& source) {
  if (opencv_) {
    opencv_resize(source, width_, height_, pixels_.data());
  } else {
    integer_rows(source);
  }
  return {pixels_.data(), width_, height_, static_cast<std::size_t>(width_) * channels_, format_};
}

// bilinear_pixel for all pixels, with every source row interpolated along x only once.
void Resize::integer_rows(const ImageView& source) {
  const std::size_t row = static_cast<std::size_t>(width_) * channels_;
  std::array<int, 2> held = {-1, -1};  // the source rows in rows_, the even one and the odd one
  const auto along_row = [&](int y) {
    const int slot = y & 1;
    std::int32_t* out = rows_.data() + static_cast<std::size_t>(slot) * row;
    if (held[static_cast<std::size_t>(slot)] == y) return out;
    held[static_cast<std::size_t>(slot)] = y;
    const std::uint8_t* in = source.data + static_cast<std::size_t>(y) * source.row_stride;
    for (int x = 0; x < width_; ++x) {
      const BilinearTap& tap = x_[static_cast<std::size_t>(x)];
      for (int c = 0; c < channels_; ++c) {
        out[x * channels_ + c] =
            bilinear_along_row(in[tap.first * channels_ + c], in[tap.second * channels_ + c], tap);
      }
    }
    return out;
  };
  for (int y = 0; y < height_; ++y) {
    const BilinearTap& tap = y_[static_cast<std::size_t>(y)];
    const std::int32_t* first = along_row(tap.first);
    const std::int32_t* second =
        along_row(tap.second);  // a neighbour: the other slot, or the same row
    std::uint8_t* out = pixels_.data() + static_cast<std::size_t>(y) * row;
    for (std::size_t i = 0; i < row; ++i) {
      out[i] = bilinear_between_rows(first[i], second[i], tap.first_weight, tap.second_weight);
    }
  }
}

}  // namespace unina
