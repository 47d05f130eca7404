#include "unina/manifest.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <set>

#include "json_field.h"
#include "printable.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr int kDetectorSchema = 1;
constexpr int kOtherSchema = 2;    // what is decoded otherwise, or not at all
constexpr int kMostPixels = 8192;  // of one side
constexpr int kMostClasses = 1000;
constexpr int kMostBins = 64;
constexpr int kMostLevels = 8;
constexpr int kMostTensors = 1 + 2 * kMostLevels;
constexpr double kLargest = 1e6;  // of offsets and scales: far beyond any use, far from overflow

bool is_hex(const std::string& text, std::size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isxdigit(c) != 0;
         });
}

// scale_bits is the truth; scale, rounded for people, must not contradict it.
float read_scale(const JsonField& tensor) {
  const JsonField bits_field = tensor["scale_bits"];
  const std::string digits = bits_field.text();
  if (!is_hex(digits, 8)) bits_field.fail("is not a float32 in 8 hex digits");
  const auto bits = static_cast<std::uint32_t>(std::stoul(digits, nullptr, 16));
  float scale = 0.0f;
  std::memcpy(&scale, &bits, sizeof scale);
  if (!std::isfinite(scale) || scale < std::numeric_limits<float>::min() || scale > kLargest) {
    bits_field.fail("is not a positive scale below 1e6");
  }
  const JsonField people = tensor["scale"];
  const double stated = people.number(0.0, kLargest);
  if (std::abs(stated - static_cast<double>(scale)) > 1e-3 * static_cast<double>(scale)) {
    people.fail("is not the value of scale_bits, " + std::to_string(scale));
  }
  return scale;
}

void read_classes(const JsonField& root, Manifest& manifest) {
  std::set<std::string> seen;
  const std::size_t least = manifest.decode == Decode::kRaw ? 0 : 1;
  for (const JsonField& name : root["classes"].elements(least, kMostClasses)) {
    manifest.classes.push_back(name.text());
    if (!seen.insert(manifest.classes.back()).second) name.fail("names a class twice");
  }
}

void read_thresholds(const JsonField& root, Manifest& manifest) {
  for (const JsonField& threshold :
       root["thresholds"].elements(manifest.classes.size(), manifest.classes.size())) {
    manifest.thresholds.push_back(static_cast<float>(threshold.number(0.0, 1.0)));
  }
}

void read_input(const JsonField& input, Manifest& manifest) {
  manifest.input_name = input["name"].text();
  manifest.input_height = static_cast<int>(input["height"].integer(1, kMostPixels));
  manifest.input_width = static_cast<int>(input["width"].integer(1, kMostPixels));
  manifest.pixels.color =
      input["color"].one_of({"rgb", "bgr"}) == 0 ? ColorOrder::kRgb : ColorOrder::kBgr;
  manifest.pixels.letterbox_value =
      static_cast<std::uint8_t>(input["letterbox_value"].integer(0, 255));
  manifest.pixels.offset = static_cast<float>(input["offset"].number(-kLargest, kLargest));
  manifest.pixels.scale = static_cast<float>(input["scale"].number(1e-6, kLargest));
}

void read_tensors(const JsonField& root, Manifest& manifest) {
  std::set<std::string> seen;
  for (const JsonField& field : root["tensors"].elements(1, kMostTensors)) {
    ManifestTensor tensor;
    tensor.name = field["name"].text();
    if (!seen.insert(tensor.name).second) field["name"].fail("names a tensor twice");
    tensor.is_output = field["role"].one_of({"input", "output"}) == 1;
    const std::vector<JsonField> shape = field["shape"].elements(4, 4);
    shape[0].integer(1, 1);
    tensor.channels = static_cast<int>(shape[1].integer(1, kMostPixels));
    tensor.height = static_cast<int>(shape[2].integer(1, kMostPixels));
    tensor.width = static_cast<int>(shape[3].integer(1, kMostPixels));
    const bool float16 = field["dtype"].one_of({"int8", "float16"}) == 1;
    if (float16) {
      tensor.type = DataType::kFloat16;
      if (!tensor.is_output) field["dtype"].fail("of an input; the network takes int8");
      for (const char* key : {"scale", "scale_bits"}) {
        if (field.has(key)) field[key].fail("of a float16 tensor, which has no scale");
      }
    } else {
      tensor.scale = read_scale(field);
    }
    constexpr Layout kLayouts[] = {Layout::kLinear, Layout::kHwc4, Layout::kChw16, Layout::kChw32};
    tensor.layout = kLayouts[field["format"].one_of({"linear", "hwc4", "chw16", "chw32"})];
    if (float16 && tensor.layout != Layout::kLinear && tensor.layout != Layout::kChw16) {
      field["format"].fail("is no format of a float16 output; the DLA writes chw16");
    }
    if (tensor.layout == Layout::kHwc4 && tensor.channels > 4) {
      field["format"].fail("holds at most 4 channels, the tensor has " +
                           std::to_string(tensor.channels));
    }
    manifest.tensors.push_back(tensor);
  }
}

// The tensor of that name, which must have this role and shape; `field` is what names it.
void require_tensor(const Manifest& manifest, const JsonField& field, bool is_output, int channels,
                    int height, int width) {
  const std::string name = field.text();
  for (const ManifestTensor& tensor : manifest.tensors) {
    if (tensor.name != name) continue;
    if (tensor.is_output != is_output) {
      field.fail(std::string("is listed in 'tensors' as an ") + (is_output ? "input" : "output"));
    }
    if (tensor.channels != channels || tensor.height != height || tensor.width != width) {
      field.fail("has shape [1, " + std::to_string(tensor.channels) + ", " +
                 std::to_string(tensor.height) + ", " + std::to_string(tensor.width) +
                 "], which must be [1, " + std::to_string(channels) + ", " +
                 std::to_string(height) + ", " + std::to_string(width) + "]");
    }
    return;
  }
  field.fail("is not listed in 'tensors'");
}

void read_levels(const JsonField& root, Manifest& manifest) {
  manifest.reg_max = static_cast<int>(root["reg_max"].integer(1, kMostBins));
  std::set<std::string> used;
  for (const JsonField& field : root["levels"].elements(1, kMostLevels)) {
    ManifestLevel level;
    const JsonField stride = field["stride"];
    level.stride = static_cast<int>(stride.integer(1, kMostPixels));
    if ((level.stride & (level.stride - 1)) != 0) stride.fail("is not a power of two");
    if (!manifest.levels.empty() && level.stride <= manifest.levels.back().stride) {
      stride.fail("is not larger than that of the level before");
    }
    if (manifest.input_height % level.stride != 0 || manifest.input_width % level.stride != 0) {
      stride.fail("does not divide the input of " + std::to_string(manifest.input_height) + " by " +
                  std::to_string(manifest.input_width));
    }
    const int height = manifest.input_height / level.stride;
    const int width = manifest.input_width / level.stride;
    const auto classes = static_cast<int>(manifest.classes.size());
    require_tensor(manifest, field["class"], true, classes, height, width);
    require_tensor(manifest, field["box"], true, 4 * manifest.reg_max, height, width);
    level.class_map = field["class"].text();
    level.box_map = field["box"].text();
    for (const char* map : {"class", "box"}) {
      if (!used.insert(field[map].text()).second) field[map].fail("serves two maps");
    }
    manifest.levels.push_back(level);
  }
  require_tensor(manifest, root["input"]["name"], false, 3, manifest.input_height,
                 manifest.input_width);
  if (manifest.tensors.size() != used.size() + 1) {
    root["tensors"].fail("lists " + std::to_string(manifest.tensors.size()) +
                         " tensors, but input and levels name " + std::to_string(used.size() + 1));
  }
}

// A classifier has one output with a logit for each class; of raw maps nothing is asked.
void require_outputs(const JsonField& root, const Manifest& manifest) {
  require_tensor(manifest, root["input"]["name"], false, 3, manifest.input_height,
                 manifest.input_width);
  std::vector<const ManifestTensor*> outputs;
  for (const ManifestTensor& tensor : manifest.tensors) {
    if (tensor.is_output) outputs.push_back(&tensor);
  }
  const JsonField tensors = root["tensors"];
  if (outputs.empty()) tensors.fail("lists no output");
  if (outputs.size() + 1 != manifest.tensors.size()) tensors.fail("lists more than one input");
  if (manifest.decode != Decode::kClassify) return;
  const ManifestTensor& logits = *outputs.front();
  if (outputs.size() != 1 || logits.height != 1 || logits.width != 1 ||
      logits.channels != static_cast<int>(manifest.classes.size())) {
    tensors.fail("must list one output of shape [1, " + std::to_string(manifest.classes.size()) +
                 ", 1, 1], a logit for each class, where decode is classify");
  }
}

// Relative, downwards, in plain parts: nothing that could leave the bundle.
bool stays_inside(const std::string& name) {
  if (name.empty() || name.size() > 200 || name.front() == '/' || name.back() == '/') return false;
  std::size_t begin = 0;
  while (begin <= name.size()) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return c >= 0x20 && c != 0x7f && c != '\\'; });
}

void read_files(const JsonField& root, Manifest& manifest) {
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 32;
  for (const auto& [name, field] : root["files"].members()) {
    if (!stays_inside(name) || name == "manifest.json") {
      field.fail("is not a path inside the bundle (relative, without '..')");
    }
    ManifestFile file;
    const JsonField sha256 = field["sha256"];
    file.sha256 = sha256.text();
    if (!is_hex(file.sha256, 64)) sha256.fail("is not a SHA-256 in 64 hex digits");
    for (char& c : file.sha256) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    file.bytes = static_cast<std::uint64_t>(field["bytes"].integer(0, kMostBytes));
    manifest.files[name] = file;
  }
}

}  // namespace

Manifest Manifest::parse(const std::string& json, const std::string& origin) {
  nlohmann::json document;
  try {
    document = nlohmann::json::parse(json);
  } catch (const nlohmann::json::parse_error& error) {
    throw Error(origin + ": not valid JSON near byte " + std::to_string(error.byte) + " of " +
                std::to_string(json.size()) + "; export or copy the bundle again");
  } catch (const nlohmann::json::exception&) {
    throw Error(origin +
                ": holds a number that no float64 can hold; export or copy the bundle again");
  }
  const JsonField root(document, origin);
  const std::int64_t schema = root["schema"].integer(INT64_MIN, INT64_MAX);
  if (schema != kDetectorSchema && schema != kOtherSchema) {
    throw Error(origin + ": schema: this program reads schema 1 and 2, the bundle has " +
                std::to_string(schema) + "; export it with the matching version of unina-export");
  }
  Manifest manifest;
  manifest.json = json;
  if (schema == kOtherSchema) {
    manifest.decode =
        root["decode"].one_of({"classify", "raw"}) == 0 ? Decode::kClassify : Decode::kRaw;
  }
  manifest.name = root["name"].text();
  read_classes(root, manifest);
  if (manifest.decode == Decode::kDetect) read_thresholds(root, manifest);
  read_input(root["input"], manifest);
  read_tensors(root, manifest);
  if (manifest.decode == Decode::kDetect) {
    read_levels(root, manifest);
    manifest.max_detections = static_cast<int>(root["max_detections"].integer(1, 100000));
  } else {
    require_outputs(root, manifest);
  }
  manifest.rounding = root["rounding"].one_of({"half-away", "half-even"}) == 0
                          ? Rounding::kHalfAway
                          : Rounding::kHalfEven;
  read_files(root, manifest);
  return manifest;
}

const ManifestTensor& Manifest::tensor(const std::string& tensor_name) const {
  for (const ManifestTensor& candidate : tensors) {
    if (candidate.name == tensor_name) return candidate;
  }
  throw Error("manifest.json: no tensor is called " + printable(tensor_name));
}

}  // namespace unina
