// round(float32(a * b) * m), clamped; b is as large as a, or one factor a channel. In FP19 every
// step is rounded.
#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/mul.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "host/requantise-inl.h"
#include "host/spans.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Only the bits of `b_mask` count b on: 31 repeats one pixel. In fp32 `scale_a` is the multiplier.
template <Rounding kRounding, Pointwise kPointwise>
void mul_span(const std::int8_t* a, const std::int8_t* b, std::size_t b_mask, std::int8_t* to,
              std::size_t bytes, float scale_a, [[maybe_unused]] float scale_b,
              [[maybe_unused]] float inverse) {
  const hn::CappedTag<std::int32_t, 16> d;
  const hn::Rebind<std::int8_t, decltype(d)> d8;
  const hn::Rebind<float, decltype(d)> df;
  const auto lowest = hn::Set(df, -128.0f);
  for (std::size_t i = 0; i < bytes; i += hn::Lanes(d)) {
    const auto real_a = hn::ConvertTo(df, hn::PromoteTo(d, hn::LoadU(d8, a + i)));
    const auto real_b = hn::ConvertTo(df, hn::PromoteTo(d, hn::LoadU(d8, b + (i & b_mask))));
    if constexpr (kPointwise == Pointwise::kFp32) {  // the product of two int8 is exact
      const auto scaled = hn::Mul(hn::Mul(real_a, real_b), hn::Set(df, scale_a));
      store_int8(d, round_clamped<kRounding>(d, scaled, lowest), to + i);
    } else {
      const auto x = to_fp19(df, hn::Mul(real_a, hn::Set(df, scale_a)));
      const auto y = to_fp19(df, hn::Mul(real_b, hn::Set(df, scale_b)));
      const auto product = to_fp19(df, hn::Mul(x, y));
      const auto scaled = to_fp19(df, hn::Mul(product, hn::Set(df, inverse)));
      store_int8(d, round_clamped<kRounding>(d, scaled, lowest), to + i);
    }
  }
}

using MulSpan = void (*)(const std::int8_t*, const std::int8_t*, std::size_t, std::int8_t*,
                         std::size_t, float, float, float);

MulSpan mul_span_of(Arithmetic arithmetic) {
  const bool away = arithmetic.rounding == Rounding::kHalfAway;
  if (arithmetic.pointwise == Pointwise::kFp32)
    return away ? mul_span<Rounding::kHalfAway, Pointwise::kFp32>
                : mul_span<Rounding::kHalfEven, Pointwise::kFp32>;
  return away ? mul_span<Rounding::kHalfAway, Pointwise::kFp19>
              : mul_span<Rounding::kHalfEven, Pointwise::kFp19>;
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {
namespace {

HWY_EXPORT(mul_span_of);

class Mul final : public Step {
 public:
  Mul(const Operator& op, const Buffer& a, const Buffer& b, const Buffer& out,
      Arithmetic arithmetic)
      : span_(HWY_DYNAMIC_DISPATCH(mul_span_of)(arithmetic)),
        a_(a),
        b_(b),
        out_(out),
        scale_a_(op.multiplier[0]) {
    if (arithmetic.pointwise == Pointwise::kFp32) return;
    // The largest of all products is finite; so are the others, and none is 0 * inf.
    const float most_a =
        settled_fp19(128.0f * a.format.scale, "128 * the scale of the first input");
    const float most_b =
        settled_fp19(128.0f * b.format.scale, "128 * the scale of the second input");
    settled_fp19(most_a * most_b, "the largest product of the inputs");
    scale_a_ = to_fp19(a.format.scale);
    scale_b_ = to_fp19(b.format.scale);
    inverse_ = inverse_fp19(out.format.scale);
  }

  void run(const Workspace& workspace) override {
    if (b_.format.height == a_.format.height && b_.format.width == a_.format.width) {
      for_each_span(workspace, chw32_bytes(out_), [&](std::size_t begin, std::size_t bytes) {
        span_(a_.data + begin, b_.data + begin, ~std::size_t{0}, out_.data + begin, bytes, scale_a_,
              scale_b_, inverse_);
      });
      return;
    }
    for_each_row(workspace, out_, [&](int block, int y, int) {
      span_(a_.row(block, y), b_.row(block, 0), kPixel - 1, out_.row(block, y),
            out_.format.row_stride, scale_a_, scale_b_, inverse_);
    });
  }

 private:
  static constexpr std::size_t kPixel = 32;  // bytes

  decltype(HWY_STATIC_DISPATCH(mul_span_of)(Arithmetic{})) span_;
  Buffer a_, b_, out_;
  float scale_a_;                          // in fp32 the multiplier
  float scale_b_ = 0.0f, inverse_ = 0.0f;  // FP19 only
};

}  // namespace

std::unique_ptr<Step> make_mul(const Operator& op, const Buffer& a, const Buffer& b,
                               const Buffer& out, Arithmetic arithmetic) {
  return std::make_unique<Mul>(op, a, b, out, arithmetic);
}

}  // namespace unina::host
#endif  // HWY_ONCE
