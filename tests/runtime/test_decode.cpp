// The decoder reads every layout in place and gives one answer for all of them.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "unina/decode.h"
#include "unina/error.h"

namespace {

using unina::DataType;
using unina::Decoder;
using unina::DecodeSpec;
using unina::Detection;
using unina::Detections;
using unina::Layout;
using unina::LevelFormat;
using unina::LevelMaps;
using unina::Placement;
using unina::TensorFormat;

struct Tensor {
  TensorFormat format;
  std::vector<std::uint8_t> bytes;
};

// The same random values for the same seed, whatever the layout; what lies between them is 0x7f.
Tensor random_int8(Layout layout, int channels, int height, int width, float scale, unsigned seed,
                   std::size_t alignment) {
  Tensor tensor{
      TensorFormat::packed(DataType::kInt8, layout, channels, height, width, scale, alignment), {}};
  tensor.bytes.assign(tensor.format.bytes, 0x7f);
  std::mt19937 random(seed);
  for (int c = 0; c < channels; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        tensor.bytes[tensor.format.offset(c, y, x)] = static_cast<std::uint8_t>(random() >> 9);
  return tensor;
}

Detections decode_int8(Layout layout, std::size_t alignment) {
  const int classes = 37, reg_max = 9;
  const DecodeSpec spec{reg_max, std::vector<float>(classes, 0.97f), 1000};
  std::vector<LevelFormat> formats;
  std::vector<Tensor> tensors;
  for (const int stride : {8, 16}) {
    const int height = 64 / stride, width = 160 / stride;
    const auto seed = static_cast<unsigned>(stride);
    tensors.push_back(random_int8(layout, classes, height, width, 0.03f, seed, alignment));
    tensors.push_back(random_int8(layout, 4 * reg_max, height, width, 0.05f, seed + 1, alignment));
    formats.push_back({stride, tensors[tensors.size() - 2].format, tensors.back().format});
  }
  const std::vector<LevelMaps> maps = {{tensors[0].bytes.data(), tensors[1].bytes.data()},
                                       {tensors[2].bytes.data(), tensors[3].bytes.data()}};
  return Decoder(spec, formats).decode(maps, Placement::fit(1280, 500, 160, 64));
}

TEST(Decode, EveryInt8LayoutGivesTheSameDetections) {
  const Detections expected = decode_int8(Layout::kLinear, 1);
  ASSERT_GT(expected.size(), 10u);
  for (const Layout layout : {Layout::kLinear, Layout::kChw16, Layout::kChw32})
    for (const std::size_t alignment : {1u, 64u}) {
      const Detections found = decode_int8(layout, alignment);
      ASSERT_EQ(found.size(), expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(found[i].class_id, expected[i].class_id);
        EXPECT_EQ(found[i].score, expected[i].score);
        EXPECT_EQ(std::memcmp(&found[i].box, &expected[i].box, sizeof found[i].box), 0);
      }
    }
}

// One level of float maps, one cell high, stride 8, plain distances.
struct Row {
  explicit Row(std::vector<std::vector<float>> class_logits) : logits(std::move(class_logits)) {
    width = static_cast<int>(logits[0].size());
    for (const auto& channel : logits)
      classes.insert(classes.end(), channel.begin(), channel.end());
    boxes.assign(static_cast<std::size_t>(width) * 4, 0.25f);
  }
  Detections decode(std::vector<float> thresholds, int most = 100) const {
    const int count = static_cast<int>(logits.size());
    const auto class_format =
        TensorFormat::packed(DataType::kFloat32, Layout::kLinear, count, 1, width, 1.0f);
    const auto box_format =
        TensorFormat::packed(DataType::kFloat32, Layout::kLinear, 4, 1, width, 1.0f);
    Decoder decoder({1, std::move(thresholds), most}, {{8, class_format, box_format}});
    return decoder.decode({{classes.data(), boxes.data()}},
                          Placement::fit(width * 8, 8, width * 8, 8));
  }
  std::vector<std::vector<float>> logits;
  std::vector<float> classes, boxes;
  int width;
};

TEST(Decode, OneClassACellTheFirstOfEquals) {
  const Detections found = Row({{1.0f, 2.0f, 0.0f}, {1.0f, 1.0f, 3.0f}}).decode({0.5f, 0.5f});
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].class_id, 1);  // logit 3, cell 2
  EXPECT_EQ(found[1].class_id, 0);  // logit 2, cell 1
  EXPECT_EQ(found[2].class_id, 0);  // logit 1 in both, cell 0
  EXPECT_FLOAT_EQ(found[0].box.x0, 2.5f * 8 - 2);
  EXPECT_FLOAT_EQ(found[0].box.x1, 2.5f * 8 + 2);
}

TEST(Decode, TheBestClassMustReachItsOwnThreshold) {
  const Row row({{2.0f}, {1.0f}});
  EXPECT_EQ(row.decode({0.9f, 0.1f}).size(), 0u);
  EXPECT_EQ(row.decode({0.8f, 0.9f}).size(), 1u);
}

TEST(Decode, TiesKeepTheOrderOfCellsAndTheBestAreKept) {
  const Row row({{1.0f, 5.0f, 1.0f, 5.0f, 1.0f}});
  const Detections found = row.decode({0.0f}, 4);
  ASSERT_EQ(found.size(), 4u);
  const float expected[] = {12, 28, 4, 20};  // centres
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_FLOAT_EQ((found[i].box.x0 + found[i].box.x1) / 2, expected[i]);
  }
}

TEST(Decode, BoxesAreClippedAndEmptyOnesDropped) {
  Row row({{9.0f, 9.0f, 9.0f}});
  row.boxes = {100, 0, -3, 100, 0.1f, 0.5f,
               100, 0, -3, 100, 0.1f, 0.5f};  // only cell 0 has a width
  const Detections found = row.decode({0.5f});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].box.x0, 0.0f);
  EXPECT_EQ(found[0].box.x1, 24.0f);
  EXPECT_EQ(found[0].box.y0, 0.0f);
  EXPECT_EQ(found[0].box.y1, 8.0f);
}

TEST(Decode, ThresholdsZeroAndOneAreTheEnds) {
  const Row row({{-90.0f, 0.0f, 90.0f}});
  EXPECT_EQ(row.decode({0.0f}).size(), 3u);
  EXPECT_EQ(row.decode({1.0f}).size(), 1u);  // in float32, sigmoid(90) is 1
}

TEST(Decode, RefusesTheWrongNumberOfMaps) {
  const auto format = TensorFormat::packed(DataType::kFloat32, Layout::kLinear, 1, 1, 1, 1.0f);
  const auto boxes = TensorFormat::packed(DataType::kFloat32, Layout::kLinear, 4, 1, 1, 1.0f);
  Decoder decoder({1, {0.5f}, 1}, {{8, format, boxes}});
  EXPECT_THROW(decoder.decode({}, Placement::fit(8, 8, 8, 8)), unina::Error);
}

}  // namespace
