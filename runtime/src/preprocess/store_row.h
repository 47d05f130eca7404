// A row of resized pixels into a row of the tensor: the last step of preprocessing on a CPU.
#pragma once

#include <array>
#include <cstdint>

#include "unina/letterbox.h"
#include "unina/tensor.h"

namespace unina {

class StoreRow {
 public:
  // `resized` is the format of the pixels that come: BGR or RGBA.
  StoreRow(const PixelSpec& pixels, const TensorFormat& format, PixelFormat resized);

  // `count` pixels to the tensor's pixels (x, y), (x + 1, y), ...
  void operator()(const std::uint8_t* pixels, int count, std::int8_t* tensor, int x, int y) const;
  // The same, of padding.
  void pad(int count, std::int8_t* tensor, int x, int y) const;

 private:
  std::array<std::int8_t, 256> stored_;
  std::int8_t padding_;
  TensorFormat format_;
  bool alpha_;     // four bytes a pixel come
  bool reversed_;  // the third colour that comes is the network's first
  bool centred_;   // every value is stored as value - 128, which needs no table
};

// The part of a row that whole vectors hold, for values stored as value - 128; returns how many
// pixels that were. Store into `planes[0]` pixel by pixel (HWC4), or into three planes.
using StoreCentred = int (*)(const std::uint8_t* pixels, int count, std::int8_t* const* planes);
StoreCentred store_centred(bool alpha, bool reversed, bool hwc4);

}  // namespace unina
