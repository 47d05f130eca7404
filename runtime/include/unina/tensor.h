// What a tensor looks like in memory. The formats are those of NVIDIA's DLA (TensorRT developer
// guide, "I/O formats on DLA"), so that preprocess and decode read and write an accelerator's own
// buffers and nothing is copied in between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace unina {

enum class DataType { kInt8, kFloat16, kFloat32 };

enum class Layout {
  kLinear,  // [C][H][W]
  kHwc4,    // [H][W][4], C <= 4, the unused channels zero
  kChw16,   // [ceil(C/16)][H][W][16]
  kChw32,   // [ceil(C/32)][H][W][32]
};

// Shape, type and byte strides of one image-like tensor (batch 1).
struct TensorFormat {
  DataType type = DataType::kInt8;
  Layout layout = Layout::kLinear;
  int channels = 0;
  int height = 0;
  int width = 0;
  std::size_t row_stride = 0;      // bytes from row y to row y + 1
  std::size_t channel_stride = 0;  // bytes from one channel block (or plane) to the next
  std::size_t bytes = 0;           // of the whole buffer
  float scale = 1.0f;              // real = scale * stored, for int8

  // A densely packed format; `row_alignment` rounds every row up (the DLA wants 64).
  static TensorFormat packed(DataType type, Layout layout, int channels, int height, int width,
                             float scale, std::size_t row_alignment = 1);

  // Channels that share one pixel: 1, 4, 16 or 32.
  int channels_per_pixel() const;
  std::size_t element_size() const;
  // Byte offset of element (c, y, x).
  std::size_t offset(int c, int y, int x) const;
};

// A named buffer that somebody else owns.
struct TensorView {
  std::string name;
  TensorFormat format;
  void* data = nullptr;
};

// The real value of every element, of any type and layout, to float32 [C][H][W].
void read_real(const TensorView& from, float* to);

}  // namespace unina
