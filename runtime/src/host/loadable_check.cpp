// Do the operators and tensors of a loadable fit together? docs/integer-semantics.md says when.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "float16.h"
#include "host/loadable.h"
#include "unina/error.h"

namespace unina::host {
namespace {

// All activations of one network together; far above any detector, far below what hurts a machine.
constexpr std::int64_t kMaxActivationBytes = std::int64_t{1} << 30;
// Of an avgpool: every sum is then exact in float32.
constexpr int kMaxMeanPixels = 65536;

std::string shape_text(std::int64_t channels, std::int64_t height, std::int64_t width) {
  return "1x" + std::to_string(channels) + "x" + std::to_string(height) + "x" +
         std::to_string(width);
}

class GraphCheck {
 public:
  GraphCheck(const Loadable& loadable, const std::string& name)
      : loadable_(loadable), name_(name), written_(loadable.tensors.size(), false) {}

  void run() {
    std::int64_t bytes = 0;
    for (const Tensor& tensor : loadable_.tensors) {
      // Whole blocks of 32 bytes a pixel: 32 channels of int8 or 16 of float16.
      const int block = tensor.type == DataType::kFloat16 ? 16 : 32;
      const std::int64_t blocks = (std::int64_t{tensor.channels} + block - 1) / block;
      bytes += 32 * blocks * tensor.height * tensor.width;
      if (bytes > kMaxActivationBytes) fail("the activations need more than 1 GiB");
    }
    if (loadable_.inputs.empty()) fail("no inputs");
    if (loadable_.outputs.empty()) fail("no outputs");
    for (const int input : loadable_.inputs) {
      write(input, "\"inputs\"");
      if (tensor(input).type != DataType::kInt8)
        fail("input " + tensor(input).name + " is float16; the network takes int8");
    }
    for (const Operator& op : loadable_.operators) check(op);
    std::vector<bool> listed(loadable_.tensors.size(), false);
    for (const int output : loadable_.outputs) {
      const auto at = static_cast<std::size_t>(output);
      if (!written_[at]) fail("output " + tensor(output).name + " is written by no operator");
      if (listed[at]) fail("output " + tensor(output).name + " is listed twice");
      listed[at] = true;
    }
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const { throw Error(name_ + ": " + reason); }

  const Tensor& tensor(int index) const {
    return loadable_.tensors[static_cast<std::size_t>(index)];
  }

  void write(int index, const std::string& who) {
    auto written = written_[static_cast<std::size_t>(index)];
    if (written) fail(who + ": tensor " + tensor(index).name + " is written twice");
    written_[static_cast<std::size_t>(index)] = true;
  }

  void check(const Operator& op) {
    for (const int input : op.inputs)
      if (!written_[static_cast<std::size_t>(input)])
        fail(op.label + ": input " + tensor(input).name + " is read before it is written");
    write(op.output, op.label);
    if (!op.in_float16) check_int8(op);
    const Tensor& in = tensor(op.inputs[0]);
    switch (op.type) {
      case OperatorType::kConv:
        expect_windowed(op, in, tensor(op.output).channels);
        op.in_float16 ? check_float_conv(op) : check_conv(op, in);
        break;
      case OperatorType::kRelu:
        check_scales(op);
        expect(op, in.channels, in.height, in.width);
        break;
      case OperatorType::kAdd:
        check_same_shape(op, in, tensor(op.inputs[1]));
        if (tensor(op.inputs[1]).scale != in.scale)
          fail(op.label + ": the scales of the two inputs differ (the scale map must tie them)");
        expect(op, in.channels, in.height, in.width);
        break;
      case OperatorType::kConcat:
        check_concat(op, in);
        break;
      case OperatorType::kMaxPool:
      case OperatorType::kAvgPool:
        check_pool(op, in);
        break;
      case OperatorType::kResize:
        check_scales(op);
        expect_enlarged(op, in);
        break;
      case OperatorType::kBilinear:
        expect_enlarged(op, in);
        break;
      case OperatorType::kTable:
        expect(op, in.channels, in.height, in.width);
        break;
      case OperatorType::kMul:
        if (const Tensor& b = tensor(op.inputs[1]); b.height != 1 || b.width != 1)
          check_same_shape(op, in, b);
        else if (b.channels != in.channels)
          fail(op.label + ": " + std::to_string(b.channels) + " factors for " +
               std::to_string(in.channels) + " channels");
        expect(op, in.channels, in.height, in.width);
        break;
      case OperatorType::kMax:
      case OperatorType::kMin:
        check_scales(op);
        check_same_shape(op, in, tensor(op.inputs[1]));
        expect(op, in.channels, in.height, in.width);
        break;
      case OperatorType::kDepthToSpace:
        check_depth_to_space(op, in);
        break;
    }
  }

  void check_int8(const Operator& op) const {
    const auto refuse = [&](int index, const char* what) {
      if (tensor(index).type != DataType::kInt8)
        fail(op.label + ": computes in int8, but its " + what + " " + tensor(index).name +
             " is float16");
    };
    for (const int input : op.inputs) refuse(input, "input");
    refuse(op.output, "output");
  }

  void check_scales(const Operator& op) const {
    for (const int input : op.inputs)
      if (tensor(input).scale != tensor(op.output).scale)
        fail(op.label + ": the scale of input " + tensor(input).name +
             " differs from the output's (the scale map must tie them)");
  }

  void check_same_shape(const Operator& op, const Tensor& a, const Tensor& b) const {
    if (a.channels != b.channels || a.height != b.height || a.width != b.width)
      fail(op.label + ": the inputs are " + shape_text(a.channels, a.height, a.width) + " and " +
           shape_text(b.channels, b.height, b.width));
  }

  void expect(const Operator& op, std::int64_t channels, std::int64_t height,
              std::int64_t width) const {
    const Tensor& out = tensor(op.output);
    if (out.channels != channels || out.height != height || out.width != width)
      fail(op.label + ": output " + out.name + " is declared " +
           shape_text(out.channels, out.height, out.width) + ", but is " +
           shape_text(channels, height, width));
  }

  void expect_enlarged(const Operator& op, const Tensor& in) const {
    expect(op, in.channels, std::int64_t{in.height} * op.factor.y,
           std::int64_t{in.width} * op.factor.x);
  }

  // Output size of a sliding window on one axis.
  std::int64_t windowed(const Operator& op, std::int64_t in, std::int64_t pads, std::int64_t kernel,
                        std::int64_t stride, std::int64_t dilation) const {
    const std::int64_t room = in + pads - dilation * (kernel - 1) - 1;
    if (room < 0) fail(op.label + ": the kernel is larger than the padded input");
    return room / stride + 1;
  }

  void expect_windowed(const Operator& op, const Tensor& in, std::int64_t channels) const {
    const std::int64_t height = windowed(op, in.height, std::int64_t{op.pads.top} + op.pads.bottom,
                                         op.kernel.y, op.stride.y, op.dilation.y);
    const std::int64_t width = windowed(op, in.width, std::int64_t{op.pads.left} + op.pads.right,
                                        op.kernel.x, op.stride.x, op.dilation.x);
    expect(op, channels, height, width);
  }

  void check_conv(const Operator& op, const Tensor& in) const {
    if (std::find(op.weights.begin(), op.weights.end(), std::int8_t{-128}) != op.weights.end())
      fail(op.label + ": a weight is -128; weights lie in -127..127");
    for (const float m : op.multiplier)
      if (!std::isfinite(m) || std::signbit(m))
        fail(op.label + ": a multiplier is negative or not finite");
    std::int64_t largest = 0;
    for (const std::int32_t b : op.bias) largest = std::max(largest, std::abs(std::int64_t{b}));
    const std::int64_t taps =
        std::int64_t{in.channels / op.groups} * op.kernel.y * op.kernel.x;  // <= 2^39
    if (taps * 128 * 127 + largest >= std::int64_t{1} << 31)
      fail(op.label + ": the int32 accumulator could overflow (" + std::to_string(taps) +
           " products and a bias of " + std::to_string(largest) + ")");
  }

  void check_float_conv(const Operator& op) const {
    if (!std::all_of(op.float16_weights.begin(), op.float16_weights.end(), is_finite_float16))
      fail(op.label + ": a weight is not finite");
    for (const float b : op.float_bias)
      if (!std::isfinite(b)) fail(op.label + ": a bias is not finite");
    const Tensor& out = tensor(op.output);
    if (out.type == DataType::kInt8 && op.inverse_scale != 1.0f / out.scale)
      fail(op.label + ": \"inverse_scale_bits\" is not 1 / (scale of the output)");
  }

  void check_concat(const Operator& op, const Tensor& in) const {
    check_scales(op);
    std::int64_t channels = 0;
    for (const int input : op.inputs) {
      const Tensor& other = tensor(input);
      if (other.height != in.height || other.width != in.width)
        fail(op.label + ": inputs of different height or width");
      channels += other.channels;
    }
    expect(op, channels, in.height, in.width);
  }

  void check_pool(const Operator& op, const Tensor& in) const {
    check_scales(op);
    if (op.dilation.y != 1 || op.dilation.x != 1) fail(op.label + ": a pooling has no dilation");
    // Otherwise a window could hold nothing but padding and have neither maximum nor mean.
    if (std::max(op.pads.top, op.pads.bottom) >= op.kernel.y ||
        std::max(op.pads.left, op.pads.right) >= op.kernel.x)
      fail(op.label + ": padding must be smaller than the kernel");
    if (op.type == OperatorType::kAvgPool && op.kernel.y * op.kernel.x > kMaxMeanPixels)
      fail(op.label + ": a window of " + std::to_string(op.kernel.y * op.kernel.x) +
           " pixels; an avgpool takes " + std::to_string(kMaxMeanPixels) + " at most");
    expect_windowed(op, in, in.channels);
  }

  void check_depth_to_space(const Operator& op, const Tensor& in) const {
    check_scales(op);
    const int phases = op.block.y * op.block.x;
    if (in.channels % phases != 0)
      fail(op.label + ": blocks of " + std::to_string(op.block.y) + "x" +
           std::to_string(op.block.x) + " do not divide " + std::to_string(in.channels) +
           " channels");
    // The last blocks may be cut, but not left out: 0 to block - 1 rows and columns are missing.
    const Tensor& out = tensor(op.output);
    const std::int64_t height = std::int64_t{in.height} * op.block.y;
    const std::int64_t width = std::int64_t{in.width} * op.block.x;
    const bool ends_early = out.height <= height && out.height > height - op.block.y &&
                            out.width <= width && out.width > width - op.block.x;
    expect(op, in.channels / phases, ends_early ? out.height : height,
           ends_early ? out.width : width);
  }

  const Loadable& loadable_;
  const std::string& name_;
  std::vector<bool> written_;
};

}  // namespace

void check_graph(const Loadable& loadable, const std::string& name) {
  GraphCheck(loadable, name).run();
}

}  // namespace unina::host
