// TensorRT's builder of shapes, with our declarations and with NVIDIA's: sizes that a test can
// read.
#pragma once

#include <cstdint>
#include <deque>

#include "nvinfer_plugin_abi.h"

#ifdef UNINA_TRT_REAL

class FakeExpression : public nvinfer1::IDimensionExpr {
 public:
  explicit FakeExpression(std::int64_t of) : value(of) {}
  std::int64_t value;
};

class FakeExpressions : public nvinfer1::IExprBuilder, nvinfer1::apiv::VExprBuilder {
 public:
  FakeExpressions() { mImpl = this; }
  const nvinfer1::IDimensionExpr* constant(std::int64_t value) override {
    return &made_.emplace_back(value);
  }
  const nvinfer1::IDimensionExpr* operation(nvinfer1::DimensionOperation,
                                            const nvinfer1::IDimensionExpr&,
                                            const nvinfer1::IDimensionExpr&) override {
    return nullptr;
  }
  const nvinfer1::IDimensionExpr* declareSizeTensor(std::int32_t, const nvinfer1::IDimensionExpr&,
                                                    const nvinfer1::IDimensionExpr&) override {
    return nullptr;
  }

 private:
  std::deque<FakeExpression> made_;
};

inline std::int64_t value_of(const nvinfer1::IDimensionExpr* expression) {
  return static_cast<const FakeExpression*>(expression)->value;
}

#else

class nvinfer1::IDimensionExpr {
 public:
  explicit IDimensionExpr(std::int64_t of) : value(of) {}
  std::int64_t value;
};

class FakeExpressions : public nvinfer1::IExprBuilder {
 public:
  std::deque<nvinfer1::IDimensionExpr> made;
};

// Not inline: the plugin's own file calls it.
const nvinfer1::IDimensionExpr* nvinfer1::IExprBuilder::constant(int64_t value) noexcept {
  return &static_cast<FakeExpressions*>(this)->made.emplace_back(value);
}

inline std::int64_t value_of(const nvinfer1::IDimensionExpr* expression) {
  return expression->value;
}

#endif
