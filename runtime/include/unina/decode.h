// From the raw maps of the one-to-one head to boxes: no NMS, since that head answers every object
// once (Wang et al., YOLOv10, arXiv 2405.14458). Box distances are the expectation of a softmax
// over bins (Li et al., Generalized Focal Loss, arXiv 2006.04388). docs/bundle.md defines the maps.
#pragma once

#include <memory>
#include <vector>

#include "unina/detections.h"
#include "unina/placement.h"
#include "unina/tensor.h"

namespace unina {

// The two maps of one level: class logits and box distances, of equal height and width.
struct LevelFormat {
  int stride = 0;
  TensorFormat classes;
  TensorFormat boxes;
};

struct LevelMaps {
  const void* classes = nullptr;
  const void* boxes = nullptr;
};

struct DecodeSpec {
  int reg_max = 0;
  std::vector<float> thresholds;  // the score that a detection of each class must reach
  int max_detections = 0;
};

// Sparse: only the cells whose best class reaches its threshold are decoded. Maps are int8,
// compared as integers, float16 or float32, of any layout, and the two of a level may differ; they
// are read in place. Holds its scratch memory: one object a thread.
class Decoder {
 public:
  // Throws Error when formats, strides and spec do not fit each other.
  Decoder(const DecodeSpec& spec, const std::vector<LevelFormat>& levels);
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;

  // One class a cell, the one with the largest logit (the first of equals). Boxes are clipped to
  // the source picture, empty ones dropped; sorted by falling score, ties in order of level, row,
  // column.
  Detections decode(const std::vector<LevelMaps>& maps, const Placement& placement);
  // The same into memory that is there already: takes none where `found` has room for
  // max_detections.
  void decode(const std::vector<LevelMaps>& maps, const Placement& placement, Detections& found);

 private:
  class Level;
  class Best;
  DecodeSpec spec_;
  std::vector<std::unique_ptr<Level>> levels_;
  std::unique_ptr<Best> best_;
};

}  // namespace unina
