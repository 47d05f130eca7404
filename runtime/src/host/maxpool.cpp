// Max pooling. Padding never wins: taps outside the picture are left out. The loader made sure that
// every window holds a pixel.
#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/maxpool.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "host/step.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// to[i] = max over `count` rows, `stride` bytes apart, of from[row * stride + i]; bytes: a multiple
// of 32.
void max_of_rows(const std::int8_t* from, std::size_t stride, int count, std::int8_t* to,
                 std::size_t bytes) {
  const hn::CappedTag<std::int8_t, 32> d;
  for (std::size_t i = 0; i < bytes; i += hn::Lanes(d)) {
    auto best = hn::LoadU(d, from + i);
    for (int row = 1; row < count; ++row)
      best = hn::Max(best, hn::LoadU(d, from + static_cast<std::size_t>(row) * stride + i));
    hn::StoreU(best, d, to + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {
namespace {

HWY_EXPORT(max_of_rows);

constexpr std::size_t kPixel = 32;  // bytes

class MaxPool final : public Step {
 public:
  MaxPool(const Operator& op, const Buffer& in, const Buffer& out)
      : max_(HWY_DYNAMIC_DISPATCH(max_of_rows)),
        in_(in),
        out_(out),
        kernel_(op.kernel),
        stride_(op.stride),
        pads_(op.pads) {}

  std::size_t scratch_bytes() const override { return in_.format.row_stride; }

  void run(const Workspace& workspace) override {
    workspace.pool.run(out_.format.height, [&](int y, int worker) {
      for (int block = 0; block < out_.blocks(); ++block)
        pool_row(
            block, y,
            reinterpret_cast<std::int8_t*>(workspace.scratch[static_cast<std::size_t>(worker)]));
    });
  }

 private:
  // Down the columns first, into `column_max`, then along the row.
  void pool_row(int block, int y, std::int8_t* column_max) const {
    const int top = y * stride_.y - pads_.top;
    const int first_row = std::max(top, 0);
    const int last_row = std::min(top + kernel_.y, in_.format.height);
    max_(in_.row(block, first_row), in_.format.row_stride, last_row - first_row, column_max,
         static_cast<std::size_t>(in_.format.width) * kPixel);
    std::int8_t* to = out_.row(block, y);
    for (int x = 0; x < out_.format.width; ++x, to += kPixel) {
      const int left = x * stride_.x - pads_.left;
      const int first = std::max(left, 0);
      const int last = std::min(left + kernel_.x, in_.format.width);
      max_(column_max + static_cast<std::size_t>(first) * kPixel, kPixel, last - first, to, kPixel);
    }
  }

  decltype(&HWY_STATIC_DISPATCH(max_of_rows)) max_;
  Buffer in_, out_;
  Extent kernel_, stride_;
  Pads pads_;
};

}  // namespace

std::unique_ptr<Step> make_maxpool(const Operator& op, const Buffer& in, const Buffer& out) {
  return std::make_unique<MaxPool>(op, in, out);
}

}  // namespace unina::host
#endif  // HWY_ONCE
