// table[q + 128]: one load a value.
#include <array>

#include "host/spans.h"

namespace unina::host {
namespace {

class Table final : public Step {
 public:
  Table(const Operator& op, const Buffer& in, const Buffer& out) : in_(in), out_(out) {
    for (int q = -128; q < 128; ++q)
      by_bits_[static_cast<std::uint8_t>(q)] = op.table[static_cast<std::size_t>(q + 128)];
  }

  void run(const Workspace& workspace) override {
    for_each_span(workspace, chw32_bytes(out_), [&](std::size_t begin, std::size_t bytes) {
      const std::int8_t* from = in_.data + begin;
      std::int8_t* to = out_.data + begin;
      for (std::size_t i = 0; i < bytes; ++i) to[i] = by_bits_[static_cast<std::uint8_t>(from[i])];
    });
  }

 private:
  Buffer in_, out_;
  std::array<std::int8_t, 256> by_bits_;  // place: the input's eight bits
};

}  // namespace

std::unique_ptr<Step> make_table(const Operator& op, const Buffer& in, const Buffer& out) {
  return std::make_unique<Table>(op, in, out);
}

}  // namespace unina::host
