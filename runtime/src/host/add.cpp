// round(float32(a + b) * m), clamped: the two inputs have one scale. In FP19 every step is rounded.
#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/add.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "host/requantise-inl.h"
#include "host/spans.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <Rounding kRounding, Pointwise kPointwise>
void add_span(const std::int8_t* a, const std::int8_t* b, std::int8_t* to, std::size_t bytes,
              float multiplier, [[maybe_unused]] float inverse, float low) {
  const hn::CappedTag<std::int32_t, 16> d;
  const hn::Rebind<std::int8_t, decltype(d)> d8;
  const hn::Rebind<float, decltype(d)> df;
  const auto m = hn::Set(df, multiplier);
  const auto lowest = hn::Set(df, low);
  for (std::size_t i = 0; i < bytes; i += hn::Lanes(d)) {
    const auto wide_a = hn::PromoteTo(d, hn::LoadU(d8, a + i));
    const auto wide_b = hn::PromoteTo(d, hn::LoadU(d8, b + i));
    if constexpr (kPointwise == Pointwise::kFp32) {
      store_int8(d, requantise<kRounding>(d, hn::Add(wide_a, wide_b), m, lowest), to + i);
    } else {  // an int8 is exact in FP19
      const auto real_b = to_fp19(df, hn::Mul(hn::ConvertTo(df, wide_b), m));
      store_int8(d, requantise_fp19<kRounding>(d, wide_a, m, real_b, hn::Set(df, inverse), lowest),
                 to + i);
    }
  }
}

using AddSpan = void (*)(const std::int8_t*, const std::int8_t*, std::int8_t*, std::size_t, float,
                         float, float);

AddSpan add_span_of(Arithmetic arithmetic) {
  const bool away = arithmetic.rounding == Rounding::kHalfAway;
  if (arithmetic.pointwise == Pointwise::kFp32)
    return away ? add_span<Rounding::kHalfAway, Pointwise::kFp32>
                : add_span<Rounding::kHalfEven, Pointwise::kFp32>;
  return away ? add_span<Rounding::kHalfAway, Pointwise::kFp19>
              : add_span<Rounding::kHalfEven, Pointwise::kFp19>;
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {
namespace {

HWY_EXPORT(add_span_of);

class Add final : public Step {
 public:
  Add(const Operator& op, const Buffer& a, const Buffer& b, const Buffer& out,
      Arithmetic arithmetic)
      : span_(HWY_DYNAMIC_DISPATCH(add_span_of)(arithmetic)),
        a_(a),
        b_(b),
        out_(out),
        multiplier_(op.multiplier[0]),
        low_(op.relu ? 0.0f : -128.0f) {
    if (arithmetic.pointwise == Pointwise::kFp32) return;
    settled_fp19(128.0f * a.format.scale, "128 * the scale of the inputs");  // else inf - inf
    multiplier_ = to_fp19(a.format.scale);
    inverse_ = inverse_fp19(out.format.scale);
  }

  void run(const Workspace& workspace) override {
    for_each_span(workspace, chw32_bytes(out_), [&](std::size_t begin, std::size_t bytes) {
      span_(a_.data + begin, b_.data + begin, out_.data + begin, bytes, multiplier_, inverse_,
            low_);
    });
  }

 private:
  decltype(HWY_STATIC_DISPATCH(add_span_of)(Arithmetic{})) span_;
  Buffer a_, b_, out_;
  float multiplier_;      // in FP19 the scale of the inputs
  float inverse_ = 0.0f;  // FP19 only: 1 / scale of the output
  float low_;
};

}  // namespace

std::unique_ptr<Step> make_add(const Operator& op, const Buffer& a, const Buffer& b,
                               const Buffer& out, Arithmetic arithmetic) {
  return std::make_unique<Add>(op, a, b, out, arithmetic);
}

}  // namespace unina::host
#endif  // HWY_ONCE
