#include "preprocess/store_row.h"

#include <algorithm>
#include <cstring>

#include "preprocess/letterbox_definition.h"

namespace unina {
namespace {

// Pixels whose colours lie side by side in `group` bytes, zeros after the third.
template <int group, typename Pixel>
void store_groups(int count, std::int8_t* out, Pixel pixel) {
  for (int x = 0; x < count; ++x, out += group) {
    std::int8_t colors[4] = {};
    pixel(x, colors);
    std::memcpy(out, colors, sizeof colors);
    std::memset(out + 4, 0, group - 4);
  }
}

template <typename Pixel>
void store_groups(int group, int count, std::int8_t* out, Pixel pixel) {
  if (group == 4) return store_groups<4>(count, out, pixel);
  if (group == 16) return store_groups<16>(count, out, pixel);
  store_groups<32>(count, out, pixel);
}

// The first `group` bytes of `out` again and again, twice as many at a time.
void repeat(std::size_t group, int count, std::int8_t* out) {
  const std::size_t bytes = group * static_cast<std::size_t>(count);
  for (std::size_t done = group; done < bytes; done *= 2) {
    std::memcpy(out + done, out, std::min(done, bytes - done));
  }
}

bool is_centred(const std::array<std::int8_t, 256>& stored) {
  for (int value = 0; value < 256; ++value) {
    if (stored[static_cast<std::size_t>(value)] != value - 128) return false;
  }
  return true;
}

}  // namespace

StoreRow::StoreRow(const PixelSpec& pixels, const TensorFormat& format, PixelFormat resized)
    : stored_(stored_values(pixels, format.scale)),
      padding_(stored_[pixels.letterbox_value]),
      format_(format),
      alpha_(resized == PixelFormat::kRgba),
      reversed_((pixels.color == ColorOrder::kRgb) != alpha_),
      centred_(is_centred(stored_)) {}

void StoreRow::operator()(const std::uint8_t* pixels, int count, std::int8_t* tensor, int x,
                          int y) const {
  const int group = format_.channels_per_pixel();
  const bool linear = format_.layout == Layout::kLinear;
  if (centred_ && (linear || group == 4)) {
    std::int8_t* planes[3] = {tensor + format_.offset(0, y, x)};
    if (linear) planes[1] = tensor + format_.offset(1, y, x);
    if (linear) planes[2] = tensor + format_.offset(2, y, x);
    const int done = store_centred(alpha_, reversed_, !linear)(pixels, count, planes);
    pixels += done * (alpha_ ? 4 : 3);
    count -= done;
    x += done;
  }
  const int step = alpha_ ? 4 : 3;
  const int first = reversed_ ? 2 : 0, third = 2 - first;
  if (!linear) {
    store_groups(group, count, tensor + format_.offset(0, y, x), [&](int at, std::int8_t* out) {
      const std::uint8_t* pixel = pixels + at * step;
      out[0] = stored_[pixel[first]];
      out[1] = stored_[pixel[1]];
      out[2] = stored_[pixel[third]];
    });
    return;
  }
  for (int c = 0; c < 3; ++c) {
    std::int8_t* out = tensor + format_.offset(c, y, x);
    const std::uint8_t* color = pixels + (reversed_ ? 2 - c : c);
    for (int i = 0; i < count; ++i) out[i] = stored_[color[i * step]];
  }
}

void StoreRow::pad(int count, std::int8_t* tensor, int x, int y) const {
  if (count < 1) return;
  if (format_.layout != Layout::kLinear) {
    std::int8_t* out = tensor + format_.offset(0, y, x);
    const int group = format_.channels_per_pixel();
    store_groups(group, 1, out, [&](int, std::int8_t* first) { std::fill_n(first, 3, padding_); });
    repeat(static_cast<std::size_t>(group), count, out);
    return;
  }
  for (int c = 0; c < 3; ++c) {
    std::fill_n(tensor + format_.offset(c, y, x), count, padding_);
  }
}

}  // namespace unina
