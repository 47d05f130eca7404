// The fast path on a CPU is the definition (unina/letterbox_pixel.h), byte for byte, from every
// camera format into every tensor format; and what the definition itself means.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "camera_picture.h"
#include "host/simd_targets.h"
#include "preprocess/letterbox_definition.h"
#include "preprocess/resize.h"
#include "preprocess/yuv_to_bgr.h"
#include "unina/error.h"
#include "unina/letterbox.h"

// After simd_targets.h: the list of targets depends on it.
#include <hwy/highway.h>
#include <hwy/targets.h>

namespace unina {
namespace {

constexpr Layout kEveryLayout[] = {Layout::kLinear, Layout::kHwc4, Layout::kChw16, Layout::kChw32};

std::vector<std::int8_t> by_definition(const ImageView& source, const PixelSpec& pixels,
                                       const TensorFormat& format) {
  std::vector<std::int8_t> tensor(format.bytes, 99);
  LetterboxDefinition(source.width, source.height, pixels, format).write(source, tensor.data());
  return tensor;
}

std::vector<std::int8_t> by_letterbox(const ImageView& source, const PixelSpec& pixels,
                                      const TensorFormat& format) {
  std::vector<std::int8_t> tensor(format.bytes, 99);
  Letterbox(source.width, source.height, pixels, format, source.format)
      .write(source, tensor.data());
  return tensor;
}

TensorFormat input(Layout layout, int width, int height, float scale = 1.0f,
                   std::size_t row_alignment = 1) {
  return TensorFormat::packed(DataType::kInt8, layout, 3, height, width, scale, row_alignment);
}

// The same picture in BGR, its colours pixel by pixel.
template <PixelFormat format>
std::vector<std::uint8_t> bgr_of(const ImageView& source) {
  std::vector<std::uint8_t> out;
  for (int y = 0; y < source.height; ++y)
    for (int x = 0; x < source.width; ++x) {
      const Color color = source_color<format>(source_pixels(source), x, y);
      for (const std::int32_t value : {color.blue, color.green, color.red})
        out.push_back(static_cast<std::uint8_t>(value));
    }
  return out;
}

std::vector<std::uint8_t> bgr_of(const ImageView& source) {
  switch (source.format) {
    case PixelFormat::kBgr:
      return bgr_of<PixelFormat::kBgr>(source);
    case PixelFormat::kRgba:
      return bgr_of<PixelFormat::kRgba>(source);
    case PixelFormat::kNv12:
      return bgr_of<PixelFormat::kNv12>(source);
    case PixelFormat::kUyvy:
      return bgr_of<PixelFormat::kUyvy>(source);
  }
  return {};
}

// --- the definition -----------------------------------------------------------------------------

TEST(Definition, YuvIsBt601InTheLimitedRangeToTheNearestStep) {
  for (int u = 0; u < 256; ++u)
    for (int v = 0; v < 256; ++v)
      for (int y = 0; y < 256; ++y) {
        // ITU-R BT.601-7, 2.5: Kr = 0.299, Kb = 0.114, 219 steps of Y, 224 of U and V.
        const double luma = std::max(y - 16, 0) / 219.0;
        const double pb = (u - 128) / 224.0, pr = (v - 128) / 224.0;
        const double red = luma + 2 * (1 - 0.299) * pr, blue = luma + 2 * (1 - 0.114) * pb;
        const double green = (luma - 0.299 * red - 0.114 * blue) / 0.587;
        const Color color = color_of_yuv(y, u, v);
        ASSERT_NEAR(color.red, 255 * std::clamp(red, 0.0, 1.0), 1.0) << y << " " << u << " " << v;
        ASSERT_NEAR(color.green, 255 * std::clamp(green, 0.0, 1.0), 1.0);
        ASSERT_NEAR(color.blue, 255 * std::clamp(blue, 0.0, 1.0), 1.0);
      }
}

TEST(Definition, GreyYuvIsGrey) {
  for (int y = 0; y < 256; ++y) {
    const Color color = color_of_yuv(y, 128, 128);
    EXPECT_EQ(color.blue, color.green);
    EXPECT_EQ(color.green, color.red);
  }
  EXPECT_EQ(color_of_yuv(16, 128, 128).red, 0);
  EXPECT_EQ(color_of_yuv(235, 128, 128).red, 255);
}

TEST(Definition, PixelsLieWhereTheFormatsSay) {
  const std::uint8_t bgr[] = {1, 2, 3, 4, 5, 6};
  const std::uint8_t rgba[] = {3, 2, 1, 200, 6, 5, 4, 201};
  const std::uint8_t uyvy[] = {90, 100, 240, 150};  // U, Y, V, Y
  const std::uint8_t luma[] = {100, 150, 20, 30}, pairs[] = {90, 240};
  const auto same = [](const Color& a, const Color& b) {
    return a.blue == b.blue && a.green == b.green && a.red == b.red;
  };
  EXPECT_TRUE(same(source_color<PixelFormat::kBgr>({bgr, nullptr, 6, 0}, 1, 0), {4, 5, 6}));
  EXPECT_TRUE(same(source_color<PixelFormat::kRgba>({rgba, nullptr, 8, 0}, 1, 0), {4, 5, 6}));
  EXPECT_TRUE(same(source_color<PixelFormat::kUyvy>({uyvy, nullptr, 4, 0}, 0, 0),
                   color_of_yuv(100, 90, 240)));
  EXPECT_TRUE(same(source_color<PixelFormat::kUyvy>({uyvy, nullptr, 4, 0}, 1, 0),
                   color_of_yuv(150, 90, 240)));
  EXPECT_TRUE(
      same(source_color<PixelFormat::kNv12>({luma, pairs, 2, 2}, 1, 1), color_of_yuv(30, 90, 240)));
}

TEST(Definition, ColourComesBeforeSize) {
  for (const PixelFormat format : kEveryFormat) {
    const CameraPicture picture(format, 70, 46, 5, 6);
    const std::vector<std::uint8_t> bgr = bgr_of(picture.view);
    const TensorFormat tensor = input(Layout::kHwc4, 48, 32);
    EXPECT_EQ(by_definition(picture.view, {}, tensor),
              by_definition({bgr.data(), 70, 46, 70 * 3}, {}, tensor))
        << name_of(format);
  }
}

// --- the fast path ------------------------------------------------------------------------------

class EveryFormat : public testing::TestWithParam<std::tuple<PixelFormat, Layout, ColorOrder>> {};

TEST_P(EveryFormat, TheFastPathIsTheDefinition) {
  const auto [source, layout, color] = GetParam();
  PixelSpec pixels;
  pixels.color = color;
  pixels.letterbox_value = 114;
  const std::pair<int, int> sizes[] = {{320, 180}, {160, 120}, {2, 2}, {126, 250}, {96, 64}};
  for (const auto& [width, height] : sizes)
    for (const std::size_t alignment : {std::size_t{1}, std::size_t{64}})
      for (const float scale : {1.0f, 0.75f}) {
        const CameraPicture picture(source, width, height, 11, 10);
        const TensorFormat format = input(layout, 97, 64, scale, alignment);
        EXPECT_EQ(by_letterbox(picture.view, pixels, format),
                  by_definition(picture.view, pixels, format))
            << width << "x" << height;
      }
}

INSTANTIATE_TEST_SUITE_P(All, EveryFormat,
                         testing::Combine(testing::ValuesIn(kEveryFormat),
                                          testing::ValuesIn(kEveryLayout),
                                          testing::Values(ColorOrder::kRgb, ColorOrder::kBgr)));

TEST(FastPath, IsTheDefinitionAtEverySize) {
  std::mt19937 random(2);
  for (int i = 0; i < 150; ++i) {
    const auto side = [&](int most) { return 1 + static_cast<int>(random() % most); };
    const PixelFormat source = kEveryFormat[random() % 4];
    const bool yuv = source == PixelFormat::kNv12 || source == PixelFormat::kUyvy;
    const int width = yuv ? 2 * side(150) : side(300), height = yuv ? 2 * side(100) : side(200);
    const TensorFormat format = input(kEveryLayout[random() % 4], side(160), side(120));
    const CameraPicture picture(source, width, height, random(), random() % 9);
    ASSERT_EQ(by_letterbox(picture.view, {}, format), by_definition(picture.view, {}, format))
        << width << "x" << height << " " << name_of(source) << " into " << format.width << "x"
        << format.height;
  }
}

TEST(FastPath, IsTheDefinitionOnEverySimdTarget) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    for (const PixelFormat source : {PixelFormat::kBgr, PixelFormat::kRgba})
      for (const Layout layout : kEveryLayout)
        for (const ColorOrder color : {ColorOrder::kRgb, ColorOrder::kBgr}) {
          const CameraPicture picture(source, 111, 20, 9);
          const PixelSpec pixels{color};
          const TensorFormat format = input(layout, 75, 16);
          EXPECT_EQ(by_letterbox(picture.view, pixels, format),
                    by_definition(picture.view, pixels, format))
              << hwy::TargetName(target);
        }
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(FastPath, PixelsForTrainingAreThoseOfTheDevice) {
  for (const PixelFormat source : kEveryFormat) {
    const CameraPicture picture(source, 150, 84, 3, 2);
    const TensorFormat format = input(Layout::kHwc4, 96, 64);
    const std::vector<std::int8_t> device = by_letterbox(picture.view, {}, format);
    std::vector<std::uint8_t> training(96 * 64 * 3);
    letterbox_pixels(picture.view, 64, 96, {}, training.data());
    for (std::size_t i = 0; i < 96 * 64; ++i)
      for (std::size_t c = 0; c < 3; ++c)
        ASSERT_EQ(device[4 * i + c], static_cast<int>(training[3 * i + c]) - 128);
  }
}

// --- OpenCV, taken by itself --------------------------------------------------------------------

TEST(OpenCv, YuvEqualsTheDefinitionForEveryValue) {
  // One picture for each V: its rows are U, its columns Y.
  std::vector<std::uint8_t> bytes(256 * 512);
  ImageView view{bytes.data(), 256, 256, 512, PixelFormat::kUyvy};
  YuvToBgr opencv(view.format, 256, 256, PixelPath::kOpenCv);
  YuvToBgr definition(view.format, 256, 256, PixelPath::kInteger);
  for (int v = 0; v < 256; ++v) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const std::size_t values[] = {i / 512, i % 512 / 2, static_cast<std::size_t>(v), i % 512 / 2};
      bytes[i] = static_cast<std::uint8_t>(values[i % 4]);
    }
    const std::uint8_t* fast = opencv(view).data;
    ASSERT_TRUE(std::equal(fast, fast + 256 * 256 * 3, definition(view).data)) << "V " << v;
  }
}

TEST(OpenCv, Nv12EqualsTheDefinitionWhateverItsStrides) {
  for (const auto& [width, height] : {std::pair{640, 480}, std::pair{2, 2}, std::pair{38, 6}})
    for (const std::size_t gap : {std::size_t{0}, std::size_t{34}}) {
      const CameraPicture picture(PixelFormat::kNv12, width, height, 4, gap);
      YuvToBgr opencv(PixelFormat::kNv12, width, height, PixelPath::kOpenCv);
      const std::uint8_t* fast = opencv(picture.view).data;
      EXPECT_EQ(std::vector<std::uint8_t>(fast, fast + width * height * 3), bgr_of(picture.view));
      YuvToBgr chosen(PixelFormat::kNv12, width, height);
#if defined(__x86_64__)
      EXPECT_TRUE(chosen.uses_opencv()) << "Debian's OpenCV equals the definition on x86-64";
#endif
    }
}

// The most that cv::resize differs from the definition by, on noise.
int furthest(int width, int height, int input_width, int input_height, PixelFormat format,
             unsigned seed) {
  const Placement fit = Placement::fit(width, height, input_width, input_height);
  const CameraPicture picture(format, width, height, seed);
  Resize opencv(width, height, fit.width, fit.height, format, PixelPath::kOpenCv);
  Resize definition(width, height, fit.width, fit.height, format, PixelPath::kInteger);
  const ImageView fast = opencv(picture.view), exact = definition(picture.view);
  int most = 0;
  for (std::size_t i = 0; i < fast.row_stride * static_cast<std::size_t>(fit.height); ++i)
    most = std::max(most, std::abs(fast.data[i] - exact.data[i]));
  return most;
}

// docs/preprocessing.md lists these.
using Camera = std::tuple<std::pair<int, int>, std::pair<int, int>, PixelFormat>;
class ListedSize : public testing::TestWithParam<Camera> {};

TEST_P(ListedSize, OpenCvEqualsTheDefinition) {
  const auto& [camera, network, format] = GetParam();
  EXPECT_EQ(furthest(camera.first, camera.second, network.first, network.second, format, 8), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Cameras, ListedSize,
    testing::Combine(testing::Values(std::pair{1280, 720}, std::pair{1920, 1080},
                                     std::pair{1920, 1200}, std::pair{640, 480},
                                     std::pair{3840, 2160}),
                     testing::Values(std::pair{640, 640}, std::pair{640, 384}),
                     testing::Values(PixelFormat::kBgr, PixelFormat::kRgba)));

TEST(OpenCv, IsWithinOneOfTheDefinitionAtEverySize) {
  std::mt19937 random(6);
  int equal = 0;
  constexpr int kSizes = 300;
  for (int i = 0; i < kSizes; ++i) {
    const auto side = [&](int most) { return 1 + static_cast<int>(random() % most); };
    const int width = side(400), height = side(300), input_width = side(300);
    const int input_height = side(300);
    const PixelFormat format = random() % 2 == 0 ? PixelFormat::kBgr : PixelFormat::kRgba;
    const int most = furthest(width, height, input_width, input_height, format, random());
    ASSERT_LE(most, 1) << width << "x" << height << " into " << input_width << "x" << input_height;
    equal += most == 0 ? 1 : 0;
  }
  std::printf("cv::resize equals the definition at %d of %d random sizes\n", equal, kSizes);
}

// --- what is refused ----------------------------------------------------------------------------

template <typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Preprocess, RefusesPicturesThatTheirFormatCannotHave) {
  const TensorFormat format = input(Layout::kHwc4, 32, 32);
  const auto made = [&](int width, int height, PixelFormat source) {
    return message_of([&] { Letterbox(width, height, {}, format, source); });
  };
  EXPECT_NE(made(7, 8, PixelFormat::kNv12).find("7x8 NV12 picture: two columns share"),
            std::string::npos);
  EXPECT_NE(made(8, 7, PixelFormat::kNv12).find("two rows share"), std::string::npos);
  EXPECT_NE(made(7, 8, PixelFormat::kUyvy).find("the width must be even"), std::string::npos);
  EXPECT_EQ(made(8, 7, PixelFormat::kUyvy), "");
  EXPECT_EQ(made(7, 7, PixelFormat::kRgba), "");

  std::vector<std::int8_t> tensor(format.bytes);
  const CameraPicture nv12(PixelFormat::kNv12, 8, 8, 1);
  Letterbox letterbox(8, 8, {}, format, PixelFormat::kNv12);
  ImageView view = nv12.view;
  view.chroma = nullptr;
  EXPECT_NE(message_of([&] { letterbox.write(view, tensor.data()); }).find("ImageView::chroma"),
            std::string::npos);
  view = nv12.view;
  view.chroma_stride = 7;
  EXPECT_NE(message_of([&] { letterbox.write(view, tensor.data()); }).find("7 bytes a row"),
            std::string::npos);
  const CameraPicture bgr(PixelFormat::kBgr, 8, 8, 1);
  EXPECT_NE(message_of([&] {
              letterbox.write(bgr.view, tensor.data());
            }).find("made for 8x8 NV12 pictures, got 8x8 BGR"),
            std::string::npos);
  EXPECT_FALSE(letterbox.fits(bgr.view));
  EXPECT_TRUE(letterbox.fits(nv12.view));
  for (const PixelFormat source : kEveryFormat) {
    const CameraPicture picture(source, 8, 8, 1);
    ImageView cut = picture.view;
    --cut.row_stride;
    EXPECT_NE(message_of([&] {
                Letterbox(8, 8, {}, format, source).write(cut, tensor.data());
              }).find("shorter than its width"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace unina
