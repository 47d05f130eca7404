// The plugin's kernels find what the runtime's decoder finds, bit for bit, picture by picture.
// Their threads are played by the CPU (played_launch.cpp) in every build; test_tensorrt_plugin.py
// also compiles this file with nvcc, for its launches and for a GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "decode_launch.h"
#include "gpu_memory.h"
#include "random_maps.h"

namespace unina {
namespace {

using plugin::DecodePlan;
using plugin::Found;

#ifdef UNINA_TEST_GPU
// expf() of a GPU is within 2 units in the last place (CUDA C++ Programming Guide, "Mathematical
// Functions"); a sum of 16 bins and a quotient multiply that by less than ten.
constexpr float kRelative = 5e-6f;
#else
constexpr float kRelative = 0;
#endif

void expect_equal(float found, float expected, float range) {
  if (kRelative == 0) {
    EXPECT_EQ(std::memcmp(&found, &expected, sizeof found), 0) << found << " " << expected;
  } else {
    EXPECT_NEAR(found, expected, kRelative * range);
  }
}

DecodePlan plan_for(const RandomMaps& maps, const std::vector<float>& thresholds, float nms_iou) {
  DecodePlan plan{};
  std::copy(thresholds.begin(), thresholds.end(), plan.thresholds);
  plan.least_logit = -100.0f;
  plan.nms_iou = nms_iou;
  plan.level_count = static_cast<int>(maps.strides.size());
  plan.class_count = maps.classes;
  plan.reg_max = maps.reg_max;
  plan.pictures = maps.pictures;
  plan.input_width = maps.width;
  plan.input_height = maps.height;
  for (std::size_t i = 0; i < maps.strides.size(); ++i) {
    const int stride = maps.strides[i], height = maps.height / stride, width = maps.width / stride;
    plan.levels[i] = {nullptr, nullptr, height, width, stride, plan.cells};
    plan.cells += height * width;
  }
  return plan;
}

// What the kernels found: of every picture the detections, after a look at what lies behind them.
std::vector<Detections> decode(const RandomMaps& maps, const std::vector<float>& thresholds,
                               int most, float nms_iou = 1.0f) {
  DecodePlan plan = plan_for(maps, thresholds, nms_iou);
  std::vector<std::unique_ptr<GpuMemory>> held;
  for (std::size_t i = 0; i < maps.strides.size(); ++i) {
    for (std::size_t which : {2 * i, 2 * i + 1}) {
      held.push_back(std::make_unique<GpuMemory>(maps.maps[which]));
    }
    plan.levels[i].classes = held[2 * i]->get<float>();
    plan.levels[i].boxes = held[2 * i + 1]->get<float>();
  }
  constexpr int kJunk = 0x55;
  const std::size_t bytes = plugin::workspace_bytes(plan), guard = 4096;
  const auto slots = static_cast<std::size_t>(maps.pictures) * static_cast<std::size_t>(most);
  const GpuMemory workspace(bytes + guard, kJunk);
  const GpuMemory counts(4 * static_cast<std::size_t>(maps.pictures), kJunk);
  const GpuMemory boxes(16 * slots, kJunk), scores(4 * slots, kJunk), classes(4 * slots, kJunk);
  const Found found = {most, counts.get<int>(), boxes.get<float>(), scores.get<float>(),
                       classes.get<int>()};
  const char* refused = plugin::launch_decode(plan, found, workspace.get<void>(), nullptr);
  EXPECT_EQ(refused, nullptr) << refused;
  const auto after = workspace.read<unsigned char>();
  EXPECT_TRUE(std::all_of(after.end() - guard, after.end(), [](int one) { return one == kJunk; }))
      << "written behind the workspace";

  const auto count = counts.read<int>();
  const auto box = boxes.read<float>(), score = scores.read<float>();
  const auto class_id = classes.read<int>();
  std::vector<Detections> all(static_cast<std::size_t>(maps.pictures));
  for (std::size_t i = 0; i < slots; ++i) {
    const std::size_t picture = i / static_cast<std::size_t>(most);
    if (static_cast<int>(i % static_cast<std::size_t>(most)) < count[picture]) {
      const Box one = {box[4 * i], box[4 * i + 1], box[4 * i + 2], box[4 * i + 3]};
      all[picture].push_back({one, score[i], class_id[i]});
    } else {
      EXPECT_EQ(class_id[i], -1);
      EXPECT_EQ(score[i], 0.0f);
      for (std::size_t side = 0; side < 4; ++side) EXPECT_EQ(box[4 * i + side], 0.0f);
    }
  }
  return all;
}

void expect_same(const Detections& found, const Detections& expected, const RandomMaps& maps) {
  ASSERT_EQ(found.size(), expected.size());
  const auto range = static_cast<float>(maps.width + maps.height);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].class_id, expected[i].class_id) << i;
    expect_equal(found[i].score, expected[i].score, 1);
    expect_equal(found[i].box.x0, expected[i].box.x0, range);
    expect_equal(found[i].box.y0, expected[i].box.y0, range);
    expect_equal(found[i].box.x1, expected[i].box.x1, range);
    expect_equal(found[i].box.y1, expected[i].box.y1, range);
  }
}

using Case = std::tuple<int, int, int>;  // classes, reg_max, max_detections
class DecodeKernels : public testing::TestWithParam<Case> {};

TEST_P(DecodeKernels, FindWhatTheDecoderFinds) {
  const auto [classes, reg_max, most] = GetParam();
  std::size_t total = 0;
  for (unsigned seed = 0; seed < 4; ++seed) {
    const RandomMaps maps({4, 8, 16}, 3, classes, reg_max, seed);
    std::mt19937 random(seed);
    std::vector<float> thresholds;
    for (int c = 0; c < classes; ++c) {
      // Between two scores of the grid, never on one.
      const int step = std::uniform_int_distribution<int>(-30, 20)(random);
      const float logit = 0.125f * static_cast<float>(step) + 0.0625f;
      thresholds.push_back(1.0f / (1.0f + std::exp(-logit)));
    }
    const std::vector<Detections> found = decode(maps, thresholds, most);
    for (int picture = 0; picture < maps.pictures; ++picture) {
      const Detections expected = maps.expected(picture, thresholds, most);
      expect_same(found[static_cast<std::size_t>(picture)], expected, maps);
      total += expected.size();
    }
  }
  EXPECT_GT(total, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, DecodeKernels,
                         testing::Combine(testing::Values(1, 4, 80), testing::Values(1, 2, 16),
                                          testing::Values(1, 7, 300, 2000)));

TEST(DecodeKernels, ThresholdsZeroAndOneAreTheEnds) {
  const RandomMaps maps({8}, 2, 2, 1, 5);
  for (const float threshold : {0.0f, 1.0f}) {
    const std::vector<float> thresholds(2, threshold);
    const auto found = decode(maps, thresholds, 100);
    for (int picture = 0; picture < 2; ++picture) {
      expect_same(found[static_cast<std::size_t>(picture)], maps.expected(picture, thresholds, 100),
                  maps);
    }
  }
}

TEST(DecodeKernels, EveryCellHasAThread) {
  for (const int cells : {1, 255, 256, 257, 513}) {
    RandomMaps maps({8}, 1, 1, 1, 1, 1, cells);
    maps.maps[0].back() = 9;  // the last cell is the best
    for (int side = 1; side <= 4; ++side) {
      maps.maps[1][static_cast<std::size_t>(side * cells - 1)] = 0.5f;
    }
    const std::vector<float> thresholds(1, 0.01f);
    const Detections expected = maps.expected(0, thresholds, cells);
    ASSERT_EQ(expected[0].box.x1, static_cast<float>(8 * cells));
    expect_same(decode(maps, thresholds, cells)[0], expected, maps);
    expect_same(decode(maps, thresholds, cells + 1)[0], expected, maps);
  }
}

double overlap(const Box& a, const Box& b) {
  const auto area = [](const Box& box) {
    return (double{box.x1} - box.x0) * (double{box.y1} - box.y0);
  };
  const double width = double{std::min(a.x1, b.x1)} - std::max(a.x0, b.x0);
  const double height = double{std::min(a.y1, b.y1)} - std::max(a.y0, b.y0);
  const double shared = width > 0 && height > 0 ? width * height : 0;
  return shared / (area(a) + area(b) - shared);
}

// NMS as it is told: the best box stays, and whatever of its class overlaps it by more is dropped.
Detections suppressed(const Detections& sorted, double iou, std::size_t most) {
  Detections kept;
  for (const Detection& one : sorted) {
    const bool drop = std::any_of(kept.begin(), kept.end(), [&](const Detection& better) {
      return better.class_id == one.class_id && overlap(better.box, one.box) > iou;
    });
    if (!drop && kept.size() < most) kept.push_back(one);
  }
  return kept;
}

TEST(DecodeKernels, NmsKeepsTheBestOfThoseOfAClassThatOverlap) {
  for (const float iou : {0.0f, 0.3f, 0.6f})
    for (const int most : {3, 300}) {
      const RandomMaps maps({4, 8, 16}, 2, 3, 1, 9);
      const std::vector<float> thresholds(3, 0.05f);
      const auto found = decode(maps, thresholds, most, iou);
      for (int picture = 0; picture < maps.pictures; ++picture) {
        const Detections all = maps.expected(picture, thresholds, plugin::kNmsCandidates);
        const Detections expected = suppressed(all, iou, static_cast<std::size_t>(most));
        ASSERT_LT(expected.size(), all.size());
        expect_same(found[static_cast<std::size_t>(picture)], expected, maps);
      }
    }
}

TEST(DecodeKernels, NmsLooksAtTheBestCandidatesOnly) {
  const RandomMaps maps({1, 32}, 1, 1, 1, 3);  // 64x160 cells of stride 1
  const std::vector<float> thresholds(1, 0.0f);
  const Detections all = maps.expected(0, thresholds, 20000);
  ASSERT_GT(all.size(), static_cast<std::size_t>(plugin::kNmsCandidates));
  const Detections best(all.begin(), all.begin() + plugin::kNmsCandidates);
  expect_same(decode(maps, thresholds, 2000, 0.5f)[0], suppressed(best, 0.5, 2000), maps);
}

}  // namespace
}  // namespace unina
