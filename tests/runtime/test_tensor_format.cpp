// The four memory formats place every element where NVIDIA's documentation says.
#include <gtest/gtest.h>

#include <set>

#include "unina/tensor.h"

namespace {

using unina::DataType;
using unina::Layout;
using unina::TensorFormat;

TEST(TensorFormat, Hwc4RowsAreAlignedTo64Bytes) {
  const auto format = TensorFormat::packed(DataType::kInt8, Layout::kHwc4, 3, 10, 17, 1.0f, 64);
  EXPECT_EQ(format.row_stride, 128u);
  EXPECT_EQ(format.offset(2, 1, 3), 128u + 3u * 4u + 2u);
}

TEST(TensorFormat, Chw32SplitsChannelsIntoBlocks) {
  const auto format = TensorFormat::packed(DataType::kInt8, Layout::kChw32, 40, 5, 7, 1.0f);
  EXPECT_EQ(format.bytes, 2u * 5u * 7u * 32u);
  EXPECT_EQ(format.offset(33, 2, 3), 5u * 7u * 32u + (2u * 7u + 3u) * 32u + 1u);
}

TEST(TensorFormat, NoTwoElementsShareAByteAndAllLieInside) {
  for (const Layout layout : {Layout::kLinear, Layout::kHwc4, Layout::kChw16, Layout::kChw32}) {
    const int channels = layout == Layout::kHwc4 ? 3 : 37;
    const auto format = TensorFormat::packed(DataType::kFloat16, layout, channels, 3, 5, 1.0f, 64);
    std::set<std::size_t> seen;
    for (int c = 0; c < channels; ++c)
      for (int y = 0; y < 3; ++y)
        for (int x = 0; x < 5; ++x) {
          const std::size_t at = format.offset(c, y, x);
          EXPECT_LE(at + 2, format.bytes);
          EXPECT_TRUE(seen.insert(at).second);
        }
  }
}

}  // namespace
