// Values stored as value - 128: whole vectors of pixels, taken apart into colours and put together
// in the network's order.
#include "host/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "preprocess/store_centred.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "preprocess/store_row.h"

HWY_BEFORE_NAMESPACE();
namespace unina {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <bool alpha, bool reversed, bool hwc4>
int store_centred_row(const std::uint8_t* pixels, int count, std::int8_t* const* planes) {
  const hn::CappedTag<std::uint8_t, 16> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto half = hn::Set(d, 128);  // value - 128 in two's complement flips the top bit
  int x = 0;
  for (; x + lanes <= count; x += lanes) {
    hn::Vec<decltype(d)> colors[4];
    if constexpr (alpha) {
      hn::LoadInterleaved4(d, pixels + 4 * x, colors[0], colors[1], colors[2], colors[3]);
    } else {
      hn::LoadInterleaved3(d, pixels + 3 * x, colors[0], colors[1], colors[2]);
    }
    const auto first = hn::Xor(colors[reversed ? 2 : 0], half);
    const auto second = hn::Xor(colors[1], half);
    const auto third = hn::Xor(colors[reversed ? 0 : 2], half);
    if constexpr (hwc4) {
      auto* out = reinterpret_cast<std::uint8_t*>(planes[0]) + 4 * x;
      hn::StoreInterleaved4(first, second, third, hn::Zero(d), d, out);
    } else {
      hn::StoreU(first, d, reinterpret_cast<std::uint8_t*>(planes[0]) + x);
      hn::StoreU(second, d, reinterpret_cast<std::uint8_t*>(planes[1]) + x);
      hn::StoreU(third, d, reinterpret_cast<std::uint8_t*>(planes[2]) + x);
    }
  }
  return x;
}

StoreCentred store_centred_of(bool alpha, bool reversed, bool hwc4) {
  constexpr StoreCentred kAll[2][2][2] = {
      {{store_centred_row<false, false, false>, store_centred_row<false, false, true>},
       {store_centred_row<false, true, false>, store_centred_row<false, true, true>}},
      {{store_centred_row<true, false, false>, store_centred_row<true, false, true>},
       {store_centred_row<true, true, false>, store_centred_row<true, true, true>}}};
  return kAll[alpha][reversed][hwc4];
}

}  // namespace HWY_NAMESPACE
}  // namespace unina
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace unina {

HWY_EXPORT(store_centred_of);

StoreCentred store_centred(bool alpha, bool reversed, bool hwc4) {
  return HWY_DYNAMIC_DISPATCH(store_centred_of)(alpha, reversed, hwc4);
}

}  // namespace unina
#endif  // HWY_ONCE
