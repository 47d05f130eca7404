#include "host/conv_parameters.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "host/fp19.h"
#include "unina/error.h"

namespace unina::host {
namespace {

constexpr std::int64_t kMaxWeightBytes = std::int64_t{1} << 30;

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

template <typename T>
hwy::AlignedFreeUniquePtr<T[]> zeros(std::size_t count) {
  auto result = hwy::AllocateAligned<T>(count);
  if (!result) throw Error("no memory for the packed weights");
  std::memset(static_cast<void*>(result.get()), 0, count * sizeof(T));
  return result;
}

class Packer {
 public:
  Packer(const Operator& op, const TensorFormat& in, const TensorFormat& out,
         const ConvTarget& target, Pointwise pointwise, const PixelOffset& pixel_offset)
      : op_(op),
        target_(target),
        pointwise_(pointwise),
        output_scale_(out.scale),
        pixel_offset_(pixel_offset),
        channels_(out.channels),
        pixel_channels_(in.channels_per_pixel()),
        group_inputs_(in.channels / op.groups),
        group_outputs_(out.channels / op.groups) {}

  ConvParameters pack() {
    choose_blocks();
    // First the runs of every block, which say how large the weights will be.
    std::int64_t bytes = 0;
    for (ConvBlock& block : result_.blocks) {
      block.weights = static_cast<std::size_t>(bytes);
      block.runs_begin = result_.runs.size();
      for_each_pixel(block, [&](const Pixel& pixel) {
        add_run(block, pixel);
        bytes += std::int64_t{pixel.units} * block.groups * kGroup * kUnitBytes;
        if (bytes > kMaxWeightBytes) throw Error("the packed weights need more than 1 GiB");
      });
      block.runs_end = result_.runs.size();
    }
    pack_weights(static_cast<std::size_t>(bytes));
    pack_channels();
    return std::move(result_);
  }

 private:
  // What one tap reads of one pixel.
  struct Pixel {
    int ky, kx;
    int block;          // of input channels
    int first_channel;  // of the first unit
    int units;
  };

  void choose_blocks() {
    int most = target_.max_groups;
    // A tile whose outputs belong to one group reads that group's inputs only.
    if (op_.groups > 1)
      while (most > 1 && group_outputs_ % (most * kGroup) != 0) --most;
    const int all = round_up(channels_, kGroup) / kGroup;
    for (int group = 0; group < all; group += most) {
      ConvBlock block;
      block.first_channel = group * kGroup;
      block.groups = std::min(most, all - group);
      result_.blocks.push_back(block);
    }
  }

  // Every stretch of units that `block` reads, in the kernel's order.
  template <typename Visit>
  void for_each_pixel(const ConvBlock& block, const Visit& visit) const {
    const int last_channel = std::min(block.first_channel + block.groups * kGroup, channels_) - 1;
    const int begin = block.first_channel / group_outputs_ * group_inputs_;
    const int end = (last_channel / group_outputs_ + 1) * group_inputs_;
    const int per_unit = target_.channels_per_unit;
    for (int ky = 0; ky < op_.kernel.y; ++ky)
      for (int b = begin / pixel_channels_; b * pixel_channels_ < end; ++b)
        for (int kx = 0; kx < op_.kernel.x; ++kx) {
          const int first = std::max(begin, b * pixel_channels_) / per_unit * per_unit;
          const int last = std::min(end, (b + 1) * pixel_channels_);
          visit(Pixel{ky, kx, b, first, round_up(last - first, per_unit) / per_unit});
        }
  }

  void add_run(const ConvBlock& block, const Pixel& pixel) {
    const int skipped =
        (pixel.first_channel - pixel.block * pixel_channels_) / target_.channels_per_unit;
    const std::int64_t offset =
        pixel_offset_(pixel.block, pixel.ky, pixel.kx) + skipped * kUnitBytes;
    if (offset > std::numeric_limits<std::int32_t>::max()) throw Error("the input is too large");
    auto& runs = result_.runs;
    if (runs.size() > block.runs_begin &&
        runs.back().offset + runs.back().units * std::int64_t{kUnitBytes} == offset)
      runs.back().units += pixel.units;
    else
      runs.push_back({static_cast<std::int32_t>(offset), pixel.units});
  }

  void pack_weights(std::size_t bytes) {
    result_.weights = zeros<std::uint8_t>(bytes);
    std::uint8_t* to = result_.weights.get();
    for (const ConvBlock& block : result_.blocks)
      for_each_pixel(block, [&](const Pixel& pixel) {
        for (int unit = 0; unit < pixel.units; ++unit)
          for (int lane = 0; lane < block.groups * kGroup; ++lane, to += kUnitBytes)
            pack_unit(block.first_channel + lane, pixel,
                      pixel.first_channel + unit * target_.channels_per_unit, to);
      });
  }

  // The weights between output `k` and the channels of the unit that begins at `channel`.
  void pack_unit(int k, const Pixel& pixel, int channel, std::uint8_t* to) const {
    if (k >= channels_) return;  // padding: stays zero
    for (int i = 0; i < target_.channels_per_unit; ++i) {
      const int c = channel + i - k / group_outputs_ * group_inputs_;
      if (c < 0 || c >= group_inputs_) continue;  // another group's, or padding
      const std::size_t row =
          (static_cast<std::size_t>(k) * static_cast<std::size_t>(group_inputs_) +
           static_cast<std::size_t>(c)) *
              static_cast<std::size_t>(op_.kernel.y) +
          static_cast<std::size_t>(pixel.ky);
      const std::int8_t weight = op_.weights[row * static_cast<std::size_t>(op_.kernel.x) +
                                             static_cast<std::size_t>(pixel.kx)];
      if (target_.channels_per_unit == 4) {
        to[i] = static_cast<std::uint8_t>(weight);
      } else {
        const std::int16_t wide = weight;
        std::memcpy(to + 2 * i, &wide, sizeof wide);
      }
    }
  }

  void pack_channels() {
    const auto padded = static_cast<std::size_t>(round_up(channels_, kGroup));
    result_.bias = zeros<std::int32_t>(padded);
    result_.multiplier = zeros<float>(padded);
    const bool fp19 = pointwise_ == Pointwise::kFp19;
    if (fp19) result_.addend = zeros<float>(padded);
    const std::size_t taps = op_.weights.size() / static_cast<std::size_t>(channels_);
    for (std::size_t k = 0; k < op_.bias.size(); ++k) {
      // What stands for zero is added to every pixel, padding included; its part of the sum comes
      // off here. Unsigned, because it may wrap: the kernel's sum wraps back.
      std::uint32_t sum = 0;
      for (std::size_t tap = 0; tap < taps; ++tap)
        sum += static_cast<std::uint32_t>(std::int32_t{op_.weights[k * taps + tap]});
      result_.bias[k] = static_cast<std::int32_t>(
          static_cast<std::uint32_t>(fp19 ? 0 : op_.bias[k]) - sum * std::uint32_t{target_.zero});
      result_.multiplier[k] = op_.multiplier[k];
      if (fp19) {
        const float step =
            op_.multiplier[k] * output_scale_;  // scale of the input * of the weights
        const std::string channel = "channel " + std::to_string(k) + ": ";
        result_.multiplier[k] = settled_fp19(step, channel + "the scale of the accumulator");
        result_.addend[k] =
            settled_fp19(static_cast<float>(op_.bias[k]) * step, channel + "the bias");
      }
    }
  }

  const Operator& op_;
  const ConvTarget& target_;
  const Pointwise pointwise_;
  const float output_scale_;
  const PixelOffset& pixel_offset_;
  const int channels_;        // of the output
  const int pixel_channels_;  // input channels that share a pixel: 4 or 32
  const int group_inputs_, group_outputs_;
  ConvParameters result_;
};

}  // namespace

ConvParameters pack_parameters(const Operator& op, const TensorFormat& in, const TensorFormat& out,
                               const ConvTarget& target, Pointwise pointwise,
                               const PixelOffset& pixel_offset) {
  return Packer(op, in, out, target, pointwise, pixel_offset).pack();
}

}  // namespace unina::host
