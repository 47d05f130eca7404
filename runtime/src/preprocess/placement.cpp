#include "unina/placement.h"

#include <algorithm>
#include <cstdint>

#include "unina/error.h"

namespace unina {
namespace {

// max(1, round_half_away(length * numerator / denominator)), exactly.
int scaled(int length, int numerator, int denominator) {
  const std::int64_t twice = 2 * static_cast<std::int64_t>(length) * numerator + denominator;
  return static_cast<int>(std::max<std::int64_t>(1, twice / (2 * std::int64_t{denominator})));
}

float forward(float value, int offset, int target, int source) {
  return static_cast<float>(static_cast<double>(value) * target / source + offset);
}

float backward(float value, int offset, int target, int source) {
  const double at = (static_cast<double>(value) - offset) * source / target;
  return static_cast<float>(std::clamp(at, 0.0, static_cast<double>(source)));
}

}  // namespace

Placement Placement::fit(int source_width, int source_height, int input_width, int input_height) {
  if (source_width < 1 || source_height < 1 || input_width < 1 || input_height < 1) {
    throw Error("letterbox: cannot place a " + std::to_string(source_width) + "x" +
                std::to_string(source_height) + " picture into a " + std::to_string(input_width) +
                "x" + std::to_string(input_height) + " input: every side must be at least 1 pixel");
  }
  // r = min(W / w, H / h), compared without dividing.
  const bool width_binds = static_cast<std::int64_t>(input_width) * source_height <=
                           static_cast<std::int64_t>(input_height) * source_width;
  Placement placement;
  placement.width = width_binds ? input_width : scaled(source_width, input_height, source_height);
  placement.height = width_binds ? scaled(source_height, input_width, source_width) : input_height;
  placement.left = (input_width - placement.width) / 2;
  placement.top = (input_height - placement.height) / 2;
  placement.source_width = source_width;
  placement.source_height = source_height;
  return placement;
}

Box Placement::to_input(const Box& source) const {
  return {forward(source.x0, left, width, source_width),
          forward(source.y0, top, height, source_height),
          forward(source.x1, left, width, source_width),
          forward(source.y1, top, height, source_height)};
}

Box Placement::to_source(const Box& input) const {
  return {backward(input.x0, left, width, source_width),
          backward(input.y0, top, height, source_height),
          backward(input.x1, left, width, source_width),
          backward(input.y1, top, height, source_height)};
}

bool operator==(const Placement& a, const Placement& b) {
  return a.left == b.left && a.top == b.top && a.width == b.width && a.height == b.height &&
         a.source_width == b.source_width && a.source_height == b.source_height;
}

}  // namespace unina
