// Nearest-neighbour enlargement by whole factors: every pixel of 32 channels is repeated.
#include <cstring>

#include "host/step.h"

namespace unina::host {
namespace {

constexpr std::size_t kPixel = 32;  // bytes

class Resize final : public Step {
 public:
  Resize(const Operator& op, const Buffer& in, const Buffer& out)
      : in_(in), out_(out), factor_(op.factor) {}

  void run(const Workspace& workspace) override {
    workspace.pool.run(in_.format.height, [&](int y, int) {
      for (int block = 0; block < in_.blocks(); ++block) enlarge_row(block, y);
    });
  }

 private:
  void enlarge_row(int block, int y) const {
    const std::int8_t* from = in_.row(block, y);
    std::int8_t* const first = out_.row(block, y * factor_.y);
    std::int8_t* to = first;
    for (int x = 0; x < in_.format.width; ++x, from += kPixel)
      for (int i = 0; i < factor_.x; ++i, to += kPixel) std::memcpy(to, from, kPixel);
    for (int i = 1; i < factor_.y; ++i)
      std::memcpy(out_.row(block, y * factor_.y + i), first, out_.format.row_stride);
  }

  Buffer in_, out_;
  Extent factor_;
};

}  // namespace

std::unique_ptr<Step> make_resize(const Operator& op, const Buffer& in, const Buffer& out) {
  return std::make_unique<Resize>(op, in, out);
}

}  // namespace unina::host
