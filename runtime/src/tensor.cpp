#include "unina/tensor.h"

#include <cstdint>

#include "float16.h"

namespace unina {
namespace {

float real_value(const TensorFormat& format, const void* at) {
  switch (format.type) {
    case DataType::kInt8:
      return format.scale * static_cast<float>(*static_cast<const std::int8_t*>(at));
    case DataType::kFloat16:
      return float_from_float16(*static_cast<const std::uint16_t*>(at));
    case DataType::kFloat32:
      break;
  }
  return *static_cast<const float*>(at);
}

}  // namespace

int TensorFormat::channels_per_pixel() const {
  switch (layout) {
    case Layout::kLinear:
      return 1;
    case Layout::kHwc4:
      return 4;
    case Layout::kChw16:
      return 16;
    case Layout::kChw32:
      return 32;
  }
  return 1;
}

std::size_t TensorFormat::element_size() const {
  switch (type) {
    case DataType::kInt8:
      return 1;
    case DataType::kFloat16:
      return 2;
    case DataType::kFloat32:
      return 4;
  }
  return 1;
}

std::size_t TensorFormat::offset(int c, int y, int x) const {
  const int group = channels_per_pixel();
  return static_cast<std::size_t>(c / group) * channel_stride +
         static_cast<std::size_t>(y) * row_stride +
         (static_cast<std::size_t>(x) * group + static_cast<std::size_t>(c % group)) *
             element_size();
}

TensorFormat TensorFormat::packed(DataType type, Layout layout, int channels, int height, int width,
                                  float scale, std::size_t row_alignment) {
  TensorFormat format;
  format.type = type;
  format.layout = layout;
  format.channels = channels;
  format.height = height;
  format.width = width;
  format.scale = scale;
  const std::size_t group = static_cast<std::size_t>(format.channels_per_pixel());
  const std::size_t row = static_cast<std::size_t>(width) * group * format.element_size();
  format.row_stride = (row + row_alignment - 1) / row_alignment * row_alignment;
  format.channel_stride = format.row_stride * static_cast<std::size_t>(height);
  const std::size_t blocks = (static_cast<std::size_t>(channels) + group - 1) / group;
  format.bytes = format.channel_stride * blocks;
  return format;
}

void read_real(const TensorView& from, float* to) {
  const auto* data = static_cast<const std::uint8_t*>(from.data);
  for (int c = 0; c < from.format.channels; ++c) {
    for (int y = 0; y < from.format.height; ++y) {
      for (int x = 0; x < from.format.width; ++x) {
        *to++ = real_value(from.format, data + from.format.offset(c, y, x));
      }
    }
  }
}

}  // namespace unina
