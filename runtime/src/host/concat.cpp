// Concatenation of channels. Inputs that the memory plan put into the output already cost nothing;
// the others are copied, in pieces that lie in one block of 32 channels on both sides.
#include <algorithm>
#include <cstring>

#include "host/step.h"

namespace unina::host {
namespace {

constexpr int kPixel = 32;  // channels, and bytes

struct Piece {
  const std::int8_t* from;  // pixel (0, 0)
  std::int8_t* to;
  std::size_t channels;
};

class Concat final : public Step {
 public:
  Concat(const std::vector<Buffer>& inputs, const Buffer& out) : out_(out) {
    int channel = 0;
    for (const Buffer& in : inputs) {
      add_pieces(in, channel);
      channel += in.format.channels;
    }
  }

  void run(const Workspace& workspace) override {
    if (pieces_.empty()) return;
    workspace.pool.run(out_.format.height, [&](int y, int) {
      for (const Piece& piece : pieces_) copy_row(piece, y);
    });
  }

 private:
  void add_pieces(const Buffer& in, int first_channel) {
    if (in.data == out_.data + out_.format.offset(first_channel, 0, 0)) return;
    for (int c = 0; c < in.format.channels;) {
      const int to = first_channel + c;
      const int length =
          std::min({kPixel - c % kPixel, kPixel - to % kPixel, in.format.channels - c});
      pieces_.push_back({in.data + in.format.offset(c, 0, 0),
                         out_.data + out_.format.offset(to, 0, 0),
                         static_cast<std::size_t>(length)});
      c += length;
    }
  }

  void copy_row(const Piece& piece, int y) const {
    const std::size_t row = static_cast<std::size_t>(y) * out_.format.row_stride;
    if (piece.channels == kPixel) {
      std::memcpy(piece.to + row, piece.from + row, out_.format.row_stride);
      return;
    }
    for (std::size_t at = row; at < row + out_.format.row_stride; at += kPixel)
      std::memcpy(piece.to + at, piece.from + at, piece.channels);
  }

  Buffer out_;
  std::vector<Piece> pieces_;
};

}  // namespace

std::unique_ptr<Step> make_concat(const std::vector<Buffer>& inputs, const Buffer& out) {
  return std::make_unique<Concat>(inputs, out);
}

}  // namespace unina::host
