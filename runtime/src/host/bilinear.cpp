// Bilinear enlargement by whole factors: weights are whole numbers, so every sum is exact and is
// requantised once.
#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/bilinear.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "host/requantise-inl.h"
#include "host/spans.h"

HWY_BEFORE_NAMESPACE();
namespace unina::host {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// to[i] = the weighted sum of two rows, 64 * 128 at most; values: a multiple of 32.
void blend_rows(const std::int8_t* first, const std::int8_t* second, int first_weight,
                int second_weight, std::int16_t* to, std::size_t values) {
  const hn::CappedTag<std::int16_t, 32> d;
  const hn::Rebind<std::int8_t, decltype(d)> d8;
  const auto u = hn::Set(d, static_cast<std::int16_t>(first_weight));
  const auto v = hn::Set(d, static_cast<std::int16_t>(second_weight));
  for (std::size_t i = 0; i < values; i += hn::Lanes(d)) {
    const auto a = hn::PromoteTo(d, hn::LoadU(d8, first + i));
    const auto b = hn::PromoteTo(d, hn::LoadU(d8, second + i));
    hn::StoreU(hn::Add(hn::Mul(a, u), hn::Mul(b, v)), d, to + i);
  }
}

// One pixel of 32 channels out of two of a blended row.
template <Rounding kRounding>
void blend_pixels(const std::int16_t* first, const std::int16_t* second, int first_weight,
                  int second_weight, float multiplier, std::int8_t* to) {
  const hn::CappedTag<std::int32_t, 16> d;
  const hn::Rebind<std::int16_t, decltype(d)> d16;
  const hn::Rebind<float, decltype(d)> df;
  const auto u = hn::Set(d, first_weight), v = hn::Set(d, second_weight);
  const auto m = hn::Set(df, multiplier), lowest = hn::Set(df, -128.0f);
  for (std::size_t i = 0; i < 32; i += hn::Lanes(d)) {
    const auto a = hn::PromoteTo(d, hn::LoadU(d16, first + i));
    const auto b = hn::PromoteTo(d, hn::LoadU(d16, second + i));
    const auto sum = hn::Add(hn::Mul(a, u), hn::Mul(b, v));
    store_int8(d, requantise<kRounding>(d, sum, m, lowest), to + i);
  }
}

using BlendPixels = void (*)(const std::int16_t*, const std::int16_t*, int, int, float,
                             std::int8_t*);

BlendPixels blend_pixels_in(Rounding rounding) {
  return rounding == Rounding::kHalfAway ? blend_pixels<Rounding::kHalfAway>
                                         : blend_pixels<Rounding::kHalfEven>;
}

}  // namespace HWY_NAMESPACE
}  // namespace unina::host
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina::host {
namespace {

HWY_EXPORT(blend_rows);
HWY_EXPORT(blend_pixels_in);

constexpr std::size_t kPixel = 32;  // channels, and bytes

// The two input pixels that make an output pixel on one axis. Their weights are together 2 *
// factor.
struct Taps {
  int first, second;
  int first_weight, second_weight;
};

// Of every output pixel on one axis with `pixels` input pixels.
std::vector<Taps> taps_of_axis(int pixels, int factor, Corner corner) {
  const int whole = 2 * factor;  // positions are counted in 1 / whole pixels
  std::vector<Taps> taps;
  for (int i = 0; i < pixels * factor; ++i) {
    const int at = std::clamp(corner == Corner::kHalfPixel ? 2 * i + 1 - factor : 2 * i, 0,
                              whole * (pixels - 1));
    const int first = at / whole, rest = at % whole;
    taps.push_back({first, std::min(first + 1, pixels - 1), whole - rest, rest});
  }
  return taps;
}

class Bilinear final : public Step {
 public:
  Bilinear(const Operator& op, const Buffer& in, const Buffer& out, Rounding rounding)
      : rows_(HWY_DYNAMIC_DISPATCH(blend_rows)),
        pixels_(HWY_DYNAMIC_DISPATCH(blend_pixels_in)(rounding)),
        in_(in),
        out_(out),
        multiplier_(op.multiplier[0]),
        taps_y_(taps_of_axis(in.format.height, op.factor.y, op.corner)),
        taps_x_(taps_of_axis(in.format.width, op.factor.x, op.corner)) {}

  std::size_t scratch_bytes() const override {
    return in_.format.row_stride * sizeof(std::int16_t);
  }

  void run(const Workspace& workspace) override {
    for_each_row(workspace, out_, [&](int block, int y, int worker) {
      blend_row(
          block, y,
          reinterpret_cast<std::int16_t*>(workspace.scratch[static_cast<std::size_t>(worker)]));
    });
  }

 private:
  // Down the columns first, into `blended`, then along the row.
  void blend_row(int block, int y, std::int16_t* blended) const {
    const Taps& rows = taps_y_[static_cast<std::size_t>(y)];
    rows_(in_.row(block, rows.first), in_.row(block, rows.second), rows.first_weight,
          rows.second_weight, blended, in_.format.row_stride);
    std::int8_t* to = out_.row(block, y);
    for (const Taps& columns : taps_x_) {
      pixels_(blended + static_cast<std::size_t>(columns.first) * kPixel,
              blended + static_cast<std::size_t>(columns.second) * kPixel, columns.first_weight,
              columns.second_weight, multiplier_, to);
      to += kPixel;
    }
  }

  decltype(&HWY_STATIC_DISPATCH(blend_rows)) rows_;
  decltype(HWY_STATIC_DISPATCH(blend_pixels_in)(Rounding{})) pixels_;
  Buffer in_, out_;
  float multiplier_;
  std::vector<Taps> taps_y_, taps_x_;
};

}  // namespace

std::unique_ptr<Step> make_bilinear(const Operator& op, const Buffer& in, const Buffer& out,
                                    Rounding rounding) {
  return std::make_unique<Bilinear>(op, in, out, rounding);
}

}  // namespace unina::host
#endif  // HWY_ONCE
