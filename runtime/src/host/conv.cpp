// Convolution: packs weights and biases for the kernel once, and rows of pixels as it goes.
//
// A band of output rows at a time, the input rows that it needs are copied into scratch with their
// padding, so that the kernel never meets a border. With a stride, the columns are dealt out to as
// many phases, so that neighbouring output pixels find their input side by side.
#include <algorithm>
#include <cstring>
#include <limits>

#include "host/conv_kernel.h"
#include "host/conv_parameters.h"
#include "host/fp19.h"
#include "host/step.h"
#include "unina/error.h"

namespace unina::host {
namespace {

constexpr std::int64_t kMaxScratchBytes = std::int64_t{1} << 30;
constexpr std::int64_t kBandBytes = 160 << 10;  // packed rows that stay in a core's L2
constexpr int kUnpackedPixels = 256;            // pixels of one job without packing
constexpr int kJobsPerThread = 4;               // evens out threads of unequal speed

// One tile of every row.
struct TileSlot {
  int x;
  int size;  // index into ConvTarget::tile_pixels
};

// Widths of tile that cover `width` pixels at the least cost.
std::vector<TileSlot> cover(int width, int groups, const ConvTarget& target) {
  const int* pixels = target.tile_pixels[groups - 1];
  constexpr int kOverhead = 4;  // of starting a tile, in units of one pixel's group
  std::vector<int> cost(static_cast<std::size_t>(width) + 1, 0), choice(cost.size(), 0);
  for (int left = 1; left <= width; ++left) {
    cost[static_cast<std::size_t>(left)] = std::numeric_limits<int>::max();
    for (int size = 0; size < kTileSizes; ++size) {
      const int rest = std::max(0, left - pixels[size]);
      const int total = cost[static_cast<std::size_t>(rest)] + pixels[size] * groups + kOverhead;
      if (total < cost[static_cast<std::size_t>(left)]) {
        cost[static_cast<std::size_t>(left)] = total;
        choice[static_cast<std::size_t>(left)] = size;
      }
    }
  }
  std::vector<TileSlot> slots;
  for (int x = 0; x < width; x += pixels[slots.back().size])
    slots.push_back({x, choice[static_cast<std::size_t>(width - x)]});
  // Wide tiles first: only the last one may reach beyond the row.
  return slots;
}

class Conv final : public Step {
 public:
  Conv(const Operator& op, const Buffer& in, const Buffer& out, Arithmetic arithmetic, int threads,
       const ConvTarget& target)
      : target_(target),
        in_(in),
        out_(out),
        kernel_(op.kernel),
        stride_(op.stride),
        dilation_(op.dilation),
        pads_(op.pads),
        low_(op.relu ? 0.0f : -128.0f),
        inverse_(arithmetic.pointwise == Pointwise::kFp19 ? inverse_fp19(out.format.scale) : 0.0f),
        rounding_(static_cast<int>(arithmetic.rounding)) {
    choose_form(op);
    lay_out_scratch(threads);
    parameters_ =
        pack_parameters(op, in.format, out.format, target_, arithmetic.pointwise,
                        [this](int block, int ky, int kx) { return pixel_offset(block, ky, kx); });
    if (form_ != PixelForm::kUnpacked)
      for (int groups = 1; groups <= target_.max_groups; ++groups)
        slots_[groups - 1] = cover(out_.format.width, groups, target_);
  }

  std::size_t scratch_bytes() const override { return scratch_bytes_; }

  void run(const Workspace& workspace) override {
    if (form_ == PixelForm::kUnpacked) {
      const int pixels = out_.format.height * out_.format.width;
      // Whole jobs only: a tile at the end of one may step back, but not into another's pixels.
      const int jobs = std::clamp(pixels / kUnpackedPixels, 1, ThreadPool::kMaxJobs);
      workspace.pool.run(jobs, [&](int job, int) {
        run_unpacked(static_cast<int>(std::int64_t{pixels} * job / jobs),
                     static_cast<int>(std::int64_t{pixels} * (job + 1) / jobs));
      });
    } else {
      const int jobs = (out_.format.height + band_rows_ - 1) / band_rows_;
      workspace.pool.run(jobs, [&](int job, int worker) {
        const int first = job * band_rows_;
        run_band(first, std::min(first + band_rows_, out_.format.height),
                 workspace.scratch[static_cast<std::size_t>(worker)]);
      });
    }
  }

 private:
  // --- at load ---

  void choose_form(const Operator& op) {
    const bool pointwise = op.kernel.y == 1 && op.kernel.x == 1 && op.stride.y == 1 &&
                           op.stride.x == 1 && op.pads.top == 0 && op.pads.left == 0 &&
                           op.pads.bottom == 0 && op.pads.right == 0;
    const std::int64_t pixels = std::int64_t{in_.format.height} * in_.format.width;
    if (in_.format.layout == Layout::kHwc4)
      form_ = PixelForm::kThin;
    else if (pointwise && target_.has_unpacked && pixels >= target_.tile_pixels[0][0])
      form_ = PixelForm::kUnpacked;
    else
      form_ = PixelForm::kBlock;
  }

  void lay_out_scratch(int threads) {
    if (form_ == PixelForm::kUnpacked) return;
    pixel_bytes_ =
        form_ == PixelForm::kThin ? target_.thin_pixel_bytes() : target_.block_pixel_bytes();
    int widest = 0;
    for (int groups = 1; groups <= target_.max_groups; ++groups)
      widest = std::max(widest, target_.tile_pixels[groups - 1][0]);
    // The last tile of a row may reach beyond it.
    const std::int64_t reach = std::int64_t{dilation_.x} * (kernel_.x - 1) / stride_.x;
    phase_pixels_ = out_.format.width + widest + reach;
    phases_.assign(static_cast<std::size_t>(stride_.x), false);
    for (int kx = 0; kx < kernel_.x; ++kx)
      phases_[static_cast<std::size_t>(std::int64_t{kx} * dilation_.x % stride_.x)] = true;
    phase_bytes_ = phase_pixels_ * pixel_bytes_;
    block_bytes_ = phase_bytes_ * stride_.x;
    row_bytes_ = block_bytes_ * in_.blocks();

    const std::int64_t window = std::int64_t{dilation_.y} * (kernel_.y - 1) + 1;
    const std::int64_t fitting = (kBandBytes / row_bytes_ - window) / stride_.y + 1;
    int rows =
        static_cast<int>(std::clamp<std::int64_t>(fitting, 1, std::int64_t{out_.format.height}));
    if (threads > 1)
      rows = std::min(rows, std::max(1, out_.format.height / (threads * kJobsPerThread)));
    band_rows_ = rows;
    const std::int64_t bytes = row_bytes_ * ((band_rows_ - 1) * std::int64_t{stride_.y} + window);
    if (bytes > kMaxScratchBytes)
      throw Error("one row of windows needs more than 1 GiB of scratch");
    scratch_bytes_ = static_cast<std::size_t>(bytes);
  }

  // Bytes from a tile's first pixel to the pixel that tap (ky, kx) of block `block` multiplies.
  std::int64_t pixel_offset(int block, int ky, int kx) const {
    if (form_ == PixelForm::kUnpacked)
      return static_cast<std::int64_t>(in_.format.channel_stride) * block;
    const std::int64_t column = std::int64_t{kx} * dilation_.x;
    return std::int64_t{ky} * dilation_.y * row_bytes_ + block * block_bytes_ +
           column % stride_.x * phase_bytes_ + column / stride_.x * pixel_bytes_;
  }

  // --- in every inference ---

  ConvTile tile_of(const ConvBlock& block) const {
    ConvTile tile{};
    tile.runs = parameters_.runs.data() + block.runs_begin;
    tile.runs_end = parameters_.runs.data() + block.runs_end;
    tile.weights = parameters_.weights.get() + block.weights;
    tile.bias = parameters_.bias.get() + block.first_channel;
    tile.multiplier = parameters_.multiplier.get() + block.first_channel;
    if (parameters_.addend) tile.addend = parameters_.addend.get() + block.first_channel;
    tile.inverse = inverse_;
    tile.low = low_;
    return tile;
  }

  std::int8_t* out_at(int channel, int y, int x) const {
    return out_.data + out_.format.offset(channel, y, x);
  }

  ConvTileFunction function(int groups, int size) const {
    return target_.tiles[static_cast<int>(form_)][groups - 1][size][rounding_];
  }

  // Pixels [first, last) of the picture in reading order.
  void run_unpacked(int first, int last) const {
    for (const ConvBlock& block : parameters_.blocks) {
      ConvTile tile = tile_of(block);
      const int* pixels = target_.tile_pixels[block.groups - 1];
      for (int at = first; at < last;) {
        int size = 0;
        while (size + 1 < kTileSizes && pixels[size] > last - at) ++size;
        // Rather than reach beyond the input, the last tile repeats some pixels.
        if (pixels[size] > last - at) at = last - pixels[size];
        tile.pixels = reinterpret_cast<const std::uint8_t*>(in_.data) +
                      static_cast<std::size_t>(at) * kBlockChannels;
        tile.count = pixels[size];
        for (int g = 0; g < block.groups; ++g)
          tile.out[g] = out_at(block.first_channel + g * kGroup, 0, 0) +
                        static_cast<std::size_t>(at) * kBlockChannels;
        function(block.groups, size)(tile);
        at += pixels[size];
      }
    }
  }

  // Output rows [first, last).
  void run_band(int first, int last, std::uint8_t* scratch) const {
    const int window = dilation_.y * (kernel_.y - 1) + 1;
    const int rows = (last - first - 1) * stride_.y + window;
    for (int row = 0; row < rows; ++row)
      if (is_read(row)) pack_row(first * stride_.y - pads_.top + row, scratch + row * row_bytes_);
    for (const ConvBlock& block : parameters_.blocks) {
      ConvTile tile = tile_of(block);
      for (int y = first; y < last; ++y) {
        const std::uint8_t* pixels =
            scratch + static_cast<std::int64_t>(y - first) * stride_.y * row_bytes_;
        std::int8_t* row[kMaxGroups];
        for (int g = 0; g < block.groups; ++g)
          row[g] = out_at(block.first_channel + g * kGroup, y, 0);
        for (const TileSlot& slot : slots_[block.groups - 1]) {
          tile.pixels = pixels + slot.x * pixel_bytes_;
          tile.count = std::min(target_.tile_pixels[block.groups - 1][slot.size],
                                out_.format.width - slot.x);
          for (int g = 0; g < block.groups; ++g)
            tile.out[g] = row[g] + std::ptrdiff_t{slot.x} * kBlockChannels;
          function(block.groups, slot.size)(tile);
        }
      }
    }
  }

  // Does any tap of any output row read packed row `row` of a band?
  bool is_read(int row) const {
    for (int ky = 0; ky < kernel_.y && ky * dilation_.y <= row; ++ky)
      if ((row - ky * dilation_.y) % stride_.y == 0) return true;
    return false;
  }

  void pack_row(int y, std::uint8_t* to) const {
    if (y < 0 || y >= in_.format.height) {
      std::memset(to, target_.zero, static_cast<std::size_t>(row_bytes_));
      return;
    }
    const auto step = static_cast<std::size_t>(in_.format.channels_per_pixel());
    const auto pack = form_ == PixelForm::kThin ? target_.pack_thin : target_.pack_block;
    for (int block = 0; block < in_.blocks(); ++block)
      for (int phase = 0; phase < stride_.x; ++phase, to += phase_bytes_) {
        if (!phases_[static_cast<std::size_t>(phase)]) continue;
        // Pixel i of this phase is column phase + i * stride - left of the input.
        const int offset = phase - pads_.left;
        const int begin = static_cast<int>(std::min<std::int64_t>(
            offset >= 0 ? 0 : (-offset + stride_.x - 1) / stride_.x, phase_pixels_));
        const int end = static_cast<int>(std::clamp<std::int64_t>(
            (in_.format.width - offset + stride_.x - 1) / stride_.x, begin, phase_pixels_));
        std::memset(to, target_.zero, static_cast<std::size_t>(begin * pixel_bytes_));
        const int column = offset + begin * stride_.x;
        if (begin < end)
          pack(in_.row(block, y) + static_cast<std::size_t>(column) * step,
               static_cast<std::size_t>(stride_.x) * step, to + begin * pixel_bytes_, end - begin);
        std::memset(to + end * pixel_bytes_, target_.zero,
                    static_cast<std::size_t>((phase_pixels_ - end) * pixel_bytes_));
      }
  }

  const ConvTarget& target_;
  Buffer in_, out_;
  Extent kernel_, stride_, dilation_;
  Pads pads_;
  float low_;
  float inverse_;  // FP19 only
  int rounding_;
  PixelForm form_ = PixelForm::kBlock;

  // Scratch: [row][block][phase][pixel]; sizes in bytes.
  std::int64_t pixel_bytes_ = 0, phase_bytes_ = 0, block_bytes_ = 0, row_bytes_ = 0;
  std::int64_t phase_pixels_ = 0;
  std::vector<bool> phases_;  // which are read at all
  int band_rows_ = 1;
  std::size_t scratch_bytes_ = 0;

  ConvParameters parameters_;
  std::vector<TileSlot> slots_[kMaxGroups];
};

}  // namespace

std::unique_ptr<Step> make_conv(const Operator& op, const Buffer& in, const Buffer& out,
                                Arithmetic arithmetic, int threads, const ConvTarget& target) {
  return std::make_unique<Conv>(op, in, out, arithmetic, threads, target);
}

}  // namespace unina::host
