// A network of two convolutions, its manifest, and files of it for the stand-in of libcudla.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "unina/manifest.h"
#include "unina/tensor.h"

namespace unina::test {

using Bytes = std::vector<std::uint8_t>;

// 3x16x40 in; two classes and boxes of 4 x 2 bins at stride 8.
inline Bytes host_loadable() {
  const std::string header = R"({"version":1,"rounding":"half-away","data_bytes":2304,"tensors":[
{"name":"images","shape":[1,3,16,40],"scale_bits":"3f800000"},
{"name":"c8","shape":[1,2,2,5],"scale_bits":"3d800000"},
{"name":"b8","shape":[1,8,2,5],"scale_bits":"3d800000"}],"inputs":["images"],"outputs":["c8","b8"],"ops":[
{"type":"conv","name":"c","inputs":["images"],"output":"c8","kernel":[8,8],"stride":[8,8],"pads":[0,0,0,0],
"dilation":[1,1],"groups":1,"relu":false,"weights":0,"bias":384,"multiplier":448},
{"type":"conv","name":"b","inputs":["images"],"output":"b8","kernel":[8,8],"stride":[8,8],"pads":[0,0,0,0],
"dilation":[1,1],"groups":1,"relu":false,"weights":512,"bias":2048,"multiplier":2112}]})";
  Bytes data(2304);
  std::mt19937 random(7);
  for (std::uint8_t& byte : data)
    byte = static_cast<std::uint8_t>(random() % 255 - 127);  // no -128
  const auto fill = [&](std::size_t at, std::size_t words, std::uint32_t word) {
    for (std::size_t i = 0; i < 4 * words; ++i) {
      data[at + i] = static_cast<std::uint8_t>(word >> 8 * (i % 4));
    }
  };
  fill(384, 2, 5);             // biases
  fill(448, 2, 0x3a000000);    // multipliers, 2^-11: the sums fill most of int8
  fill(2048, 8, 0xfffffff0u);  // -16
  fill(2112, 8, 0x3a000000);
  Bytes bytes = {'U', 'N', 'I', 'N', 'A', 'H', 'L', '1'};
  for (int shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<std::uint8_t>(header.size() >> shift));
  }
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.resize((bytes.size() + 63) / 64 * 64);
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

// tests/runtime/standins/loadable.h says what it is.
inline Bytes standin_loadable(Layout input_layout, std::uint32_t row_alignment) {
  Bytes bytes = {'U', 'N', 'I', 'N', 'A', 'S', 'I', 'L'};
  for (const auto word : {static_cast<std::uint32_t>(input_layout), row_alignment, 0u}) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<std::uint8_t>(word >> shift));
    }
  }
  const Bytes host = host_loadable();
  bytes.insert(bytes.end(), host.begin(), host.end());
  return bytes;
}

inline std::string manifest_json() {
  return R"({"schema": 1, "name": "tiny", "classes": ["blue", "yellow"],
  "input": {"name": "images", "height": 16, "width": 40, "color": "rgb",
            "letterbox_value": 128, "offset": 128, "scale": 1},
  "levels": [{"stride": 8, "class": "c8", "box": "b8"}], "reg_max": 2,
  "tensors": [
    {"name": "images", "role": "input", "shape": [1, 3, 16, 40], "dtype": "int8", "scale": 1, "scale_bits": "3f800000", "format": "hwc4"},
    {"name": "c8", "role": "output", "shape": [1, 2, 2, 5], "dtype": "int8", "scale": 0.0625, "scale_bits": "3d800000", "format": "chw32"},
    {"name": "b8", "role": "output", "shape": [1, 8, 2, 5], "dtype": "int8", "scale": 0.0625, "scale_bits": "3d800000", "format": "chw32"}],
  "thresholds": [0.5, 0.5], "max_detections": 10, "rounding": "half-away", "files": {}})";
}

inline Manifest manifest() { return Manifest::parse(manifest_json(), "manifest.json"); }

// Noise into every element, by a seed.
inline void fill(const TensorView& view, unsigned seed) {
  std::mt19937 random(seed);
  for (int c = 0; c < view.format.channels; ++c)
    for (int y = 0; y < view.format.height; ++y)
      for (int x = 0; x < view.format.width; ++x)
        static_cast<std::uint8_t*>(view.data)[view.format.offset(c, y, x)] =
            static_cast<std::uint8_t>(random());
}

// In the order c, y, x, whatever the layout.
inline std::vector<int> elements(const TensorView& view) {
  std::vector<int> values;
  for (int c = 0; c < view.format.channels; ++c)
    for (int y = 0; y < view.format.height; ++y)
      for (int x = 0; x < view.format.width; ++x)
        values.push_back(static_cast<const std::int8_t*>(view.data)[view.format.offset(c, y, x)]);
  return values;
}

// A directory of its own for each test, gone at the end.
class Folder {
 public:
  Folder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            ("unina-" + std::string(test->test_suite_name()) + "-" + test->name() + "-" +
             std::to_string(std::random_device{}()));
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path() const { return path_.string(); }
  std::string write(const std::string& name, const Bytes& bytes) const {
    const std::filesystem::path path = path_ / name;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return path.string();
  }

 private:
  std::filesystem::path path_;
};

}  // namespace unina::test
