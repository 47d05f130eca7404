// The parts of the programs: outputs that appear whole or not at all, percentiles, drawings,
// complete JPEGs, a measurement that fails.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

#include "annotate.h"
#include "atomic_output.h"
#include "jpeg_complete.h"
#include "json_line.h"
#include "overhead.h"
#include "samples.h"
#include "unina/error.h"

namespace {

namespace fs = std::filesystem;

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "unina-programs-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    path = pattern;
  }
  void TearDown() override { fs::remove_all(path); }

  static std::string read(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::ptrdiff_t entries() const {
    return std::distance(fs::directory_iterator(path), fs::directory_iterator());
  }

  fs::path path;
};

TEST_F(Folder, AFileAppearsOnlyWhenItIsCommitted) {
  const std::string out = (path / "out.jsonl").string();
  {
    unina::OutputFile file(out);
    file.write_line("lost");
    EXPECT_FALSE(fs::exists(out));
  }
  EXPECT_EQ(entries(), 0);
  {
    unina::OutputFile file(out);
    file.write_line("kept");
    file.commit();
  }
  EXPECT_EQ(read(out), "kept\n");
  EXPECT_EQ(entries(), 1);
}

TEST_F(Folder, ADirectoryAppearsOnlyWhenItIsCommittedAndOtherFilesStay) {
  const std::string out = (path / "drawn").string();
  const auto write = [&](bool commit, const std::string& text) {
    unina::OutputDirectory directory(out + "/");
    std::ofstream(directory.place("a.txt")) << text;
    if (commit) directory.commit();
  };
  write(false, "lost");
  EXPECT_EQ(entries(), 0);
  write(true, "first");
  std::ofstream(path / "drawn" / "mine.txt") << "mine";
  write(false, "lost");
  EXPECT_EQ(read(path / "drawn" / "a.txt"), "first");
  write(true, "second");
  EXPECT_EQ(read(path / "drawn" / "a.txt"), "second");
  EXPECT_EQ(read(path / "drawn" / "mine.txt"), "mine");
  EXPECT_EQ(entries(), 1);
}

TEST_F(Folder, AJpegWithoutItsEndIsNotComplete) {
  const std::string file = (path / "picture.jpg").string();
  cv::Mat picture(64, 96, CV_8UC3);
  cv::randu(picture, 0, 256);
  for (const int progressive : {0, 1}) {
    ASSERT_TRUE(cv::imwrite(file, picture, {cv::IMWRITE_JPEG_PROGRESSIVE, progressive}));
    const std::string bytes = read(file);
    EXPECT_TRUE(unina::jpeg_is_complete(file));
    for (const std::size_t size :
         {bytes.size() - 1, bytes.size() - 100, bytes.size() / 2, std::size_t{3}}) {
      std::ofstream(file, std::ios::binary) << bytes.substr(0, size);
      EXPECT_FALSE(unina::jpeg_is_complete(file)) << size;
    }
    // An end inside a segment before the picture, as of a thumbnail, is not the picture's.
    const std::string thumbnail("\xFF\xE1\x00\x06\xFF\xD8\xFF\xD9", 8);
    std::ofstream(file, std::ios::binary)
        << bytes.substr(0, 2) << thumbnail << bytes.substr(2, 400);
    EXPECT_FALSE(unina::jpeg_is_complete(file));
    std::ofstream(file, std::ios::binary)
        << bytes.substr(0, 2) << thumbnail << bytes.substr(2) << "after";
    EXPECT_TRUE(unina::jpeg_is_complete(file));
  }
}

TEST(Samples, PercentilesAreOfTheNearestRank) {
  unina::Samples samples;
  EXPECT_EQ(samples.percentile(50), 0);
  for (int i = 100; i >= 1; --i) samples.add(i);
  EXPECT_EQ(samples.percentile(50), 50);
  EXPECT_EQ(samples.percentile(95), 95);
  EXPECT_EQ(samples.percentile(99), 99);
  EXPECT_EQ(samples.percentile(0), 1);
  EXPECT_EQ(samples.percentile(100), 100);
  EXPECT_EQ(samples.mean(), 50.5);
}

// A capturing thread that waits for a picture which never comes would keep it for ever.
TEST(Overhead, AMeasurementThatFailsHalfwayEnds) {
  std::vector<std::uint8_t> pixels(64 * 48 * 3);
  const unina::ImageView picture{pixels.data(), 64, 48, 10};  // rows that are shorter than that
  EXPECT_THROW(unina::measure_overhead(UNINA_SHIPPED_BUNDLE, picture, 1), unina::Error);
}

TEST(JsonLine, FloatsAreShortAndExactAndNamesAreUtf8) {
  const unina::Frame frame{"bad \xff name", {nullptr, 10, 20, 30}};
  const unina::Detections found = {{{0.1f, 1.0f / 3, 2, 1e-7f}, 0.91f, 1}};
  const std::string line =
      unina::json_line({"tiny", "00", "host", {"a", "b"}, 64, 32, {0.3f, 0.005f}, 300}, 7, frame,
                       1.23456, {}, found);
  EXPECT_NE(line.find("\"score\":0.91,"), std::string::npos) << line;
  EXPECT_NE(line.find("\"read\":1.235,"), std::string::npos) << line;
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["detections"][0]["box"][1].get<float>(), 1.0f / 3);
  EXPECT_EQ(parsed["detections"][0]["box"][3].get<float>(), 1e-7f);
  EXPECT_NE(line.find("\"thresholds\":[0.3,0.005],"), std::string::npos) << line;
  EXPECT_EQ(parsed["source"], "bad \xEF\xBF\xBD name");
}

TEST(Annotator, DrawsOnACopyAndAtAnySize) {
  const unina::Annotator annotator(
      {"blue_cone", "yellow_cone", "orange_cone", "large_orange_cone", "dog"});
  for (const auto& [width, height] :
       {std::pair{1280, 720}, std::pair{64, 48}, std::pair{1, 1}, std::pair{4000, 3000}}) {
    const cv::Mat picture(height, width, CV_8UC3, cv::Scalar(90, 90, 90));
    const auto w = static_cast<float>(width), h = static_cast<float>(height);
    unina::Detections found;
    for (int i = 0; i < 5; ++i) {
      const auto at = static_cast<float>(i) / 5;
      found.push_back({{at * w, at * h, at * w + w / 6, h}, 0.9f, i});
    }
    found.push_back({{0, 0, w, h}, 0.5f, 0});
    const cv::Mat drawn = annotator.draw({picture.data, width, height, picture.step}, found);
    EXPECT_EQ(drawn.size(), picture.size());
    EXPECT_GT(cv::norm(drawn, picture), 0);
    EXPECT_EQ(cv::norm(picture, cv::Mat(height, width, CV_8UC3, cv::Scalar(90, 90, 90))), 0);
  }
}

TEST(Annotator, ABoxWearsTheColourOfItsClass) {
  const unina::Annotator annotator({"blue_cone", "yellow_cone"});
  const cv::Mat picture(720, 1280, CV_8UC3, cv::Scalar(90, 90, 90));
  const auto pixel = [&](int class_id) {
    return annotator
        .draw({picture.data, 1280, 720, picture.step}, {{{600, 300, 700, 500}, 0.9f, class_id}})
        .at<cv::Vec3b>(400, 600);
  };
  EXPECT_GT(pixel(0)[0], 200);  // blue
  EXPECT_LT(pixel(0)[2], 100);
  EXPECT_LT(pixel(1)[0], 50);  // yellow: green and red
  EXPECT_GT(pixel(1)[1], 200);
  EXPECT_GT(pixel(1)[2], 200);
}

}  // namespace
