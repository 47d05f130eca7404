// Average pooling: the mean of what a window shows of the picture, padding left out. The loader
// made sure that every window holds a pixel, and that every sum is exact in float32.
#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/avgpool.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "host/requantise-inl.h"
#include "host/spans.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// to[i] = the sum over `count` rows, `stride` bytes apart, of from[row * stride + i]; values: a
// multiple of 32.
void sum_of_rows(const std::int8_t* from, std::size_t stride, int count, std::int32_t* to,
                 std::size_t values) {
  const hn::CappedTag<std::int32_t, 16> d;
  const hn::Rebind<std::int8_t, decltype(d)> d8;
  for (std::size_t i = 0; i < values; i += hn::Lanes(d)) {
    auto sum = hn::Zero(d);
    for (int row = 0; row < count; ++row) {
      const std::int8_t* at = from + static_cast<std::size_t>(row) * stride + i;
      sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(d8, at)));
    }
    hn::StoreU(sum, d, to + i);
  }
}

// One pixel of 32 channels: the sums of `count` columns together, over `area` pixels.
template <Rounding kRounding>
void mean_of_columns(const std::int32_t* from, int count, float area, std::int8_t* to) {
  const hn::CappedTag<std::int32_t, 16> d;
  const hn::Rebind<float, decltype(d)> df;
  const auto pixels = hn::Set(df, area), lowest = hn::Set(df, -128.0f);
  for (std::size_t i = 0; i < 32; i += hn::Lanes(d)) {
    auto sum = hn::LoadU(d, from + i);
    for (int column = 1; column < count; ++column)
      sum = hn::Add(sum, hn::LoadU(d, from + static_cast<std::size_t>(column) * 32 + i));
    const auto mean = hn::Div(hn::ConvertTo(df, sum), pixels);
    store_int8(d, round_clamped<kRounding>(d, mean, lowest), to + i);
  }
}

using MeanOfColumns = void (*)(const std::int32_t*, int, float, std::int8_t*);

MeanOfColumns mean_of_columns_in(Rounding rounding) {
  return rounding == Rounding::kHalfAway ? mean_of_columns<Rounding::kHalfAway>
                                         : mean_of_columns<Rounding::kHalfEven>;
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {
namespace {

HWY_EXPORT(sum_of_rows);
HWY_EXPORT(mean_of_columns_in);

constexpr std::size_t kPixel = 32;  // channels, and bytes

class AvgPool final : public Step {
 public:
  AvgPool(const Operator& op, const Buffer& in, const Buffer& out, Rounding rounding)
      : sum_(HWY_DYNAMIC_DISPATCH(sum_of_rows)),
        mean_(HWY_DYNAMIC_DISPATCH(mean_of_columns_in)(rounding)),
        in_(in),
        out_(out),
        kernel_(op.kernel),
        stride_(op.stride),
        pads_(op.pads) {}

  std::size_t scratch_bytes() const override {
    return in_.format.row_stride * sizeof(std::int32_t);
  }

  void run(const Workspace& workspace) override {
    for_each_row(workspace, out_, [&](int block, int y, int worker) {
      pool_row(
          block, y,
          reinterpret_cast<std::int32_t*>(workspace.scratch[static_cast<std::size_t>(worker)]));
    });
  }

 private:
  // Down the columns first, into `column_sums`, then along the row.
  void pool_row(int block, int y, std::int32_t* column_sums) const {
    const int top = y * stride_.y - pads_.top;
    const int first_row = std::max(top, 0);
    const int rows = std::min(top + kernel_.y, in_.format.height) - first_row;
    sum_(in_.row(block, first_row), in_.format.row_stride, rows, column_sums,
         in_.format.row_stride);
    std::int8_t* to = out_.row(block, y);
    for (int x = 0; x < out_.format.width; ++x, to += kPixel) {
      const int left = x * stride_.x - pads_.left;
      const int first = std::max(left, 0);
      const int columns = std::min(left + kernel_.x, in_.format.width) - first;
      mean_(column_sums + static_cast<std::size_t>(first) * kPixel, columns,
            static_cast<float>(rows * columns), to);
    }
  }

  decltype(&HWY_STATIC_DISPATCH(sum_of_rows)) sum_;
  decltype(HWY_STATIC_DISPATCH(mean_of_columns_in)(Rounding{})) mean_;
  Buffer in_, out_;
  Extent kernel_, stride_;
  Pads pads_;
};

}  // namespace

std::unique_ptr<Step> make_avgpool(const Operator& op, const Buffer& in, const Buffer& out,
                                   Rounding rounding) {
  return std::make_unique<AvgPool>(op, in, out, rounding);
}

}  // namespace unina::host
#endif  // HWY_ONCE
