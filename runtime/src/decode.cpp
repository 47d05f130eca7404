#include "unina/decode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <variant>

#include "float16.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr int kSides = 4;  // left, top, right, bottom

float sigmoid(float logit) { return 1.0f / (1.0f + std::exp(-logit)); }

// How a map stores its values, and what they are read as: int8 stays an integer.
struct Int8 {
  using Stored = std::int8_t;
  using Value = std::int8_t;
  static Value read(Stored stored) { return stored; }
};
struct Float16 {
  using Stored = std::uint16_t;
  using Value = float;
  static Value read(Stored stored) { return float_from_float16(stored); }
};
struct Float32 {
  using Stored = float;
  using Value = float;
  static Value read(Stored stored) { return stored; }
};

// A class map of int8: everything that is a function of one stored value is a table.
class Int8Classes : public Int8 {
 public:
  Int8Classes(float scale, const std::vector<float>& thresholds) {
    for (int i = 0; i < 256; ++i)
      scores_[static_cast<std::size_t>(i)] = sigmoid(scale * static_cast<float>(i - 128));
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

 private:
  std::array<float, 256> scores_;
  std::vector<int> least_;
  int least_of_all_;
};

template <typename Storage>
class FloatClasses : public Storage {
 public:
  using Value = float;

  explicit FloatClasses(const std::vector<float>& thresholds) : thresholds_(thresholds) {
    // Slightly below the logit of the least threshold: a cheap first test; the score itself
    // decides.
    const double least = *std::min_element(thresholds.begin(), thresholds.end());
    least_of_all_ = static_cast<float>(std::min(std::log(least / (1.0 - least)), 15.0) - 0.01);
  }

  bool may_pass(Value value) const { return value >= least_of_all_; }
  bool passes(Value value, std::size_t c) const { return sigmoid(value) >= thresholds_[c]; }
  float score(Value value) const { return sigmoid(value); }

 private:
  std::vector<float> thresholds_;
  float least_of_all_;
};

// A box map: a bin's weight is exp(v_j - v_max), for int8 a table over the difference in steps.
class Int8Boxes : public Int8 {
 public:
  explicit Int8Boxes(float scale) : scale_(scale) {
    for (int i = 0; i < 256; ++i)
      weights_[static_cast<std::size_t>(i)] = std::exp(-scale * static_cast<float>(i));
  }

  float real(Value value) const { return scale_ * static_cast<float>(value); }
  float weight(Value value, Value most) const {
    return weights_[static_cast<std::size_t>(most - value)];
  }

 private:
  std::array<float, 256> weights_;
  float scale_;
};

template <typename Storage>
class FloatBoxes : public Storage {
 public:
  float real(float value) const { return value; }
  float weight(float value, float most) const { return std::exp(value - most); }
};

using Classes = std::variant<Int8Classes, FloatClasses<Float16>, FloatClasses<Float32>>;
using Boxes = std::variant<Int8Boxes, FloatBoxes<Float16>, FloatBoxes<Float32>>;

Classes classes_of(const TensorFormat& format, const std::vector<float>& thresholds) {
  if (format.type == DataType::kInt8) return Int8Classes(format.scale, thresholds);
  if (format.type == DataType::kFloat16) return FloatClasses<Float16>(thresholds);
  return FloatClasses<Float32>(thresholds);
}

Boxes boxes_of(const TensorFormat& format) {
  if (format.type == DataType::kInt8) return Int8Boxes(format.scale);
  if (format.type == DataType::kFloat16) return FloatBoxes<Float16>();
  return FloatBoxes<Float32>();
}

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
  template <typename Map>
  typename Map::Value at(std::size_t channel, int x) const {
    return Map::read(*reinterpret_cast<const typename Map::Stored*>(
        channels[channel] + static_cast<std::size_t>(x) * step));
  }
};

// Distance of one side in strides: the expectation over its bins, or the value itself.
template <typename Map>
float distance(const Map& map, const MapRow& boxes, int side, int reg_max, int x) {
  using Value = typename Map::Value;
  const std::size_t begin = static_cast<std::size_t>(side) * static_cast<std::size_t>(reg_max);
  const std::size_t end = begin + static_cast<std::size_t>(reg_max);
  if (reg_max == 1) return std::max(0.0f, map.real(boxes.at<Map>(begin, x)));
  Value most = boxes.at<Map>(begin, x);
  for (std::size_t j = begin + 1; j < end; ++j) most = std::max(most, boxes.at<Map>(j, x));
  float sum = 0.0f, moment = 0.0f;
  for (std::size_t j = begin; j < end; ++j) {
    const float weight = map.weight(boxes.at<Map>(j, x), most);
    sum += weight;
    moment += weight * static_cast<float>(j - begin);
  }
  return moment / sum;
}

template <typename ClassMap, typename BoxMap, typename Found>
void decode_level(const ClassMap& class_map, const BoxMap& box_map, const LevelFormat& level,
                  int reg_max, const LevelMaps& maps, const Placement& placement, MapRow& classes,
                  MapRow& boxes, Found& found) {
  using Value = typename ClassMap::Value;
  const auto stride = static_cast<float>(level.stride);
  const auto count = static_cast<std::size_t>(level.classes.channels);
  for (int y = 0; y < level.classes.height; ++y) {
    classes.move_to(level.classes, maps.classes, y);
    bool boxes_here = false;
    for (int x = 0; x < level.classes.width; ++x) {
      // Nearly every cell is background: its largest logit reaches no class's threshold.
      Value most = classes.at<ClassMap>(0, x);
      for (std::size_t c = 1; c < count; ++c) most = std::max(most, classes.at<ClassMap>(c, x));
      if (!class_map.may_pass(most)) continue;
      std::size_t best = 0;
      while (best + 1 < count && !(classes.at<ClassMap>(best, x) == most)) ++best;
      if (!class_map.passes(most, best)) continue;
      if (!boxes_here) boxes.move_to(level.boxes, maps.boxes, y);
      boxes_here = true;
      std::array<float, kSides> side;
      for (int s = 0; s < kSides; ++s) {
        side[static_cast<std::size_t>(s)] = distance(box_map, boxes, s, reg_max, x) * stride;
      }
      const float center_x = (static_cast<float>(x) + 0.5f) * stride;
      const float center_y = (static_cast<float>(y) + 0.5f) * stride;
      const Box box = placement.to_source(
          {center_x - side[0], center_y - side[1], center_x + side[2], center_y + side[3]});
      // Written so that a NaN, which compares false, is dropped too.
      if (!(box.x1 > box.x0 && box.y1 > box.y0)) continue;
      found.add({box, class_map.score(most), static_cast<int>(best)});
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
  for (const float scale : {classes.scale, boxes.scale}) {
    if (!(scale > 0.0f) || !std::isfinite(scale)) {
      throw Error(where + "scale " + std::to_string(scale) + " is not positive and finite");
    }
  }
}

}  // namespace

// The best detections so far: a heap with the worst of them on top, so that memory is bounded
// however many cells pass their thresholds.
class Decoder::Best {
 public:
  explicit Best(std::size_t most) : most_(most) { heap_.reserve(most); }

  void add(const Detection& detection) {
    const Candidate candidate{detection, order_++};
    if (heap_.size() == most_) {
      if (!better(candidate, heap_.front())) return;
      std::pop_heap(heap_.begin(), heap_.end(), better);
      heap_.pop_back();
    }
    heap_.push_back(candidate);
    std::push_heap(heap_.begin(), heap_.end(), better);
  }
  // Moves them to `found`, best first, and is empty again.
  void take(Detections& found) {
    std::sort_heap(heap_.begin(), heap_.end(), better);
    found.clear();
    for (const Candidate& one : heap_) found.push_back(one.detection);
    heap_.clear();
    order_ = 0;
  }

 private:
  struct Candidate {
    Detection detection;
    std::size_t order;  // of the cells; decides between equal scores
  };
  static bool better(const Candidate& a, const Candidate& b) {
    if (a.detection.score != b.detection.score) return a.detection.score > b.detection.score;
    return a.order < b.order;
  }

  std::size_t most_, order_ = 0;
  std::vector<Candidate> heap_;
};

class Decoder::Level {
 public:
  Level(const DecodeSpec& spec, const LevelFormat& format)
      : format_(format),
        reg_max_(spec.reg_max),
        classes_(classes_of(format.classes, spec.thresholds)),
        boxes_(boxes_of(format.boxes)),
        class_row_(format.classes),
        box_row_(format.boxes) {}

  void decode(const LevelMaps& maps, const Placement& placement, Best& found) {
    std::visit(
        [&](const auto& classes, const auto& boxes) {
          decode_level(classes, boxes, format_, reg_max_, maps, placement, class_row_, box_row_,
                       found);
        },
        classes_, boxes_);
  }

 private:
  LevelFormat format_;
  int reg_max_;
  Classes classes_;
  Boxes boxes_;
  MapRow class_row_, box_row_;
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
  std::size_t cells = 0;
  for (const LevelFormat& level : levels) {
    require_level(spec, level);
    levels_.push_back(std::make_unique<Level>(spec, level));
    cells += static_cast<std::size_t>(level.classes.height) *
             static_cast<std::size_t>(level.classes.width);
  }
  best_ = std::make_unique<Best>(std::min(cells, static_cast<std::size_t>(spec.max_detections)));
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

Detections Decoder::decode(const std::vector<LevelMaps>& maps, const Placement& placement) {
  Detections found;
  decode(maps, placement, found);
  return found;
}

void Decoder::decode(const std::vector<LevelMaps>& maps, const Placement& placement,
                     Detections& found) {
  if (maps.size() != levels_.size()) {
    throw Error("decode: " + std::to_string(maps.size()) + " pairs of maps for " +
                std::to_string(levels_.size()) + " levels");
  }
  for (std::size_t i = 0; i < maps.size(); ++i) levels_[i]->decode(maps[i], placement, *best_);
  best_->take(found);
}

}  // namespace unina
