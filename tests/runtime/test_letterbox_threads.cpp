// Every thread of the letterbox kernel's grid, played on the CPU, writes what the definition says
// and nothing else. That the device runs the same function is test_letterbox_cuda.cpp's to show.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "camera_picture.h"
#include "cuda_preprocess/letterbox_thread.h"
#include "preprocess/letterbox_definition.h"

namespace unina {
namespace {

template <PixelFormat format>
void play_grid(const LetterboxPlan& plan, const SourcePixels& source, std::int8_t* tensor) {
  const Blocks blocks = blocks_of(plan);
  // From the last to the first: threads have no order.
  for (Blocks block = {0, blocks.y - 1}; block.y >= 0; --block.y)
    for (block.x = blocks.x - 1; block.x >= 0; --block.x)
      for (Blocks thread = {0, 0}; thread.y < kBlockHeight; ++thread.y)
        for (thread.x = 0; thread.x < kBlockWidth; ++thread.x)
          letterbox_thread<format>(plan, source, tensor, block, thread);
}

void play_grid(const LetterboxPlan& plan, const ImageView& image, std::int8_t* tensor) {
  const SourcePixels source = source_pixels(image);
  switch (image.format) {
    case PixelFormat::kBgr:
      return play_grid<PixelFormat::kBgr>(plan, source, tensor);
    case PixelFormat::kRgba:
      return play_grid<PixelFormat::kRgba>(plan, source, tensor);
    case PixelFormat::kNv12:
      return play_grid<PixelFormat::kNv12>(plan, source, tensor);
    case PixelFormat::kUyvy:
      return play_grid<PixelFormat::kUyvy>(plan, source, tensor);
  }
}

using Case = std::tuple<PixelFormat, Layout>;
class EveryThread : public testing::TestWithParam<Case> {};

TEST_P(EveryThread, WritesTheDefinition) {
  const auto [source, layout] = GetParam();
  const std::pair<int, int> inputs[] = {{64, 64}, {160, 96}, {31, 9}, {33, 7}, {1, 1}};
  for (const auto& [width, height] : inputs)
    for (const std::size_t alignment : {std::size_t{1}, std::size_t{64}}) {
      const TensorFormat format =
          TensorFormat::packed(DataType::kInt8, layout, 3, height, width, 1.0f, alignment);
      const CameraPicture picture(source, 178, 100, 21, 4);
      const LetterboxDefinition definition(178, 100, {}, format);
      std::vector<std::int8_t> expected(format.bytes, 55), played(format.bytes, 55);
      definition.write(picture.view, expected.data());
      play_grid(definition.plan(), picture.view, played.data());
      EXPECT_EQ(played, expected) << width << "x" << height;
    }
}

INSTANTIATE_TEST_SUITE_P(All, EveryThread,
                         testing::Combine(testing::ValuesIn(kEveryFormat),
                                          testing::Values(Layout::kLinear, Layout::kHwc4,
                                                          Layout::kChw16, Layout::kChw32)));

TEST(LetterboxBlocks, CoverTheInputAndNoMoreThanOneBlockBeyond) {
  LetterboxPlan plan{};
  for (int side = 1; side < 200; ++side) {
    plan.input_width = plan.input_height = side;
    const Blocks blocks = blocks_of(plan);
    EXPECT_GE(blocks.x * kBlockWidth, side);
    EXPECT_LT((blocks.x - 1) * kBlockWidth, side);
    EXPECT_GE(blocks.y * kBlockHeight, side);
    EXPECT_LT((blocks.y - 1) * kBlockHeight, side);
  }
}

}  // namespace
}  // namespace unina
