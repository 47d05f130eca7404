// round(float32(a + b) * m), clamped: the two inputs have one scale.
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

template <Rounding kRounding>
void add_span(const std::int8_t* a, const std::int8_t* b, std::int8_t* to, std::size_t bytes,
              float multiplier, float low) {
  const hn::CappedTag<std::int32_t, 16> d;
  const hn::Rebind<std::int8_t, decltype(d)> d8;
  const hn::Rebind<float, decltype(d)> df;
  const auto m = hn::Set(df, multiplier);
  const auto lowest = hn::Set(df, low);
  for (std::size_t i = 0; i < bytes; i += hn::Lanes(d)) {
    const auto sum =
        hn::Add(hn::PromoteTo(d, hn::LoadU(d8, a + i)), hn::PromoteTo(d, hn::LoadU(d8, b + i)));
    store_int8(d, requantise<kRounding>(d, sum, m, lowest), to + i);
  }
}

void add_span_half_away(const std::int8_t* a, const std::int8_t* b, std::int8_t* to,
                        std::size_t bytes, float multiplier, float low) {
  add_span<Rounding::kHalfAway>(a, b, to, bytes, multiplier, low);
}

void add_span_half_even(const std::int8_t* a, const std::int8_t* b, std::int8_t* to,
                        std::size_t bytes, float multiplier, float low) {
  add_span<Rounding::kHalfEven>(a, b, to, bytes, multiplier, low);
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {
namespace {

HWY_EXPORT(add_span_half_away);
HWY_EXPORT(add_span_half_even);

class Add final : public Step {
 public:
  Add(const Operator& op, const Buffer& a, const Buffer& b, const Buffer& out, Rounding rounding)
      : span_(rounding == Rounding::kHalfAway ? HWY_DYNAMIC_DISPATCH(add_span_half_away)
                                              : HWY_DYNAMIC_DISPATCH(add_span_half_even)),
        a_(a),
        b_(b),
        out_(out),
        multiplier_(op.multiplier[0]),
        low_(op.relu ? 0.0f : -128.0f) {}

  void run(const Workspace& workspace) override {
    for_each_span(workspace, chw32_bytes(out_), [&](std::size_t begin, std::size_t bytes) {
      span_(a_.data + begin, b_.data + begin, out_.data + begin, bytes, multiplier_, low_);
    });
  }

 private:
  decltype(&HWY_STATIC_DISPATCH(add_span_half_away)) span_;
  Buffer a_, b_, out_;
  float multiplier_, low_;
};

}  // namespace

std::unique_ptr<Step> make_add(const Operator& op, const Buffer& a, const Buffer& b,
                               const Buffer& out, Rounding rounding) {
  return std::make_unique<Add>(op, a, b, out, rounding);
}

}  // namespace unina::host
#endif  // HWY_ONCE
