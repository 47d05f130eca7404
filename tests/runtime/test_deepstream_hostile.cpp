// DeepStream's parser survives whatever layers it is given, and says in one line what is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "deepstream_frame.h"

namespace {

using unina::test::Answer;
using unina::test::Frame;
using unina::test::kNames;
using unina::test::kParser;
using unina::test::parse;
using unina::test::small_frame;

struct Hostile {
  const char* what;
  std::function<void(Frame&)> change;
  const char* told;
};

class HostileLayers : public testing::TestWithParam<Hostile> {};

TEST_P(HostileLayers, AreRefusedInOneLine) {
  Frame frame = small_frame(3, 4, kNames);
  GetParam().change(frame);
  const Answer answer = parse(frame);
  EXPECT_FALSE(answer.good);
  EXPECT_TRUE(answer.objects.empty());
  EXPECT_EQ(answer.told.find(std::string(kParser) + ": "), 0u) << answer.told;
  EXPECT_NE(answer.told.find(GetParam().told), std::string::npos) << answer.told;
  EXPECT_EQ(std::count(answer.told.begin(), answer.told.end(), '\n'), 1) << answer.told;
  EXPECT_LT(answer.told.size(), 500u);
}

void dims(NvDsInferLayerInfo& layer, unsigned channels, unsigned height, unsigned width) {
  layer.inferDims.d[0] = channels;
  layer.inferDims.d[1] = height;
  layer.inferDims.d[2] = width;
  layer.inferDims.numElements = channels * height * width;
}

constexpr unsigned kHuge = std::numeric_limits<unsigned>::max();

INSTANTIATE_TEST_SUITE_P(
    , HostileLayers,
    testing::Values(
        Hostile{"no layer", [](Frame& f) { f.layers.clear(); }, "0 output layers"},
        Hostile{"a layer missing", [](Frame& f) { f.layers.pop_back(); }, "3 output layers"},
        Hostile{"two of a pair missing",
                [](Frame& f) { f.layers.erase(f.layers.begin() + 1, f.layers.begin() + 3); },
                "no layer of its size beside it"},
        Hostile{"a level twice",
                [](Frame& f) {
                  f.layers[2] = f.layers[0];
                  f.layers[3] = f.layers[1];
                },
                "more than two layers of this size"},
        Hostile{"two class maps", [](Frame& f) { f.layers[1] = f.layers[0]; },
                "not a class map and a box map"},
        Hostile{"two box maps", [](Frame& f) { f.layers[0] = f.layers[1]; },
                "not a class map and a box map"},
        Hostile{"half precision", [](Frame& f) { f.layers[0].dataType = HALF; },
                "'p3_class' is of data type 1"},
        Hostile{"integers", [](Frame& f) { f.layers[3].dataType = INT8; },
                "'p4_box' is of data type 2"},
        Hostile{"no such type",
                [](Frame& f) {
                  const int type = 1 << 20;
                  std::memcpy(&f.layers[3].dataType, &type, sizeof type);
                },
                "data type 1048576"},
        Hostile{"no buffer", [](Frame& f) { f.layers[1].buffer = nullptr; },
                "'p3_box' (16x4x8) has no buffer"},
        Hostile{"two dimensions", [](Frame& f) { f.layers[0].inferDims.numDims = 2; },
                "'p3_class' has 2 dimensions"},
        Hostile{"too many dimensions", [](Frame& f) { f.layers[0].inferDims.numDims = kHuge; },
                "dimensions, expected channels"},
        Hostile{"no channels", [](Frame& f) { dims(f.layers[0], 0, 4, 8); },
                "not the size of a map"},
        Hostile{"huge sides", [](Frame& f) { dims(f.layers[0], kHuge, kHuge, kHuge); },
                "not the size of a map"},
        Hostile{"fewer elements than its sides say",
                [](Frame& f) { f.layers[1].inferDims.numElements = 16; }, "has 16 elements"},
        Hostile{"elements that overflow",
                [](Frame& f) { dims(f.layers[0], 1 << 12, 1 << 12, 1 << 12); }, "has 0 elements"},
        Hostile{"transposed maps",
                [](Frame& f) {
                  dims(f.layers[0], 3, 8, 4);
                  dims(f.layers[1], 16, 8, 4);
                  f.layers.resize(2);
                },
                "does not divide the input of 64x32"},
        Hostile{"bins that differ",
                [](Frame& f) {
                  f.values.emplace_back(8 * 2 * 4);
                  dims(f.layers[3], 8, 2, 4);
                  f.layers[3].buffer = f.values.back().data();
                },
                "needs 4 * reg_max = 16 channels"},
        Hostile{"an input of no size", [](Frame& f) { f.network.width = 0; }, "an input of 0x32"},
        Hostile{"a huge input", [](Frame& f) { f.network.height = kHuge; }, "not a picture's size"},
        Hostile{"another input", [](Frame& f) { f.network = {60, 32, 3}; }, "does not divide"},
        Hostile{"a smaller input", [](Frame& f) { f.network = {4, 2, 3}; }, "does not divide"},
        Hostile{"no classes", [](Frame& f) { f.thresholds({}); }, "0 thresholds"},
        Hostile{"classes without thresholds",
                [](Frame& f) { f.parameters.numClassesConfigured = kHuge; }, "3 thresholds"},
        Hostile{"another number of classes", [](Frame& f) { f.thresholds({0.5f, 0.5f}); },
                "num-detected-classes is 2"},
        Hostile{"a threshold above one", [](Frame& f) { f.thresholds({0.5f, 1.5f, 0.5f}); },
                "threshold 1.5"},
        Hostile{"a threshold that is none",
                [](Frame& f) { f.thresholds({0.5f, std::nanf(""), 0.5f}); }, "threshold"},
        Hostile{"no name",
                [](Frame& f) {
                  f.layers[0].layerName = nullptr;
                  f.layers[0].buffer = nullptr;
                },
                "layer '' (3x4x8) has no buffer"},
        Hostile{"a name of many lines",
                [](Frame& f) {
                  f.names[0] = std::string(5000, '\n');
                  f.connect();
                  f.layers[0].buffer = nullptr;
                },
                "\\x0a"}),
    [](const testing::TestParamInfo<Hostile>& one) {
      std::string name = one.param.what;
      std::replace(name.begin(), name.end(), ' ', '_');
      return name;
    });

}  // namespace
