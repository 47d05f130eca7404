#include "unina/decode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <variant>

#include "unina/error.h"

namespace unina {
namespace {

constexpr int kSides = 4;  // left, top, right, bottom

float sigmoid(float logit) { return 1.0f / (1.0f + std::exp(-logit)); }

// An int8 map: everything that is a function of one stored value is a table.
class Int8Map {
 public:
  using Value = std::int8_t;

  Int8Map(const TensorFormat& classes, const TensorFormat& boxes,
          const std::vector<float>& thresholds)
      : box_scale_(boxes.scale) {
    for (int i = 0; i < 256; ++i) {
      scores_[static_cast<std::size_t>(i)] = sigmoid(classes.scale * static_cast<float>(i - 128));
      // exp(v_j - v_max) for a difference of i steps
      weights_[static_cast<std::size_t>(i)] = std::exp(-boxes.scale * static_cast<float>(i));
    }
    // Scores do not fall with the stored value, so the first that reaches the threshold decides.
    for (const float threshold : thresholds) {
      const auto first = std::lower_bound(scores_.begin(), scores_.end(), threshold);
      least_.push_back(static_cast<int>(first - scores_.begin()) - 128);
    }
    least_of_all_ = *std::min_element(least_.begin(), least_.end());
  }

  bool may_pass(Value value) const { return value >= least_of_all_; }
  bool passes(Value value, std::size_t c) const { return value >= least_[c]; }
  float score(Value value) const { return scores_[static_cast<std::size_t>(value + 128)]; }
  float real(Value value) const { return box_scale_ * static_cast<float>(value); }
  float weight(Value value, Value most) const {
    return weights_[static_cast<std::size_t>(most - value)];
  }

 private:
  std::array<float, 256> scores_;
  std::array<float, 256> weights_;
  std::vector<int> least_;
  int least_of_all_;
  float box_scale_;
};

class FloatMap {
 public:
  using Value = float;

  explicit FloatMap(const std::vector<float>& thresholds) : thresholds_(thresholds) {
    // Slightly below the logit of the least threshold: a cheap first test; the score itself
    // decides.
    const double least = *std::min_element(thresholds.begin(), thresholds.end());
    least_of_all_ = static_cast<float>(std::min(std::log(least / (1.0 - least)), 15.0) - 0.01);
  }

  bool may_pass(Value value) const { return value >= least_of_all_; }
  bool passes(Value value, std::size_t c) const { return sigmoid(value) >= thresholds_[c]; }
  float score(Value value) const { return sigmoid(value); }
  float real(Value value) const { return value; }
  float weight(Value value, Value most) const { return std::exp(value - most); }

 private:
  std::vector<float> thresholds_;
  float least_of_all_;
};

// Where one row of a map lies: the channels' first elements, and the step from a cell to the next.
struct MapRow {
  std::vector<const std::uint8_t*> channels;
  std::size_t step = 0;

  explicit MapRow(const TensorFormat& format)
      : channels(static_cast<std::size_t>(format.channels)),
        step(static_cast<std::size_t>(format.channels_per_pixel()) * format.element_size()) {}

  void move_to(const TensorFormat& format, const void* data, int y) {
    for (int c = 0; c < format.channels; ++c) {
      channels[static_cast<std::size_t>(c)] =
          static_cast<const std::uint8_t*>(data) + format.offset(c, y, 0);
    }
  }
  template <typename Value>
  Value at(std::size_t channel, int x) const {
    return *reinterpret_cast<const Value*>(channels[channel] + static_cast<std::size_t>(x) * step);
  }
};

// Distance of one side in strides: the expectation over its bins, or the value itself.
template <typename Map>
float distance(const Map& map, const MapRow& boxes, int side, int reg_max, int x) {
  using Value = typename Map::Value;
  const std::size_t begin = static_cast<std::size_t>(side) * static_cast<std::size_t>(reg_max);
  const std::size_t end = begin + static_cast<std::size_t>(reg_max);
  if (reg_max == 1) return std::max(0.0f, map.real(boxes.at<Value>(begin, x)));
  Value most = boxes.at<Value>(begin, x);
  for (std::size_t j = begin + 1; j < end; ++j) most = std::max(most, boxes.at<Value>(j, x));
  float sum = 0.0f, moment = 0.0f;
  for (std::size_t j = begin; j < end; ++j) {
    const float weight = map.weight(boxes.at<Value>(j, x), most);
    sum += weight;
    moment += weight * static_cast<float>(j - begin);
  }
  return moment / sum;
}

template <typename Map>
void decode_level(const Map& map, const LevelFormat& level, int reg_max, const LevelMaps& maps,
                  const Placement& placement, Detections& found) {
  using Value = typename Map::Value;
  MapRow classes(level.classes), boxes(level.boxes);
  const auto stride = static_cast<float>(level.stride);
  const auto count = static_cast<std::size_t>(level.classes.channels);
  for (int y = 0; y < level.classes.height; ++y) {
    classes.move_to(level.classes, maps.classes, y);
    bool boxes_here = false;
    for (int x = 0; x < level.classes.width; ++x) {
      // Nearly every cell is background: its largest logit reaches no class's threshold.
      Value most = classes.at<Value>(0, x);
      for (std::size_t c = 1; c < count; ++c) most = std::max(most, classes.at<Value>(c, x));
      if (!map.may_pass(most)) continue;
      std::size_t best = 0;
      while (best + 1 < count && !(classes.at<Value>(best, x) == most)) ++best;
      if (!map.passes(most, best)) continue;
      if (!boxes_here) boxes.move_to(level.boxes, maps.boxes, y);
      boxes_here = true;
      std::array<float, kSides> side;
      for (int s = 0; s < kSides; ++s) {
        side[static_cast<std::size_t>(s)] = distance(map, boxes, s, reg_max, x) * stride;
      }
      const float center_x = (static_cast<float>(x) + 0.5f) * stride;
      const float center_y = (static_cast<float>(y) + 0.5f) * stride;
      const Box box = placement.to_source(
          {center_x - side[0], center_y - side[1], center_x + side[2], center_y + side[3]});
      // Written so that a NaN, which compares false, is dropped too.
      if (!(box.x1 > box.x0 && box.y1 > box.y0)) continue;
      found.push_back({box, map.score(most), static_cast<int>(best)});
    }
  }
}

std::string shape(const TensorFormat& format) {
  return std::to_string(format.channels) + "x" + std::to_string(format.height) + "x" +
         std::to_string(format.width);
}

void require_level(const DecodeSpec& spec, const LevelFormat& level) {
  const TensorFormat &classes = level.classes, &boxes = level.boxes;
  const std::string where = "decode: level of stride " + std::to_string(level.stride) + ": ";
  if (level.stride < 1) throw Error(where + "the stride must be at least 1");
  if (classes.height != boxes.height || classes.width != boxes.width || classes.height < 1 ||
      classes.width < 1) {
    throw Error(where + "class map " + shape(classes) + " and box map " + shape(boxes) +
                " must have the same height and width");
  }
  if (classes.channels != static_cast<int>(spec.thresholds.size())) {
    throw Error(where + "class map " + shape(classes) + " needs one channel for each of the " +
                std::to_string(spec.thresholds.size()) + " thresholds");
  }
  if (boxes.channels != kSides * spec.reg_max) {
    throw Error(where + "box map " + shape(boxes) +
                " needs 4 * reg_max = " + std::to_string(kSides * spec.reg_max) + " channels");
  }
  if (classes.type != boxes.type ||
      (classes.type != DataType::kInt8 && classes.type != DataType::kFloat32)) {
    throw Error(where + "both maps must be int8, or both float32");
  }
  for (const float scale : {classes.scale, boxes.scale}) {
    if (!(scale > 0.0f) || !std::isfinite(scale)) {
      throw Error(where + "scale " + std::to_string(scale) + " is not positive and finite");
    }
  }
}

}  // namespace

class Decoder::Level {
 public:
  Level(const DecodeSpec& spec, const LevelFormat& format)
      : format_(format),
        reg_max_(spec.reg_max),
        map_(format.classes.type == DataType::kInt8
                 ? std::variant<Int8Map, FloatMap>(
                       Int8Map(format.classes, format.boxes, spec.thresholds))
                 : std::variant<Int8Map, FloatMap>(FloatMap(spec.thresholds))) {}

  void decode(const LevelMaps& maps, const Placement& placement, Detections& found) const {
    std::visit(
        [&](const auto& map) { decode_level(map, format_, reg_max_, maps, placement, found); },
        map_);
  }

 private:
  LevelFormat format_;
  int reg_max_;
  std::variant<Int8Map, FloatMap> map_;
};

Decoder::Decoder(const DecodeSpec& spec, const std::vector<LevelFormat>& levels) : spec_(spec) {
  if (levels.empty()) throw Error("decode: there must be at least one level");
  if (spec.thresholds.empty()) throw Error("decode: there must be one threshold for each class");
  for (const float threshold : spec.thresholds) {
    if (!(threshold >= 0.0f && threshold <= 1.0f)) {
      throw Error("decode: threshold " + std::to_string(threshold) + " is not within 0 and 1");
    }
  }
  if (spec.reg_max < 1) {
    throw Error("decode: reg_max " + std::to_string(spec.reg_max) + " must be at least 1");
  }
  if (spec.max_detections < 1) {
    throw Error("decode: max_detections " + std::to_string(spec.max_detections) +
                " must be at least 1");
  }
  for (const LevelFormat& level : levels) {
    require_level(spec, level);
    levels_.push_back(std::make_unique<const Level>(spec, level));
  }
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

Detections Decoder::decode(const std::vector<LevelMaps>& maps, const Placement& placement) const {
  if (maps.size() != levels_.size()) {
    throw Error("decode: " + std::to_string(maps.size()) + " pairs of maps for " +
                std::to_string(levels_.size()) + " levels");
  }
  Detections found;
  for (std::size_t i = 0; i < maps.size(); ++i) levels_[i]->decode(maps[i], placement, found);
  std::stable_sort(found.begin(), found.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
  const auto most = static_cast<std::size_t>(spec_.max_detections);
  if (found.size() > most) found.resize(most);
  return found;
}

}  // namespace unina
