// Weights, biases and multipliers of one convolution in the order in which the kernel reads them.
#pragma once

#include <hwy/aligned_allocator.h>

#include <functional>
#include <vector>

#include "host/conv_kernel.h"
#include "host/step.h"

namespace unina::host {

// Consecutive output channels that one tile computes together.
struct ConvBlock {
  int first_channel = 0;  // a multiple of 16
  int groups = 0;         // of 16
  std::size_t runs_begin = 0, runs_end = 0;
  std::size_t weights = 0;  // bytes from the start of the packed weights
};

struct ConvParameters {
  std::vector<ConvBlock> blocks;
  std::vector<UnitRun> runs;
  hwy::AlignedFreeUniquePtr<std::uint8_t[]> weights;
  hwy::AlignedFreeUniquePtr<std::int32_t[]> bias;  // a multiple of 16 channels, the rest zero
  hwy::AlignedFreeUniquePtr<float[]> multiplier;   // likewise
  hwy::AlignedFreeUniquePtr<float[]> addend;       // likewise, FP19 only
};

// Bytes from a tile's first pixel to the pixel of channel block `block` that tap (ky, kx) reads.
using PixelOffset = std::function<std::int64_t(int block, int ky, int kx)>;

// Groups, depthwise among them, become dense convolutions of the channels that a block of outputs
// touches, with zero weights where an output and an input belong to different groups.
// Throws unina::Error when that takes more than 1 GiB, or FP19 can't hold a channel's scale or
// bias.
ConvParameters pack_parameters(const Operator& op, const TensorFormat& in, const TensorFormat& out,
                               const ConvTarget& target, Pointwise pointwise,
                               const PixelOffset& pixel_offset);

}  // namespace unina::host
