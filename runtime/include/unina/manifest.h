// What manifest.json says (docs/bundle.md), typed and checked: whoever holds a Manifest need not
// ask again.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "unina/host_engine.h"
#include "unina/letterbox.h"
#include "unina/tensor.h"

namespace unina {

struct ManifestTensor {
  std::string name;
  bool is_output = false;
  int channels = 0, height = 0, width = 0;
  DataType type = DataType::kInt8;
  float scale = 1.0f;  // from scale_bits, int8 only
  Layout layout = Layout::kLinear;
};

struct ManifestLevel {
  int stride = 0;
  std::string class_map;  // names of output tensors
  std::string box_map;
};

struct ManifestFile {
  std::string sha256;  // 64 lower-case hex digits
  std::uint64_t bytes = 0;
};

// What becomes of the outputs (docs/bundle.md, "Schema 2").
enum class Decode {
  kDetect,    // levels, reg_max, thresholds and max_detections say how; schema 1
  kClassify,  // one output of a channel a class: logits
  kRaw,       // the caller reads the maps
};

struct Manifest {
  std::string name;
  Decode decode = Decode::kDetect;
  std::vector<std::string> classes;  // may be empty where the decode is raw
  std::string input_name;
  int input_height = 0, input_width = 0;
  PixelSpec pixels;
  std::vector<ManifestLevel> levels;  // from the finest stride to the coarsest; kDetect only
  int reg_max = 0;
  std::vector<ManifestTensor> tensors;
  std::vector<float> thresholds;  // one score a class
  int max_detections = 0;
  Rounding rounding = Rounding::kHalfAway;
  std::map<std::string, ManifestFile> files;  // relative path -> what it must be
  std::string json;                           // the whole text

  // `origin` stands in messages. Throws Error naming field, value, reason and remedy.
  static Manifest parse(const std::string& json, const std::string& origin);

  // Throws Error for a name that no tensor has.
  const ManifestTensor& tensor(const std::string& tensor_name) const;
};

}  // namespace unina
