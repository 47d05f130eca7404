// The larger or the smaller of two values: max and min.
#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/extreme.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "host/spans.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <OperatorType kType>
void extreme_span(const std::int8_t* a, const std::int8_t* b, std::int8_t* to, std::size_t bytes) {
  const hn::CappedTag<std::int8_t, 32> d;
  for (std::size_t i = 0; i < bytes; i += hn::Lanes(d)) {
    const auto left = hn::LoadU(d, a + i), right = hn::LoadU(d, b + i);
    if constexpr (kType == OperatorType::kMax)
      hn::StoreU(hn::Max(left, right), d, to + i);
    else
      hn::StoreU(hn::Min(left, right), d, to + i);
  }
}

using ExtremeSpan = void (*)(const std::int8_t*, const std::int8_t*, std::int8_t*, std::size_t);

ExtremeSpan extreme_span_of(OperatorType type) {
  return type == OperatorType::kMax ? extreme_span<OperatorType::kMax>
                                    : extreme_span<OperatorType::kMin>;
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {
namespace {

HWY_EXPORT(extreme_span_of);

class Extreme final : public Step {
 public:
  Extreme(const Operator& op, const Buffer& a, const Buffer& b, const Buffer& out)
      : span_(HWY_DYNAMIC_DISPATCH(extreme_span_of)(op.type)), a_(a), b_(b), out_(out) {}

  void run(const Workspace& workspace) override {
    for_each_span(workspace, chw32_bytes(out_), [&](std::size_t begin, std::size_t bytes) {
      span_(a_.data + begin, b_.data + begin, out_.data + begin, bytes);
    });
  }

 private:
  decltype(HWY_STATIC_DISPATCH(extreme_span_of)(OperatorType{})) span_;
  Buffer a_, b_, out_;
};

}  // namespace

std::unique_ptr<Step> make_extreme(const Operator& op, const Buffer& a, const Buffer& b,
                                   const Buffer& out) {
  return std::make_unique<Extreme>(op, a, b, out);
}

}  // namespace unina::host
#endif  // HWY_ONCE
