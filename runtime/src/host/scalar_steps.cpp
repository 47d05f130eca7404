// Every operator, element by element: slow, and as plain as docs/integer-semantics.md.
#include <algorithm>
#include <cmath>
#include <functional>

#include "host/step.h"

namespace unina::host {
namespace {

std::int8_t& element(const Buffer& b, int c, int y, int x) {
  return b.data[b.format.offset(c, y, x)];
}

std::int8_t requantise(std::int32_t value, float multiplier, Rounding rounding, bool relu) {
  const float v = static_cast<float>(value) * multiplier;
  float q;
  if (rounding == Rounding::kHalfAway) {
    q = std::trunc(v);
    if (std::fabs(v - q) >= 0.5f) q += std::copysign(1.0f, v);
  } else {
    q = std::nearbyint(v);
  }
  return static_cast<std::int8_t>(std::clamp(q, relu ? 0.0f : -128.0f, 127.0f));
}

class EachElement final : public Step {
 public:
  using Value = std::function<std::int8_t(int c, int y, int x)>;
  EachElement(Buffer out, Value value) : out_(std::move(out)), value_(std::move(value)) {}
  void run(const Workspace& workspace) override {
    workspace.pool.run(out_.format.height, [&](int y, int) {
      for (int c = 0; c < out_.format.channels; ++c)
        for (int x = 0; x < out_.format.width; ++x) element(out_, c, y, x) = value_(c, y, x);
    });
  }

 private:
  Buffer out_;
  Value value_;
};

std::unique_ptr<Step> each(const Buffer& out, EachElement::Value value) {
  return std::make_unique<EachElement>(out, std::move(value));
}

}  // namespace

std::unique_ptr<Step> make_relu(const Buffer& in, const Buffer& out) {
  return each(out,
              [in](int c, int y, int x) { return std::max(element(in, c, y, x), std::int8_t{0}); });
}

std::unique_ptr<Step> make_add(const Operator& op, const Buffer& a, const Buffer& b,
                               const Buffer& out, Rounding rounding) {
  return each(out, [op, a, b, rounding](int c, int y, int x) {
    return requantise(std::int32_t{element(a, c, y, x)} + element(b, c, y, x), op.multiplier[0],
                      rounding, op.relu);
  });
}

std::unique_ptr<Step> make_concat(const std::vector<Buffer>& inputs, const Buffer& out) {
  return each(out, [inputs](int c, int y, int x) {
    std::size_t part = 0;
    for (; c >= inputs[part].format.channels; ++part) c -= inputs[part].format.channels;
    return element(inputs[part], c, y, x);
  });
}

std::unique_ptr<Step> make_maxpool(const Operator& op, const Buffer& in, const Buffer& out) {
  return each(out, [op, in](int c, int y, int x) {
    std::int8_t best = -128;
    for (int ky = 0; ky < op.kernel.y; ++ky)
      for (int kx = 0; kx < op.kernel.x; ++kx) {
        const int sy = y * op.stride.y - op.pads.top + ky;
        const int sx = x * op.stride.x - op.pads.left + kx;
        if (sy >= 0 && sy < in.format.height && sx >= 0 && sx < in.format.width)
          best = std::max(best, element(in, c, sy, sx));
      }
    return best;
  });
}

std::unique_ptr<Step> make_resize(const Operator& op, const Buffer& in, const Buffer& out) {
  return each(out, [op, in](int c, int y, int x) {
    return element(in, c, y / op.factor.y, x / op.factor.x);
  });
}

}  // namespace unina::host
