// A promoted convolution (docs/integer-semantics.md): FP16 in, FP16 weights, float32 sums.
//
// A band of output rows at a time, the input rows that it needs are converted into scratch as
// float32, with their padding and all channels of a pixel side by side.
#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cstring>

#include "float16.h"
#include "host/float_tile.h"
#include "host/step.h"
#include "unina/error.h"

namespace unina::host {
namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{1} << 30;  // of scratch, and of packed weights
constexpr std::int64_t kBandBytes = 160 << 10;  // converted rows that stay in a core's L2
constexpr int kJobsPerThread = 4;               // evens out threads of unequal speed
constexpr float kMostFloat16 = 65504.0f;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// 16 output channels and the input channels that any of them reads. Groups, depthwise among them,
// become dense: a weight of zero changes no sum.
struct Block {
  int first_channel = 0;  // of the input
  int channels = 0;
  std::size_t taps = 0;     // index into taps_
  std::size_t weights = 0;  // index into weights_
};

class FloatConv final : public Step {
 public:
  FloatConv(const Operator& op, const Buffer& in, const Buffer& out, Rounding rounding, int threads)
      : target_(best_float_target()),
        in_(in),
        out_(out),
        kernel_(op.kernel),
        stride_(op.stride),
        dilation_(op.dilation),
        pads_(op.pads),
        low_(op.relu ? 0.0f : -kMostFloat16),
        inverse_(op.inverse_scale),
        convolve_(out.format.type == DataType::kFloat16
                      ? target_.to_float16
                      : target_.to_int8[static_cast<int>(rounding)]) {
    lay_out_scratch(threads);
    choose_blocks(op);
    pack(op);
  }

  std::size_t scratch_bytes() const override { return scratch_bytes_; }

  void run(const Workspace& workspace) override {
    const int jobs = (out_.format.height + band_rows_ - 1) / band_rows_;
    workspace.pool.run(jobs, [&](int job, int worker) {
      const int first = job * band_rows_;
      std::uint8_t* scratch = workspace.scratch[static_cast<std::size_t>(worker)];
      run_band(first, std::min(first + band_rows_, out_.format.height),
               reinterpret_cast<float*>(scratch));
    });
  }

 private:
  // --- at load ---

  void lay_out_scratch(int threads) {
    pixel_floats_ = std::int64_t{in_.blocks()} * in_.format.channels_per_pixel();
    // The last tile of a row may reach beyond it.
    columns_ = (round_up(out_.format.width, target_.tile_pixels) - 1) * stride_.x +
               std::int64_t{dilation_.x} * (kernel_.x - 1) + 1;
    row_floats_ = pixel_floats_ * columns_;
    const std::int64_t row_bytes = row_floats_ * static_cast<std::int64_t>(sizeof(float));
    const std::int64_t window = std::int64_t{dilation_.y} * (kernel_.y - 1) + 1;
    const std::int64_t fitting = (kBandBytes / row_bytes - window) / stride_.y + 1;
    band_rows_ =
        static_cast<int>(std::clamp<std::int64_t>(fitting, 1, std::int64_t{out_.format.height}));
    if (threads > 1)
      band_rows_ =
          std::min(band_rows_, std::max(1, out_.format.height / (threads * kJobsPerThread)));
    const std::int64_t bytes = row_bytes * ((band_rows_ - 1) * std::int64_t{stride_.y} + window);
    if (bytes > kMaxBytes) throw Error("one row of windows needs more than 1 GiB of scratch");
    scratch_bytes_ = static_cast<std::size_t>(bytes);
  }

  void choose_blocks(const Operator& op) {
    const int group_inputs = in_.format.channels / op.groups;
    const int group_outputs = out_.format.channels / op.groups;
    const std::int64_t window = std::int64_t{kernel_.y} * kernel_.x;
    std::int64_t taps = 0, weights = 0;
    for (int first = 0; first < out_.format.channels; first += kFloatGroup) {
      const int last = std::min(first + kFloatGroup, out_.format.channels) - 1;
      Block block;
      block.first_channel = first / group_outputs * group_inputs;
      block.channels = (last / group_outputs + 1) * group_inputs - block.first_channel;
      const bool as_before = !blocks_.empty() &&
                             blocks_.back().first_channel == block.first_channel &&
                             blocks_.back().channels == block.channels;
      block.taps = as_before ? blocks_.back().taps : static_cast<std::size_t>(taps);
      block.weights = static_cast<std::size_t>(weights);
      if (!as_before) taps += block.channels * window;
      weights += block.channels * window * kFloatGroup;
      if (weights > kMaxBytes / static_cast<std::int64_t>(sizeof(float)))
        throw Error("the packed weights need more than 1 GiB");
      blocks_.push_back(block);
    }
    taps_.resize(static_cast<std::size_t>(taps));
    weights_ = zeros(static_cast<std::size_t>(weights));
    bias_ = zeros(blocks_.size() * kFloatGroup);
  }

  static hwy::AlignedFreeUniquePtr<float[]> zeros(std::size_t count) {
    auto result = hwy::AllocateAligned<float>(count);
    if (!result) throw Error("no memory for the packed weights");
    std::fill_n(result.get(), count, 0.0f);
    return result;
  }

  // Taps in the order of the sums: input channel, kernel row, kernel column.
  void pack(const Operator& op) {
    const int group_inputs = in_.format.channels / op.groups;
    const int group_outputs = out_.format.channels / op.groups;
    const std::size_t window =
        static_cast<std::size_t>(kernel_.y) * static_cast<std::size_t>(kernel_.x);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const Block& block = blocks_[b];
      std::int32_t* tap = taps_.data() + block.taps;
      for (int c = block.first_channel; c < block.first_channel + block.channels; ++c)
        for (int ky = 0; ky < kernel_.y; ++ky)
          for (int kx = 0; kx < kernel_.x; ++kx)
            *tap++ = static_cast<std::int32_t>(ky * std::int64_t{dilation_.y} * row_floats_ +
                                               kx * std::int64_t{dilation_.x} * pixel_floats_ + c);
      for (int lane = 0; lane < kFloatGroup; ++lane) {
        const int k = static_cast<int>(b) * kFloatGroup + lane;
        if (k >= out_.format.channels) break;
        // The weights of output k lie side by side in the file and here, from its group's first
        // channel on.
        const int skipped = k / group_outputs * group_inputs - block.first_channel;
        const std::size_t count = static_cast<std::size_t>(group_inputs) * window;
        const std::uint16_t* from = op.float16_weights.data() + static_cast<std::size_t>(k) * count;
        float* to = weights_.get() + block.weights +
                    static_cast<std::size_t>(skipped) * window * kFloatGroup + lane;
        for (std::size_t i = 0; i < count; ++i) to[i * kFloatGroup] = float_from_float16(from[i]);
        // No sum begins at -0: then adding a zero, a padding's or another group's, changes nothing.
        bias_[static_cast<std::size_t>(k)] = op.float_bias[static_cast<std::size_t>(k)] + 0.0f;
      }
    }
  }

  // --- in every inference ---

  // Output rows [first, last).
  void run_band(int first, int last, float* scratch) const {
    const int window = dilation_.y * (kernel_.y - 1) + 1;
    const int rows = (last - first - 1) * stride_.y + window;
    for (int row = 0; row < rows; ++row)
      if (is_read(row))
        unpack_row(first * stride_.y - pads_.top + row, scratch + row * row_floats_);
    const int block_channels = out_.format.channels_per_pixel();
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      FloatTile tile = tile_of(b);
      const int channel = static_cast<int>(b) * kFloatGroup;
      for (int y = first; y < last; ++y) {
        const float* pixels = scratch + std::int64_t{y - first} * stride_.y * row_floats_;
        auto* out = reinterpret_cast<std::uint8_t*>(out_.row(channel / block_channels, y)) +
                    static_cast<std::size_t>(channel % block_channels);  // int8: the upper half
        for (int x = 0; x < out_.format.width; x += target_.tile_pixels) {
          tile.pixels = pixels + x * tile.step;
          tile.out = out + static_cast<std::size_t>(x) * kFloatPixelBytes;
          tile.count = std::min(target_.tile_pixels, out_.format.width - x);
          convolve_(tile);
        }
      }
    }
  }

  FloatTile tile_of(std::size_t b) const {
    const Block& block = blocks_[b];
    FloatTile tile{};
    tile.step = static_cast<std::ptrdiff_t>(stride_.x * pixel_floats_);
    tile.taps = taps_.data() + block.taps;
    tile.taps_end = tile.taps + std::int64_t{block.channels} * kernel_.y * kernel_.x;
    tile.weights = weights_.get() + block.weights;
    tile.bias = bias_.get() + b * kFloatGroup;
    tile.low = low_;
    tile.inverse = inverse_;
    return tile;
  }

  // Does any tap of any output row read converted row `row` of a band?
  bool is_read(int row) const {
    for (int ky = 0; ky < kernel_.y && ky * dilation_.y <= row; ++ky)
      if ((row - ky * dilation_.y) % stride_.y == 0) return true;
    return false;
  }

  void unpack_row(int y, float* to) const {
    if (y < 0 || y >= in_.format.height) {
      std::fill(to, to + row_floats_, 0.0f);
      return;
    }
    const std::int64_t begin = std::min<std::int64_t>(pads_.left, columns_);
    const std::int64_t end =
        std::clamp<std::int64_t>(std::int64_t{pads_.left} + in_.format.width, begin, columns_);
    std::fill(to, to + begin * pixel_floats_, 0.0f);
    std::fill(to + end * pixel_floats_, to + row_floats_, 0.0f);
    const auto step = static_cast<std::size_t>(pixel_floats_);
    const int count = static_cast<int>(end - begin);
    float* pixel = to + begin * pixel_floats_;
    for (int block = 0; block < in_.blocks(); ++block) {
      const std::int8_t* from = in_.row(block, y);
      if (in_.format.type == DataType::kFloat16)
        target_.unpack_chw16(reinterpret_cast<const std::uint16_t*>(from), pixel, step, count);
      else if (in_.format.layout == Layout::kHwc4)
        target_.unpack_hwc4(from, in_.format.scale, pixel, step, count);
      else
        target_.unpack_chw32(from, in_.format.scale, pixel, step, count);
      pixel += in_.format.channels_per_pixel();
    }
  }

  const FloatTarget& target_;
  Buffer in_, out_;
  Extent kernel_, stride_, dilation_;
  Pads pads_;
  float low_, inverse_;
  void (*convolve_)(const FloatTile& tile);

  // Scratch: [row][column][channel], in floats.
  std::int64_t pixel_floats_ = 0, row_floats_ = 0, columns_ = 0;
  int band_rows_ = 1;
  std::size_t scratch_bytes_ = 0;

  std::vector<Block> blocks_;
  std::vector<std::int32_t> taps_;
  hwy::AlignedFreeUniquePtr<float[]> weights_, bias_;
};

}  // namespace

std::unique_ptr<Step> make_float_conv(const Operator& op, const Buffer& in, const Buffer& out,
                                      Rounding rounding, int threads) {
  return std::make_unique<FloatConv>(op, in, out, rounding, threads);
}

}  // namespace unina::host
