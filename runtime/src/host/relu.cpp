// max(q, 0).
#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/relu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "host/spans.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void relu_span(const std::int8_t* from, std::int8_t* to, std::size_t bytes) {
  const hn::CappedTag<std::int8_t, 32> d;
  for (std::size_t i = 0; i < bytes; i += hn::Lanes(d))
    hn::StoreU(hn::Max(hn::LoadU(d, from + i), hn::Zero(d)), d, to + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {
namespace {

HWY_EXPORT(relu_span);

class Relu final : public Step {
 public:
  Relu(const Buffer& in, const Buffer& out)
      : span_(HWY_DYNAMIC_DISPATCH(relu_span)), in_(in), out_(out) {}

  void run(const Workspace& workspace) override {
    for_each_span(workspace, chw32_bytes(out_), [&](std::size_t begin, std::size_t bytes) {
      span_(in_.data + begin, out_.data + begin, bytes);
    });
  }

 private:
  decltype(&HWY_STATIC_DISPATCH(relu_span)) span_;
  Buffer in_, out_;
};

}  // namespace

std::unique_ptr<Step> make_relu(const Buffer& in, const Buffer& out) {
  return std::make_unique<Relu>(in, out);
}

}  // namespace unina::host
#endif  // HWY_ONCE
