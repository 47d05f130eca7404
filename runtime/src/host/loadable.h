// A host.loadable as plain data: what docs/bundle.md lays down, read and checked once, so that the
// engine behind it may trust every number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "unina/host_engine.h"
#include "unina/tensor.h"

namespace unina::host {

// One tensor of batch 1, int8 (real = scale * stored) or float16.
struct Tensor {
  std::string name;
  int channels = 0;
  int height = 0;
  int width = 0;
  DataType type = DataType::kInt8;
  float scale = 1.0f;  // int8 only
};

struct Extent {
  int y = 1;
  int x = 1;
};

struct Pads {
  int top = 0;
  int left = 0;
  int bottom = 0;
  int right = 0;
};

enum class OperatorType {
  kConv,
  kRelu,
  kAdd,
  kConcat,
  kMaxPool,
  kResize,
  kTable,
  kMul,
  kMax,
  kMin,
  kAvgPool,
  kBilinear,
  kDepthToSpace,
};

// Which point of an input pixel and of the output pixels made of it falls on the same place.
enum class Corner { kHalfPixel, kAsymmetric };

// One operator; the fields that its type has no use for keep their defaults.
struct Operator {
  OperatorType type = OperatorType::kRelu;
  std::string label;                   // how messages call it: "op 3 (conv /stem/Conv)"
  std::vector<int> inputs;             // indices into Loadable::tensors
  int output = 0;                      // likewise
  Extent kernel, stride, dilation;     // conv, maxpool, avgpool
  Pads pads;                           // conv, maxpool, avgpool
  int groups = 1;                      // conv
  bool relu = false;                   // conv, add
  std::vector<std::int8_t> weights;    // conv: O x I/groups x kernel.y x kernel.x
  std::vector<std::int32_t> bias;      // conv: O
  std::vector<float> multiplier;       // conv: O; add, mul, bilinear: 1
  Extent factor;                       // resize, bilinear
  Corner corner = Corner::kHalfPixel;  // bilinear
  Extent block;                        // depthtospace
  std::vector<std::int8_t> table;      // table: 256, for the inputs -128 to 127

  // A promoted conv has these in place of weights, bias and multiplier.
  bool in_float16 = false;
  std::vector<std::uint16_t> float16_weights;  // O x I/groups x kernel.y x kernel.x, finite
  std::vector<float> float_bias;               // O
  float inverse_scale = 1.0f;                  // 1 / scale of an int8 output
};

struct Loadable {
  Rounding rounding = Rounding::kHalfAway;
  std::vector<Tensor> tensors;
  std::vector<int> inputs;   // indices into tensors
  std::vector<int> outputs;  // likewise
  std::vector<Operator> operators;
};

// Reads `size` bytes; `name` stands in messages. Whatever the bytes are, the result is either a
// loadable whose shapes, scales and offsets agree, or an unina::Error of one line.
Loadable parse_loadable(const std::uint8_t* bytes, std::size_t size, const std::string& name);

// Throws unina::Error when operators and tensors do not fit together: order, shapes, equal scales,
// limits. Part of parse_loadable.
void check_graph(const Loadable& loadable, const std::string& name);

}  // namespace unina::host
