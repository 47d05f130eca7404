// DeepStream's parser gives the boxes of our own decoder.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "deepstream_frame.h"
#include "exported_functions.h"
#include "unina/detector.h"

namespace {

using unina::test::Answer;
using unina::test::Frame;
using unina::test::kNames;
using unina::test::kParser;
using unina::test::parse;
using unina::test::parser;
using unina::test::small_frame;

// The decoder of unina-detector on the same maps; boxes in input pixels.
unina::Detections decoded(const unina::DecodeSpec& spec,
                          const std::vector<unina::LevelFormat>& formats,
                          const std::vector<unina::LevelMaps>& maps, int width, int height) {
  return unina::Decoder(spec, formats).decode(maps, {0, 0, width, height, width, height});
}

void expect_equal(const std::vector<NvDsInferObjectDetectionInfo>& objects,
                  const unina::Detections& wanted) {
  ASSERT_EQ(objects.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const unina::Box& box = wanted[i].box;
    EXPECT_EQ(objects[i].classId, static_cast<unsigned>(wanted[i].class_id)) << i;
    EXPECT_EQ(objects[i].detectionConfidence, wanted[i].score) << i;
    EXPECT_EQ(objects[i].left, box.x0) << i;
    EXPECT_EQ(objects[i].top, box.y0) << i;
    EXPECT_EQ(objects[i].width, box.x1 - box.x0) << i;
    EXPECT_EQ(objects[i].height, box.y1 - box.y0) << i;
  }
}

// The shipped bundle on the host engine, and its maps as TensorRT gives them by default: FP32, CHW.
class Shipped : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    unina::NetworkOptions options;
    options.accelerator = "host";
    network_ = new unina::Network(UNINA_SHIPPED_BUNDLE, options);
  }
  static void TearDownTestSuite() { delete network_; }

  static Frame frame_of(const cv::Mat& picture) {
    network_->run({picture.data, picture.cols, picture.rows, picture.step[0]});
    const unina::Manifest& manifest = network_->manifest();
    Frame frame;
    frame.network = {static_cast<unsigned>(manifest.input_width),
                     static_cast<unsigned>(manifest.input_height), 3};
    frame.thresholds(manifest.thresholds);
    // In an order of its own: an engine promises none.
    std::vector<unina::TensorView> views = network_->outputs();
    std::rotate(views.begin(), views.begin() + 3, views.end());
    for (const unina::TensorView& view : views) {
      frame.add(view.name, static_cast<unsigned>(view.format.channels),
                static_cast<unsigned>(view.format.height),
                static_cast<unsigned>(view.format.width));
      unina::read_real(view, frame.values.back().data());
    }
    frame.connect();
    return frame;
  }

  static unina::DecodeSpec spec() {
    const unina::Manifest& manifest = network_->manifest();
    return {manifest.reg_max, manifest.thresholds, manifest.max_detections};
  }

  // From the float maps where `frame` is given, else from the engine's own int8.
  static unina::Detections by_runtime(const Frame* frame) {
    const unina::Manifest& manifest = network_->manifest();
    std::vector<unina::LevelFormat> formats;
    std::vector<unina::LevelMaps> maps;
    const auto one = [&](const std::string& name, const void*& data) {
      const unina::TensorView& view = network_->output(name);
      data = view.data;
      if (frame == nullptr) return view.format;
      const auto at = std::find(frame->names.begin(), frame->names.end(), name);
      data = frame->values[static_cast<std::size_t>(at - frame->names.begin())].data();
      return unina::TensorFormat::packed(unina::DataType::kFloat32, unina::Layout::kLinear,
                                         view.format.channels, view.format.height,
                                         view.format.width, 1.0f);
    };
    for (const unina::ManifestLevel& level : manifest.levels) {
      unina::LevelMaps pair;
      unina::LevelFormat format{level.stride, {}, {}};
      format.classes = one(level.class_map, pair.classes);
      format.boxes = one(level.box_map, pair.boxes);
      formats.push_back(format);
      maps.push_back(pair);
    }
    return decoded(spec(), formats, maps, manifest.input_width, manifest.input_height);
  }

  static std::vector<cv::Mat> pictures() {
    const cv::Mat whole = cv::imread(std::string(UNINA_SHIPPED_BUNDLE) + "/selftest.png");
    cv::Mat mirrored, small, dark;
    cv::flip(whole, mirrored, 1);
    cv::resize(whole, small, {}, 0.6, 0.6, cv::INTER_AREA);
    whole.convertTo(dark, -1, 0.6);
    return {whole, mirrored, small, dark};
  }

  static unina::Network* network_;
};
unina::Network* Shipped::network_ = nullptr;

TEST_F(Shipped, EveryBoxIsThatOfTheRuntimesDecoderToTheLastBit) {
  for (const cv::Mat& picture : pictures()) {
    const Frame frame = frame_of(picture);
    const Answer answer = parse(frame);
    ASSERT_TRUE(answer.good) << answer.told;
    EXPECT_EQ(answer.told, "");
    EXPECT_GE(answer.objects.size(), 3u);
    expect_equal(answer.objects, by_runtime(&frame));
  }
}

// The detector reads the engine's int8 in place, with tables; floats round elsewhere in the boxes.
TEST_F(Shipped, EveryBoxIsTheDetectorsOwnWithinAThousandthOfAPixel) {
  for (const cv::Mat& picture : pictures()) {
    const Answer answer = parse(frame_of(picture));
    const unina::Detections wanted = by_runtime(nullptr);
    ASSERT_EQ(answer.objects.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const NvDsInferObjectDetectionInfo& object = answer.objects[i];
      EXPECT_EQ(object.classId, static_cast<unsigned>(wanted[i].class_id));
      EXPECT_EQ(object.detectionConfidence, wanted[i].score);
      EXPECT_NEAR(object.left, wanted[i].box.x0, 1e-3);
      EXPECT_NEAR(object.top, wanted[i].box.y0, 1e-3);
      EXPECT_NEAR(object.left + object.width, wanted[i].box.x1, 1e-3);
      EXPECT_NEAR(object.top + object.height, wanted[i].box.y1, 1e-3);
    }
  }
}

TEST_F(Shipped, AClassIsHeldToItsOwnThreshold) {
  Frame frame = frame_of(pictures().front());
  const std::vector<NvDsInferObjectDetectionInfo> all = parse(frame).objects;
  const unsigned most = all.front().classId;
  std::vector<float> thresholds = network_->manifest().thresholds;
  thresholds[most] = 1.0f;
  frame.thresholds(thresholds);
  const Answer fewer = parse(frame);
  const auto others = std::count_if(all.begin(), all.end(),
                                    [&](const auto& object) { return object.classId != most; });
  EXPECT_EQ(fewer.objects.size(), static_cast<std::size_t>(others));
  EXPECT_LT(fewer.objects.size(), all.size());
}

TEST(Parser, OfEqualScoresTheFinestLevelsComesFirst) {
  Frame frame = small_frame(3, 4, kNames);
  std::replace(frame.values[2].begin(), frame.values[2].end(), 3.0f, 2.0f);
  for (int i = 0; i < 4; ++i) {
    std::rotate(frame.layers.begin(), frame.layers.begin() + 1, frame.layers.end());
    const Answer answer = parse(frame);
    ASSERT_EQ(answer.objects.size(), 2u) << answer.told;
    EXPECT_EQ(answer.objects[0].detectionConfidence, answer.objects[1].detectionConfidence);
    EXPECT_LT(answer.objects[0].width, answer.objects[1].width);
  }
}

TEST(Parser, PairsLayersBySizeWhateverTheirOrderAndNames) {
  const Frame usual = small_frame(3, 4, kNames);
  const Answer wanted = parse(usual);
  ASSERT_TRUE(wanted.good) << wanted.told;
  ASSERT_EQ(wanted.objects.size(), 2u);
  EXPECT_EQ(wanted.objects[0].classId, 1u);  // the coarse level's score is the higher one
  Frame other = small_frame(3, 4, {"/head/Conv_3", "/head/Conv_7", "a", "b"});
  for (int i = 0; i < 24; ++i) {
    std::next_permutation(
        other.layers.begin(), other.layers.end(),
        [](const auto& a, const auto& b) { return a.bindingIndex < b.bindingIndex; });
    const Answer answer = parse(other);
    ASSERT_TRUE(answer.good) << answer.told;
    ASSERT_EQ(answer.objects.size(), 2u);
    for (std::size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(answer.objects[k].classId, wanted.objects[k].classId);
      EXPECT_EQ(answer.objects[k].left, wanted.objects[k].left);
      EXPECT_EQ(answer.objects[k].height, wanted.objects[k].height);
    }
  }
}

// Four classes and plain distances: both maps of a level have four channels.
TEST(Parser, NamesTellTheMapsApartWhereSizesDoNot) {
  Frame frame = small_frame(4, 1, kNames);
  const Answer wanted = parse(frame);
  ASSERT_TRUE(wanted.good) << wanted.told;
  ASSERT_EQ(wanted.objects.size(), 2u);
  EXPECT_EQ(wanted.objects[1].width, 2 * 0.5f * 8);
  std::swap(frame.layers[0], frame.layers[1]);
  const Answer swapped = parse(frame);
  ASSERT_TRUE(swapped.good) << swapped.told;
  EXPECT_EQ(swapped.objects[1].width, wanted.objects[1].width);
  const Answer nameless = parse(small_frame(4, 1, {"a", "b", "c", "d"}));
  EXPECT_FALSE(nameless.good);
  EXPECT_NE(nameless.told.find("end in _class and _box"), std::string::npos) << nameless.told;
}

TEST(Parser, AddsToTheListAndLeavesItAloneWhenItFails) {
  Frame frame = small_frame(3, 4, kNames);
  std::vector<NvDsInferObjectDetectionInfo> objects(1);
  objects[0].classId = 77;
  EXPECT_TRUE(parser()(frame.layers, frame.network, frame.parameters, objects));
  ASSERT_EQ(objects.size(), 3u);
  EXPECT_EQ(objects[0].classId, 77u);
  frame.layers.back().buffer = nullptr;
  testing::internal::CaptureStderr();
  EXPECT_FALSE(parser()(frame.layers, frame.network, frame.parameters, objects));
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(objects.size(), 3u);
}

TEST(Parser, NumbersThatAreNoneFindNothing) {
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
    Frame frame = small_frame(3, 4, kNames);
    for (const std::size_t boxes : {1, 3}) {
      std::fill(frame.values[boxes].begin(), frame.values[boxes].end(), value);
    }
    const Answer answer = parse(frame);
    EXPECT_TRUE(answer.good) << answer.told;
    EXPECT_EQ(answer.objects.size(), 0u) << value;
  }
}

TEST(Parser, ExportsItsOneFunctionAndHidesTheRestOfOurs) {
  const std::string library = UNINA_DEEPSTREAM_PARSER;
  EXPECT_EQ(unina::test::exported_functions(library.c_str(), "NvDs"),
            std::set<std::string>{kParser});
  for (const char* ours : {"_ZN5unina", "_ZNK5unina", "_ZTVN5unina"}) {
    EXPECT_EQ(unina::test::exported_functions(library.c_str(), ours), std::set<std::string>{});
  }
}

}  // namespace
