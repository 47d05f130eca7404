// A manifest is understood or refused by one line; what is read from a bundle is what was verified.
#include "unina/bundle.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "printable.h"
#include "sha256.h"
#include "unina/error.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using unina::Bundle;
using unina::Manifest;

const char* const kManifest = R"({
  "schema": 1, "name": "cones", "classes": ["blue_cone", "yellow_cone"],
  "input": {"name": "images", "height": 384, "width": 640, "color": "bgr",
            "letterbox_value": 114, "offset": 127.5, "scale": 0.5},
  "levels": [{"stride": 4, "class": "c4", "box": "b4"}],
  "reg_max": 2,
  "tensors": [
    {"name": "images", "role": "input", "shape": [1, 3, 384, 640], "dtype": "int8", "scale": 1, "scale_bits": "3f800000", "format": "hwc4"},
    {"name": "c4", "role": "output", "shape": [1, 2, 96, 160], "dtype": "int8", "scale": 0.0787, "scale_bits": "3DA12B6F", "format": "chw32"},
    {"name": "b4", "role": "output", "shape": [1, 8, 96, 160], "dtype": "int8", "scale": 0.0787, "scale_bits": "3da12b6f", "format": "chw16"}],
  "thresholds": [0.25, 1], "max_detections": 300, "rounding": "half-even",
  "provenance": {"anything": [1, 2, 3]}, "files": {}
})";

TEST(Manifest, EveryFieldArrives) {
  const Manifest manifest = Manifest::parse(kManifest, "here");
  EXPECT_EQ(manifest.name, "cones");
  EXPECT_EQ(manifest.classes, (std::vector<std::string>{"blue_cone", "yellow_cone"}));
  EXPECT_EQ(manifest.input_height, 384);
  EXPECT_EQ(manifest.input_width, 640);
  EXPECT_EQ(manifest.pixels.color, unina::ColorOrder::kBgr);
  EXPECT_EQ(manifest.pixels.letterbox_value, 114);
  EXPECT_EQ(manifest.pixels.offset, 127.5f);
  EXPECT_EQ(manifest.pixels.scale, 0.5f);
  ASSERT_EQ(manifest.levels.size(), 1u);
  EXPECT_EQ(manifest.levels[0].stride, 4);
  EXPECT_EQ(manifest.tensor("c4").scale, 0x1.42'56'dep-4f);
  EXPECT_EQ(manifest.tensor("b4").layout, unina::Layout::kChw16);
  EXPECT_EQ(manifest.tensor("b4").channels, 8);
  EXPECT_EQ(manifest.thresholds, (std::vector<float>{0.25f, 1.0f}));
  EXPECT_EQ(manifest.max_detections, 300);
  EXPECT_EQ(manifest.rounding, unina::Rounding::kHalfEven);
  EXPECT_THROW(manifest.tensor("c8"), unina::Error);
}

// Understood, or refused by an Error of one printable line: nothing else may happen.
void understand_or_refuse(const std::string& text) {
  try {
    Manifest::parse(text, "here");
  } catch (const unina::Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 1000u) << message;
  }
}

TEST(Manifest, DamagedTextNeverDoesAnythingElse) {
  const std::string good = kManifest;
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (unsigned n = random() % 4 + 1; n > 0; --n) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 9);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 30));
          break;
        default:
          text[at] = "0123456789-.eE\"[]{},:"[random() % 21];
      }
      if (text.empty()) text = " ";
    }
    understand_or_refuse(text);
  }
}

TEST(Manifest, EveryFieldMayBeAnythingOrMissing) {
  const json good = json::parse(kManifest);
  const std::vector<json> values = {nullptr,
                                    true,
                                    0,
                                    -1,
                                    1,
                                    1e300,
                                    -1e-300,
                                    INT64_MAX,
                                    UINT64_MAX,
                                    "",
                                    "images",
                                    std::string(5000, 'x'),
                                    json::array(),
                                    json::object(),
                                    json::array({1, 2, 3, 4}),
                                    json::array({json::object()})};
  const json flat = good.flatten();
  for (const auto& [path, value] : flat.items()) {
    for (json::json_pointer pointer(path); !pointer.empty(); pointer = pointer.parent_pointer()) {
      for (const json& other : values) {
        json changed = good;
        changed[pointer] = other;
        understand_or_refuse(changed.dump());
      }
      json changed = good;
      json& parent = changed[pointer.parent_pointer()];
      if (parent.is_object()) parent.erase(pointer.back());
      understand_or_refuse(changed.dump());
    }
  }
}

class BundleOnDisk : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "unina-bundle-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    path = pattern;
  }
  void TearDown() override { fs::remove_all(path); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
  }
  void add(const std::string& name, const std::string& text) {
    write(name, text);
    unina::Sha256 sha256;
    sha256.add(text.data(), text.size());
    manifest["files"][name] = {{"sha256", sha256.hex()}, {"bytes", text.size()}};
    write("manifest.json", manifest.dump());
  }

  fs::path path;
  json manifest = json::parse(kManifest);
};

TEST_F(BundleOnDisk, FilesInSubdirectoriesBelongToTheBundle) {
  const std::string text = std::string(100000, 'a') + '\0' + "b";
  add("deepstream/more/config.txt", text);
  add("empty", "");
  const Bundle bundle = Bundle::open(path.string() + "/");
  EXPECT_EQ(bundle.directory(), path.string());
  const std::vector<std::uint8_t> bytes = bundle.read("deepstream/more/config.txt");
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), text);
  EXPECT_TRUE(bundle.read("empty").empty());
  EXPECT_THROW(bundle.read("manifest.json"), unina::Error);
}

TEST_F(BundleOnDisk, AFileThatChangesLaterIsNotRead) {
  add("weights", "abc");
  const Bundle bundle = Bundle::open(path.string());
  write("weights", "abd");
  EXPECT_THROW(bundle.read("weights"), unina::Error);
}

TEST(Sha256, OfThreeLetters) {  // FIPS 180-4, example B.1
  unina::Sha256 sha256;
  sha256.add("a", 1);
  sha256.add("bc", 2);
  EXPECT_EQ(sha256.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(unina::printable("a\n\x1b[2J\xc3"), "'a\\x0a\\x1b[2J\\xc3'");
  EXPECT_EQ(unina::printable(std::string(81, 'x')), "'" + std::string(80, 'x') + "...'");
}

}  // namespace
