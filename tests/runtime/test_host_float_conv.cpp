// A convolution in FP16 is, bit for bit, what docs/integer-semantics.md defines, on every SIMD
// target that this CPU has.
#include <gtest/gtest.h>
#include <hwy/aligned_allocator.h>

#include <cmath>
#include <cstring>
#include <random>
#include <set>

#include "float16.h"
#include "host/float_tile.h"
#include "host/simd_targets.h"
#include "scalar_operators.h"

// After simd_targets.h: the list of targets depends on it.
#include <hwy/highway.h>
#include <hwy/targets.h>

namespace unina::host {
namespace {

// The nearest FP16 value, ties to even, at most 65504; by arithmetic rather than by bits.
float scalar_float16(float v) {
  const float clamped = std::clamp(v, -65504.0f, 65504.0f);
  int exponent;
  std::frexp(clamped, &exponent);
  const double step = std::ldexp(1.0, std::max(exponent, -13) - 11);
  return static_cast<float>(
      std::copysign(std::nearbyint(static_cast<double>(clamped) / step) * step, clamped));
}

// What a float conv reads at (c, y, x).
float real_element(const Buffer& b, int c, int y, int x) {
  const std::int8_t* at = b.data + b.format.offset(c, y, x);
  if (b.format.type == DataType::kInt8) return scalar_float16(b.format.scale * *at);
  std::uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return float_from_float16(bits);
}

// Element (k, y, x), before it is stored.
float scalar_float_conv(const Operator& op, const Buffer& in, int channels, int k, int y, int x) {
  const int depth = in.format.channels / op.groups;
  const int first = k / (channels / op.groups) * depth;
  const auto channel = static_cast<std::size_t>(k);
  const std::uint16_t* w = op.float16_weights.data() +
                           channel * static_cast<std::size_t>(depth * op.kernel.y * op.kernel.x);
  float sum = op.float_bias[channel] + 0.0f;
  for (int c = 0; c < depth; ++c)
    for (int ky = 0; ky < op.kernel.y; ++ky)
      for (int kx = 0; kx < op.kernel.x; ++kx, ++w) {
        const int sy = y * op.stride.y - op.pads.top + ky * op.dilation.y;
        const int sx = x * op.stride.x - op.pads.left + kx * op.dilation.x;
        if (sy >= 0 && sy < in.format.height && sx >= 0 && sx < in.format.width)
          sum = sum + real_element(in, first + c, sy, sx) * float_from_float16(*w);
      }
  return scalar_float16(op.relu ? std::max(sum, 0.0f) : sum);
}

class FloatConvTarget : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  int pick(std::initializer_list<int> values) {
    return *(values.begin() + static_cast<std::ptrdiff_t>(random_() % values.size()));
  }

  // Finite: of every size if `wild`, else around 1.
  std::uint16_t random_float16(bool wild) {
    if (!wild) return static_cast<std::uint16_t>((random_() & 0x83ff) | pick({0x3800, 0x3c00}));
    std::uint16_t bits;
    do bits = static_cast<std::uint16_t>(random_());
    while (!is_finite_float16(bits));
    return bits;
  }

  // A tensor of random values between two guards.
  struct Memory {
    hwy::AlignedFreeUniquePtr<std::int8_t[]> bytes;
    Buffer buffer;
    bool guards_intact() const {
      const auto guard = [](const std::int8_t* at) {
        return std::all_of(at, at + kGuard, [](std::int8_t b) { return b == 0x5a; });
      };
      return guard(bytes.get()) && guard(bytes.get() + kGuard + buffer.format.bytes);
    }
  };
  static constexpr std::size_t kGuard = 64;

  Memory tensor(DataType type, Layout layout, int channels, int height, int width) {
    Memory memory;
    memory.buffer.format = TensorFormat::packed(type, layout, channels, height, width,
                                                type == DataType::kInt8 ? 0.0371f : 1.0f);
    const std::size_t bytes = memory.buffer.format.bytes;
    memory.bytes = hwy::AllocateAligned<std::int8_t>(bytes + 2 * kGuard);
    std::memset(memory.bytes.get(), 0x5a, bytes + 2 * kGuard);
    memory.buffer.data = memory.bytes.get() + kGuard;
    const bool wild = pick({0, 1});
    for (std::size_t i = 0; i < bytes; i += 2) {
      const std::uint16_t bits =
          type == DataType::kInt8 ? static_cast<std::uint16_t>(random_()) : random_float16(wild);
      std::memcpy(memory.buffer.data + i, &bits, sizeof bits);
    }
    return memory;
  }

  // Large numbers that cancel out and small ones between them, over a constant picture.
  void let_sums_depend_on_their_order(Operator& op, const Memory& in, int taps) {
    const std::uint16_t one = in.buffer.format.type == DataType::kInt8 ? 0x0101 : 0x3c00;
    for (std::size_t i = 0; i < in.buffer.format.bytes; i += 2)
      std::memcpy(in.buffer.data + i, &one, sizeof one);
    auto w = op.float16_weights.begin();
    for (; w != op.float16_weights.end(); w += taps) {
      for (int i = 0; i + 2 < taps; i += 3) {
        w[i] = static_cast<std::uint16_t>(0x7400 | (random_() & 0x3ff));  // 16384 and more
        w[i + 1] = w[i] | 0x8000;
        w[i + 2] = static_cast<std::uint16_t>(0x2000 | (random_() & 0x83ff));  // around 1/128
      }
      std::shuffle(w, w + taps, random_);
    }
  }

  std::mt19937 random_{11};
};

int windowed(int in, int pads, int kernel, int stride, int dilation) {
  return (in + pads - dilation * (kernel - 1) - 1) / stride + 1;
}

TEST_P(FloatConvTarget, ConvolvesLikeTheDefinition) {
  for (int round = 0; round < 100; ++round) {
    Operator op;
    op.type = OperatorType::kConv;
    op.in_float16 = true;
    op.kernel = {pick({1, 1, 3, 2}), pick({1, 1, 3, 5})};
    op.stride = {pick({1, 1, 2, 3}), pick({1, 1, 2, 3})};
    op.dilation = {pick({1, 1, 2}), pick({1, 1, 3})};
    op.pads = {pick({0, 0, 1, 2}), pick({0, 0, 1, 3}), pick({0, 0, 1, 2}), pick({0, 0, 1, 5})};
    const bool grouped = pick({0, 0, 1});
    op.groups = grouped ? pick({2, 3, 8, 33}) : 1;
    const int in_channels =
        op.groups * (grouped ? pick({1, 1, 5, 16}) : pick({1, 3, 4, 16, 17, 33, 64}));
    const int channels = op.groups * (grouped ? pick({1, 3, 16}) : pick({1, 4, 16, 17, 40, 64}));
    const int height = op.dilation.y * (op.kernel.y - 1) + pick({1, 2, 7});
    const int width = op.dilation.x * (op.kernel.x - 1) + pick({1, 3, 13, 30});
    const DataType type = pick({0, 1}) ? DataType::kInt8 : DataType::kFloat16;
    const Layout layout = type == DataType::kFloat16         ? Layout::kChw16
                          : in_channels <= 4 && pick({0, 1}) ? Layout::kHwc4
                                                             : Layout::kChw32;
    const Memory in = tensor(type, layout, in_channels, height, width);
    op.relu = pick({0, 1});
    const bool wild = pick({0, 0, 1});
    const int taps = in_channels / op.groups * op.kernel.y * op.kernel.x;
    for (int i = 0; i < channels * taps; ++i) op.float16_weights.push_back(random_float16(wild));
    for (int k = 0; k < channels; ++k)
      op.float_bias.push_back(
          std::ldexp(static_cast<float>(random_() % 2001) - 1000.0f, pick({-20, -5, 6})));
    if (pick({0, 1})) op.float_bias[0] = -0.0f;
    if (pick({0, 1})) let_sums_depend_on_their_order(op, in, taps);

    const bool to_int8 = pick({0, 1});
    Memory out = tensor(
        to_int8 ? DataType::kInt8 : DataType::kFloat16, to_int8 ? Layout::kChw32 : Layout::kChw16,
        channels,
        windowed(height, op.pads.top + op.pads.bottom, op.kernel.y, op.stride.y, op.dilation.y),
        windowed(width, op.pads.left + op.pads.right, op.kernel.x, op.stride.x, op.dilation.x));
    out.buffer.format.scale = to_int8 ? static_cast<float>(pick({1, 3})) * 0.125f : 1.0f;
    op.inverse_scale = 1.0f / out.buffer.format.scale;
    const Rounding rounding = pick({0, 1}) ? Rounding::kHalfEven : Rounding::kHalfAway;
    const int threads = pick({1, 1, 2, 3});

    const auto step = make_float_conv(op, in.buffer, out.buffer, rounding, threads);
    ThreadPool pool(threads);
    Workspace workspace{pool, {}};
    std::vector<hwy::AlignedFreeUniquePtr<std::uint8_t[]>> scratch;
    for (int i = 0; i < threads; ++i) {
      // Exactly what was asked for: a sanitizer sees any byte beyond.
      scratch.push_back(hwy::AllocateAligned<std::uint8_t>(step->scratch_bytes()));
      workspace.scratch.push_back(scratch.back().get());
    }
    step->run(workspace);
    EXPECT_TRUE(out.guards_intact());
    int differing = 0;
    for (int k = 0; k < channels; ++k)
      for (int y = 0; y < out.buffer.format.height; ++y)
        for (int x = 0; x < out.buffer.format.width; ++x) {
          const float expected = scalar_float_conv(op, in.buffer, channels, k, y, x);
          if (to_int8) {
            differing += element(out.buffer, k, y, x) !=
                         scalar_round(expected * op.inverse_scale, rounding, false);
          } else {
            const float found = real_element(out.buffer, k, y, x);
            differing += std::memcmp(&found, &expected, sizeof found) != 0;
          }
        }
    EXPECT_EQ(differing, 0) << "round " << round << ": of " << channels << "x"
                            << out.buffer.format.height << "x" << out.buffer.format.width;
  }
}

// With a weight of zero the sum is the bias, and what is stored its nearest FP16.
TEST_P(FloatConvTarget, RoundsEveryFloatAroundEveryTie) {
  std::vector<float> values = {0.0f,     1e-45f,  1e-38f,   65504.0f, 65519.99f, 65520.0f,
                               65536.0f, 3.4e38f, 0x1p-25f, 0x1p-24f, 0x3p-25f,  0x1p-14f};
  for (std::uint32_t bits = 0; bits < 0x7bff; bits += 13) {
    const float low = float_from_float16(static_cast<std::uint16_t>(bits));
    const float high = float_from_float16(static_cast<std::uint16_t>(bits + 1));
    const float tie = low + (high - low) / 2;
    values.insert(values.end(), {low, tie, std::nextafter(tie, 0.0f), std::nextafter(tie, 1e9f)});
  }
  values.resize(values.size() / 2 * 2);
  for (std::size_t i = 1; i < values.size(); i += 2) values[i] = -values[i];
  for (std::size_t begin = 0; begin < values.size(); begin += 4000) {
    const std::size_t count = std::min<std::size_t>(4000, values.size() - begin);
    Operator op;
    op.in_float16 = true;
    op.float16_weights.assign(count, 0);
    op.float_bias.assign(values.begin() + static_cast<std::ptrdiff_t>(begin),
                         values.begin() + static_cast<std::ptrdiff_t>(begin + count));
    const Memory in = tensor(DataType::kInt8, Layout::kChw32, 1, 1, 1);
    const Memory out = tensor(DataType::kFloat16, Layout::kChw16, static_cast<int>(count), 1, 1);
    const auto step = make_float_conv(op, in.buffer, out.buffer, Rounding::kHalfEven, 1);
    ThreadPool pool(1);
    auto scratch = hwy::AllocateAligned<std::uint8_t>(step->scratch_bytes());
    step->run(Workspace{pool, {scratch.get()}});
    for (std::size_t k = 0; k < count; ++k)
      ASSERT_EQ(real_element(out.buffer, static_cast<int>(k), 0, 0),
                scalar_float16(op.float_bias[k]))
          << op.float_bias[k];
  }
}

// Guards the tests above against testing one target six times.
TEST(FloatConvTargets, EveryTargetHasItsOwnKernel) {
  std::set<const FloatTarget*> kernels;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    kernels.insert(&best_float_target());
    hwy::SetSupportedTargetsForTest(0);
  }
  EXPECT_EQ(kernels.size(), hwy::SupportedAndGeneratedTargets().size());
}

TEST(Float16, EveryPatternIsTheValueThatItsFieldsSay) {
  for (std::uint32_t bits = 0; bits < 0x8000; ++bits) {
    const int exponent = static_cast<int>(bits >> 10), mantissa = static_cast<int>(bits & 0x3ff);
    const float found = float_from_float16(static_cast<std::uint16_t>(bits));
    const float minus = float_from_float16(static_cast<std::uint16_t>(bits | 0x8000));
    if (exponent == 31 && mantissa != 0) {
      EXPECT_TRUE(std::isnan(found) && std::isnan(minus)) << bits;
      continue;
    }
    const float expected = exponent == 31 ? std::numeric_limits<float>::infinity()
                           : exponent == 0
                               ? std::ldexp(static_cast<float>(mantissa), -24)
                               : std::ldexp(1024.0f + static_cast<float>(mantissa), exponent - 25);
    EXPECT_EQ(found, expected) << bits;
    EXPECT_EQ(minus, -expected) << bits;
    EXPECT_TRUE(std::signbit(minus)) << bits;
  }
}

INSTANTIATE_TEST_SUITE_P(, FloatConvTarget, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) {
                           return std::string(hwy::TargetName(target.param));
                         });

}  // namespace
}  // namespace unina::host
