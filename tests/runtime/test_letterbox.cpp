// The pixels that reach the accelerator are those of the integer definition, in every layout and on
// every path.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "preprocess/resize.h"
#include "unina/error.h"
#include "unina/letterbox.h"

namespace {

using unina::Axis;
using unina::BilinearTap;
using unina::ColorOrder;
using unina::DataType;
using unina::ImageView;
using unina::Layout;
using unina::Letterbox;
using unina::PixelFormat;
using unina::PixelPath;
using unina::PixelSpec;
using unina::Placement;
using unina::Resize;
using unina::TensorFormat;

struct Picture {
  Picture(int width, int height, unsigned seed, std::size_t gap = 0) {
    const std::size_t row = static_cast<std::size_t>(width) * 3 + gap;
    bytes.resize(row * static_cast<std::size_t>(height));
    std::mt19937 random(seed);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 13);
    view = {bytes.data(), width, height, row};
  }
  std::vector<std::uint8_t> bytes;
  ImageView view;
};

std::vector<std::uint8_t> packed(const ImageView& image) {
  std::vector<std::uint8_t> out;
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* row = image.data + static_cast<std::size_t>(y) * image.row_stride;
    out.insert(out.end(), row, row + static_cast<std::size_t>(image.width) * 3);
  }
  return out;
}

// bilinear_pixel, one pixel after the other: the definition itself.
std::vector<std::uint8_t> by_definition(const ImageView& source, int width, int height) {
  const std::vector<BilinearTap> x = unina::bilinear_taps(Axis::kX, source.width, width);
  const std::vector<BilinearTap> y = unina::bilinear_taps(Axis::kY, source.height, height);
  std::vector<std::uint8_t> out;
  for (const BilinearTap& row : y)
    for (const BilinearTap& column : x)
      for (int c = 0; c < 3; ++c)
        out.push_back(unina::bilinear_pixel(
            source.data, static_cast<std::int64_t>(source.row_stride), 3, c, column, row));
  return out;
}

using Geometry = std::tuple<int, int, int, int>;  // source width and height, input width and height

class EveryGeometry : public testing::TestWithParam<Geometry> {};

TEST_P(EveryGeometry, BothPathsGiveTheDefinition) {
  const auto [source_width, source_height, input_width, input_height] = GetParam();
  const Placement fit = Placement::fit(source_width, source_height, input_width, input_height);
  const Picture picture(source_width, source_height, 7, 5);
  Resize chosen(source_width, source_height, fit.width, fit.height);
  Resize integer(source_width, source_height, fit.width, fit.height, PixelFormat::kBgr,
                 PixelPath::kInteger);
  const std::vector<std::uint8_t> expected = by_definition(picture.view, fit.width, fit.height);
  EXPECT_EQ(packed(integer(picture.view)), expected);
  EXPECT_EQ(packed(chosen(picture.view)), expected);
  EXPECT_FALSE(integer.uses_opencv());
#if defined(__x86_64__)
  EXPECT_TRUE(chosen.uses_opencv()) << "Debian's OpenCV equals the definition on x86-64";
#endif
}

INSTANTIATE_TEST_SUITE_P(Cameras, EveryGeometry,
                         testing::Combine(testing::Values(1280, 1920, 640, 3840, 1440),
                                          testing::Values(720, 1080, 1200), testing::Values(640),
                                          testing::Values(384, 640)));
INSTANTIATE_TEST_SUITE_P(Odd, EveryGeometry,
                         testing::Values(Geometry{3840, 2160, 640, 384},
                                         Geometry{640, 480, 640, 384}, Geometry{640, 480, 640, 640},
                                         Geometry{641, 479, 640, 384}, Geometry{333, 777, 640, 384},
                                         Geometry{1279, 719, 640, 640}, Geometry{100, 50, 640, 384},
                                         Geometry{1, 1, 640, 384}, Geometry{2, 1, 64, 32},
                                         Geometry{1, 500, 640, 384}, Geometry{500, 1, 640, 384},
                                         Geometry{640, 384, 640, 384},
                                         Geometry{1280, 768, 640, 384}, Geometry{5000, 31, 64, 32},
                                         Geometry{97, 89, 31, 37}));

TEST(BilinearTaps, WeightsSumToOneAndPositionsStayInside) {
  for (const Axis axis : {Axis::kX, Axis::kY})
    for (int source = 1; source < 70; ++source)
      for (int target = 1; target < 70; ++target)
        for (const BilinearTap& tap : unina::bilinear_taps(axis, source, target)) {
          ASSERT_EQ(tap.first_weight + tap.second_weight, unina::kBilinearOne);
          ASSERT_GE(tap.first_weight, 0);
          ASSERT_GE(tap.second_weight, 0);
          ASSERT_TRUE(tap.first >= 0 && tap.first <= tap.second && tap.second < source);
          ASSERT_LE(tap.second - tap.first, 1);
        }
}

TEST(Bilinear, AFlatPictureStaysFlat) {
  for (int value = 0; value < 256; ++value)
    for (int weight = 0; weight <= unina::kBilinearOne; ++weight) {
      const BilinearTap tap{0, 1, unina::kBilinearOne - weight, weight};
      const std::int32_t row = unina::bilinear_along_row(value, value, tap);
      ASSERT_EQ(unina::bilinear_between_rows(row, row, tap.first_weight, tap.second_weight), value);
    }
}

// What stands at (c, y, x) of the input, computed apart from Letterbox.
int expected_value(const std::vector<std::uint8_t>& resized, const Placement& fit,
                   const PixelSpec& spec, float scale, int c, int y, int x) {
  const int row = y - fit.top, column = x - fit.left;
  int pixel = spec.letterbox_value;
  if (row >= 0 && row < fit.height && column >= 0 && column < fit.width) {
    const int channel = spec.color == ColorOrder::kRgb ? 2 - c : c;
    pixel = resized[static_cast<std::size_t>((row * fit.width + column) * 3 + channel)];
  }
  const double real = (static_cast<double>(pixel) - static_cast<double>(spec.offset)) *
                      static_cast<double>(spec.scale);
  return static_cast<int>(std::clamp(std::round(real / static_cast<double>(scale)), -128.0, 127.0));
}

class EveryLayout : public testing::TestWithParam<std::tuple<Layout, int, ColorOrder>> {};

TEST_P(EveryLayout, EveryByteIsWritten) {
  const auto [layout, alignment, color] = GetParam();
  for (const auto& [width, height] : {std::pair{128, 72}, std::pair{40, 90}}) {
    for (const float scale : {1.0f, 0.75f, 2.5f}) {
      PixelSpec spec;
      spec.color = color;
      spec.letterbox_value = 114;
      spec.offset = scale == 1.0f ? 128.0f : 100.0f;
      const auto format = TensorFormat::packed(DataType::kInt8, layout, 3, 48, 61, scale,
                                               static_cast<std::size_t>(alignment));
      const Picture picture(width, height, 3);
      Letterbox letterbox(width, height, spec, format);
      std::vector<std::int8_t> buffer(format.bytes, 77);
      letterbox.write(picture.view, buffer.data());
      const Placement& fit = letterbox.placement();
      const std::vector<std::uint8_t> resized = by_definition(picture.view, fit.width, fit.height);
      const int lanes = layout == Layout::kLinear ? 3 : format.channels_per_pixel();
      for (int y = 0; y < 48; ++y)
        for (int x = 0; x < 61; ++x)
          for (int c = 0; c < lanes; ++c) {
            const int expected = c < 3 ? expected_value(resized, fit, spec, scale, c, y, x) : 0;
            ASSERT_EQ(buffer[format.offset(c, y, x)], expected) << c << " " << y << " " << x;
          }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryLayout,
                         testing::Combine(testing::Values(Layout::kLinear, Layout::kHwc4,
                                                          Layout::kChw16, Layout::kChw32),
                                          testing::Values(1, 64),
                                          testing::Values(ColorOrder::kRgb, ColorOrder::kBgr)));

TEST(Letterbox, DefaultQuantisationLosesNothing) {
  const auto format = TensorFormat::packed(DataType::kInt8, Layout::kLinear, 3, 16, 16, 1.0f);
  std::vector<std::uint8_t> bytes(16 * 16 * 3);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i / 3);
  Letterbox letterbox(16, 16, PixelSpec{}, format);
  std::vector<std::int8_t> buffer(format.bytes);
  letterbox.write({bytes.data(), 16, 16, 48}, buffer.data());
  for (int i = 0; i < 256; ++i) EXPECT_EQ(buffer[static_cast<std::size_t>(i)], i - 128);
}

template <typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const unina::Error& error) {
    return error.what();
  }
  return "";
}

TEST(Letterbox, RefusesWhatItCannotWrite) {
  const auto good = TensorFormat::packed(DataType::kInt8, Layout::kHwc4, 3, 16, 16, 1.0f);
  const auto floats = TensorFormat::packed(DataType::kFloat32, Layout::kLinear, 3, 16, 16, 1.0f);
  const auto grey = TensorFormat::packed(DataType::kInt8, Layout::kLinear, 1, 16, 16, 1.0f);
  EXPECT_NE(message_of([&] { Letterbox(8, 8, {}, floats); }).find("must be int8"),
            std::string::npos);
  EXPECT_NE(message_of([&] { Letterbox(8, 8, {}, grey); }).find("3 channels"), std::string::npos);
  EXPECT_NE(message_of([&] { Letterbox(0, 8, {}, good); }).find("0x8"), std::string::npos);
  Letterbox letterbox(8, 8, {}, good);
  std::vector<std::int8_t> buffer(good.bytes);
  const Picture other(9, 8, 1);
  EXPECT_NE(message_of([&] { letterbox.write(other.view, buffer.data()); }).find("got 9x8"),
            std::string::npos);
  const Picture picture(8, 8, 1);
  ImageView short_rows = picture.view;
  short_rows.row_stride = 23;
  EXPECT_NE(message_of([&] { letterbox.write(short_rows, buffer.data()); }).find("23 bytes a row"),
            std::string::npos);
  EXPECT_NE(message_of([&] { letterbox.write({}, buffer.data()); }).find("empty"),
            std::string::npos);
}

}  // namespace
