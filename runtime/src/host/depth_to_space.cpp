// Depth to space: the channels of one input pixel become a block of output pixels. Channels are
// copied in pieces that lie in one block of 32 channels on both sides, as in concat.cpp.
#include <algorithm>
#include <cstring>

#include "host/spans.h"

namespace unina::host {
namespace {

constexpr int kPixel = 32;  // channels, and bytes

struct Piece {
  const std::int8_t* from;  // pixel (0, 0)
  std::size_t to_lane;      // first channel within the output's block
  std::size_t channels;
};

class DepthToSpace final : public Step {
 public:
  DepthToSpace(const Operator& op, const Buffer& in, const Buffer& out)
      : in_(in), out_(out), block_(op.block) {
    const int channels = out.format.channels;
    for (int block = 0; block < out.blocks(); ++block)
      for (int phase = 0; phase < block_.y * block_.x; ++phase) {
        first_piece_.push_back(pieces_.size());
        const int end = std::min((block + 1) * kPixel, channels);
        for (int c = block * kPixel; c < end;) {
          const int from = phase * channels + c;
          const int length = std::min(kPixel - from % kPixel, end - c);
          pieces_.push_back({in.data + in.format.offset(from, 0, 0),
                             static_cast<std::size_t>(c % kPixel),
                             static_cast<std::size_t>(length)});
          c += length;
        }
      }
    first_piece_.push_back(pieces_.size());
  }

  void run(const Workspace& workspace) override {
    for_each_row(workspace, out_, [&](int block, int y, int) { fill_row(block, y); });
  }

 private:
  void fill_row(int block, int y) const {
    const std::size_t row = static_cast<std::size_t>(y / block_.y) * in_.format.row_stride;
    for (int column = 0; column < std::min(block_.x, out_.format.width); ++column) {
      const auto phase =
          static_cast<std::size_t>((block * block_.y + y % block_.y) * block_.x + column);
      std::int8_t* const to = out_.row(block, y) + column * kPixel;
      for (std::size_t i = first_piece_[phase]; i < first_piece_[phase + 1]; ++i)
        copy_pixels(pieces_[i], row, to, (out_.format.width - column - 1) / block_.x + 1);
    }
  }

  // To every block_.x-th pixel of a row.
  void copy_pixels(const Piece& piece, std::size_t row, std::int8_t* to, int count) const {
    const std::int8_t* from = piece.from + row;
    const std::size_t step = static_cast<std::size_t>(block_.x) * kPixel;
    if (piece.channels == kPixel) {
      for (int x = 0; x < count; ++x, from += kPixel, to += step) std::memcpy(to, from, kPixel);
      return;
    }
    to += piece.to_lane;
    for (int x = 0; x < count; ++x, from += kPixel, to += step)
      std::memcpy(to, from, piece.channels);
  }

  Buffer in_, out_;
  Extent block_;
  std::vector<Piece> pieces_;             // by block of the output, then by phase
  std::vector<std::size_t> first_piece_;  // of each block and phase, and the end
};

}  // namespace

std::unique_ptr<Step> make_depth_to_space(const Operator& op, const Buffer& in, const Buffer& out) {
  return std::make_unique<DepthToSpace>(op, in, out);
}

}  // namespace unina::host
