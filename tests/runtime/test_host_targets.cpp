// Every SIMD target that this CPU has computes what the scalar definition says, value for value.
#include <gtest/gtest.h>
#include <hwy/aligned_allocator.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <ostream>
#include <random>
#include <set>
#include <string>

#include "host/conv_kernel.h"
#include "host/fp19.h"
#include "host/simd_targets.h"
#include "scalar_operators.h"

// After simd_targets.h: the list of targets depends on it.
#include <hwy/highway.h>
#include <hwy/targets.h>

namespace unina::host {
namespace {

// A Highway target and its own kernel, or the kernel of a file of its own for one dot product.
struct Kernel {
  std::string name;
  std::int64_t highway;
  const ConvTarget* (*conv)(Pointwise pointwise);
};

void PrintTo(const Kernel& kernel, std::ostream* to) { *to << kernel.name; }  // in messages

std::vector<Kernel> kernels_of_this_cpu() {
  std::vector<Kernel> kernels;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets())
    kernels.push_back({hwy::TargetName(target), target,
                       [](Pointwise pointwise) { return &widening_conv_target(pointwise); }});
  for (const DotProductTarget& dot : kDotProductTargets)
    if (dot.target(Pointwise::kFp32)) kernels.push_back({dot.name, 0, dot.target});
  return kernels;
}

class HostTarget : public testing::TestWithParam<Kernel> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam().highway); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  int pick(std::initializer_list<int> values) {
    return *(values.begin() + static_cast<std::ptrdiff_t>(random_() % values.size()));
  }

  // A tensor of random bytes between two guards; `memory` owns it.
  struct Memory {
    hwy::AlignedFreeUniquePtr<std::int8_t[]> bytes;
    Buffer buffer;
    bool guards_intact() const {
      const auto guard = [&](const std::int8_t* at) {
        return std::all_of(at, at + kGuard, [](std::int8_t b) { return b == kGuardByte; });
      };
      return guard(bytes.get()) && guard(bytes.get() + kGuard + buffer.format.bytes);
    }
  };
  static constexpr std::size_t kGuard = 64;
  static constexpr std::int8_t kGuardByte = 0x5a;

  Memory tensor(int channels, int height, int width, bool hwc4 = false) {
    Memory memory;
    memory.buffer.format = TensorFormat::packed(
        DataType::kInt8, hwc4 ? Layout::kHwc4 : Layout::kChw32, channels, height, width, 1.0f);
    const std::size_t bytes = memory.buffer.format.bytes;
    memory.bytes = hwy::AllocateAligned<std::int8_t>(bytes + 2 * kGuard);
    std::memset(memory.bytes.get(), kGuardByte, bytes + 2 * kGuard);
    memory.buffer.data = memory.bytes.get() + kGuard;
    for (std::size_t i = 0; i < bytes; ++i)
      memory.buffer.data[i] = static_cast<std::int8_t>(random_());
    return memory;
  }

  void expect_scalar(Step& step, const Operator& op, const std::vector<Buffer>& inputs,
                     const Memory& out, Arithmetic arithmetic, int threads = 1) {
    ThreadPool pool(threads);
    Workspace workspace{pool, {}};
    std::vector<hwy::AlignedFreeUniquePtr<std::uint8_t[]>> scratch;
    for (int i = 0; i < threads; ++i) {
      // Exactly what was asked for: a sanitizer sees any byte beyond.
      scratch.push_back(hwy::AllocateAligned<std::uint8_t>(step.scratch_bytes() + 1));
      workspace.scratch.push_back(scratch.back().get());
    }
    step.run(workspace);
    EXPECT_TRUE(out.guards_intact());
    const TensorFormat& f = out.buffer.format;
    int differing = 0;
    for (int k = 0; k < f.channels; ++k)
      for (int y = 0; y < f.height; ++y)
        for (int x = 0; x < f.width; ++x)
          differing +=
              element(out.buffer, k, y, x) != scalar_element(op, inputs, f, arithmetic, k, y, x);
    EXPECT_EQ(differing, 0) << "of " << f.channels << "x" << f.height << "x" << f.width;
  }

  Arithmetic arithmetic() {
    return {pick({0, 1}) ? Rounding::kHalfEven : Rounding::kHalfAway,
            pick({0, 1}) ? Pointwise::kFp19 : Pointwise::kFp32};
  }

  float scale() { return pick({0, 1}) ? 0.0625f : 0.731f; }

  std::mt19937 random_{7};
};

int windowed(int in, int pads, int kernel, int stride, int dilation) {
  return (in + pads - dilation * (kernel - 1) - 1) / stride + 1;
}

TEST_P(HostTarget, ConvolvesLikeTheDefinition) {
  for (int round = 0; round < 120; ++round) {
    Operator op;
    op.type = OperatorType::kConv;
    op.kernel = {pick({1, 1, 3, 3, 2, 5}), 1};
    op.kernel.x = pick({op.kernel.y, op.kernel.y, 1, 3});
    op.stride = {pick({1, 1, 2, 3}), pick({1, 1, 2, 3})};
    op.dilation = {pick({1, 1, 2}), pick({1, 1, 3})};
    op.pads = {pick({0, 0, 1, 2}), pick({0, 0, 1, 3}), pick({0, 0, 1, 2}), pick({0, 0, 1, 5})};
    const bool grouped = pick({0, 0, 1});
    op.groups = grouped ? pick({2, 3, 8, 33}) : 1;
    const int in_channels =
        op.groups * (grouped ? pick({1, 1, 5, 16, 32}) : pick({1, 3, 4, 16, 33, 64, 70}));
    const int channels =
        op.groups * (grouped ? pick({1, 3, 16, 32}) : pick({1, 4, 16, 24, 40, 64, 80, 100}));
    const int height = op.dilation.y * (op.kernel.y - 1) + pick({1, 2, 7});
    const int width = op.dilation.x * (op.kernel.x - 1) + pick({1, 3, 13, 30, 61});
    const Memory in = tensor(in_channels, height, width, in_channels <= 4 && pick({0, 1}));
    Memory out = tensor(
        channels,
        windowed(height, op.pads.top + op.pads.bottom, op.kernel.y, op.stride.y, op.dilation.y),
        windowed(width, op.pads.left + op.pads.right, op.kernel.x, op.stride.x, op.dilation.x));
    op.relu = pick({0, 1});
    const int taps = in_channels / op.groups * op.kernel.y * op.kernel.x;
    const bool extreme = pick({0, 0, 1});
    for (int i = 0; i < channels * taps; ++i)
      op.weights.push_back(static_cast<std::int8_t>(
          extreme ? (random_() % 2 ? 127 : -127) : static_cast<int>(random_() % 255) - 127));
    out.buffer.format.scale = scale();
    for (int k = 0; k < channels; ++k) {
      op.bias.push_back(static_cast<std::int32_t>(random_() % 20001) - 10000);
      op.multiplier.push_back(std::ldexp(pick({0, 1}) ? 1.0f : 1.37f, -pick({6, 8, 10, 12})));
    }
    const Arithmetic mode = arithmetic();
    const int threads = pick({1, 1, 2, 3});
    const auto step =
        make_conv(op, in.buffer, out.buffer, mode, threads, *GetParam().conv(mode.pointwise));
    expect_scalar(*step, op, {in.buffer}, out, mode, threads);
  }
}

TEST_P(HostTarget, RoundsEveryFloatAroundEveryTie) {
  // With a weight of zero and a bias of +-1 the product is the multiplier itself.
  std::vector<float> values = {
      std::numeric_limits<float>::max(), 1e30f, 3e9f, 127.99999f, 1e-40f, 0.0f};
  for (int k = 0; k <= 260; ++k) {
    const float centre = static_cast<float>(k) * 0.5f;
    float below = centre, above = centre;
    values.push_back(centre);
    for (int ulp = 0; ulp < 3; ++ulp) {
      below = std::max(0.0f, std::nextafter(below, 0.0f));
      above = std::nextafter(above, 1e9f);
      values.push_back(below);
      values.push_back(above);
    }
  }
  for (const std::int32_t sign : {1, -1}) {
    for (const int which : {0, 1, 2, 3}) {
      const Arithmetic mode{which % 2 ? Rounding::kHalfEven : Rounding::kHalfAway,
                            which / 2 ? Pointwise::kFp19 : Pointwise::kFp32};
      Operator op;
      op.type = OperatorType::kConv;
      op.weights.assign(values.size(), 0);
      op.bias.assign(values.size(), sign);
      op.multiplier = values;
      if (mode.pointwise == Pointwise::kFp19) op.multiplier[0] = 1e38f;  // the largest is refused
      const Memory in = tensor(1, 1, 1);
      Memory out = tensor(static_cast<int>(values.size()), 1, 1);
      const auto step =
          make_conv(op, in.buffer, out.buffer, mode, 1, *GetParam().conv(mode.pointwise));
      expect_scalar(*step, op, {in.buffer}, out, mode);
    }
  }
}

TEST_P(HostTarget, AddsPoolsAndClampsLikeTheDefinition) {
  for (int round = 0; round < 40; ++round) {
    const int channels = pick({1, 31, 32, 50}), height = pick({1, 6, 9}), width = pick({1, 8, 21});
    Memory a = tensor(channels, height, width), b = tensor(channels, height, width);
    a.buffer.format.scale = b.buffer.format.scale = scale();
    Operator op;
    op.type = OperatorType::kAdd;
    op.multiplier = {pick({0, 1}) ? 0.5f : 0.731f};
    op.relu = pick({0, 1});
    const Arithmetic mode = arithmetic();
    Memory sum = tensor(channels, height, width);
    sum.buffer.format.scale = scale();
    expect_scalar(*make_add(op, a.buffer, b.buffer, sum.buffer, mode), op, {a.buffer, b.buffer},
                  sum, mode);

    op.type = OperatorType::kRelu;
    Memory clamped = tensor(channels, height, width);
    expect_scalar(*make_relu(a.buffer, clamped.buffer), op, {a.buffer}, clamped, mode);

    op.type = OperatorType::kMaxPool;
    op.kernel = {std::min(pick({1, 2, 5}), height), std::min(pick({2, 3, 5}), width)};
    op.stride = {pick({1, 2}), pick({1, 2, 3})};
    op.pads = {op.kernel.y - 1, op.kernel.x / 2, 0, op.kernel.x - 1};
    Memory pooled = tensor(
        channels, windowed(height, op.pads.top + op.pads.bottom, op.kernel.y, op.stride.y, 1),
        windowed(width, op.pads.left + op.pads.right, op.kernel.x, op.stride.x, 1));
    expect_scalar(*make_maxpool(op, a.buffer, pooled.buffer), op, {a.buffer}, pooled, mode, 2);
  }
}

TEST_P(HostTarget, MultipliesSelectsAndLooksUpLikeTheDefinition) {
  for (int round = 0; round < 100; ++round) {
    const int channels = pick({1, 31, 32, 50, 96}), height = pick({1, 6, 9});
    const int width = pick({1, 8, 21});
    const Arithmetic mode = arithmetic();
    const int threads = pick({1, 2});
    Memory a = tensor(channels, height, width), b = tensor(channels, height, width);
    Memory factors = tensor(channels, 1, 1), out = tensor(channels, height, width);
    a.buffer.format.scale = scale();
    b.buffer.format.scale = factors.buffer.format.scale = scale();
    Operator op;
    op.type = OperatorType::kMul;
    op.multiplier = {std::ldexp(pick({0, 1}) ? 1.0f : 1.37f, -pick({1, 5, 8, 20}))};
    out.buffer.format.scale = std::ldexp(scale(), pick({0, 5, 6, 7}));
    for (const Memory* other : {&b, &factors})
      expect_scalar(*make_mul(op, a.buffer, other->buffer, out.buffer, mode), op,
                    {a.buffer, other->buffer}, out, mode, threads);

    for (const OperatorType type : {OperatorType::kMax, OperatorType::kMin}) {
      op.type = type;
      expect_scalar(*make_extreme(op, a.buffer, b.buffer, out.buffer), op, {a.buffer, b.buffer},
                    out, mode, threads);
    }

    op.type = OperatorType::kTable;
    for (int q = -128; q < 128; ++q) op.table.push_back(static_cast<std::int8_t>(random_()));
    expect_scalar(*make_table(op, a.buffer, out.buffer), op, {a.buffer}, out, mode, threads);
  }
}

TEST_P(HostTarget, AveragesEnlargesAndSpreadsLikeTheDefinition) {
  for (int round = 0; round < 40; ++round) {
    const int channels = pick({1, 31, 32, 50, 70}), height = pick({1, 6, 9});
    const int width = pick({1, 8, 21});
    const Arithmetic mode = arithmetic();
    const int threads = pick({1, 2, 3});
    const Memory in = tensor(channels, height, width);
    Operator op;
    op.type = OperatorType::kAvgPool;
    op.kernel = {std::min(pick({1, 2, 5, 9}), height), std::min(pick({2, 3, 5, 21}), width)};
    op.stride = {pick({1, 2}), pick({1, 2, 3})};
    op.pads = {op.kernel.y - 1, op.kernel.x / 2, 0, op.kernel.x - 1};
    Memory mean = tensor(
        channels, windowed(height, op.pads.top + op.pads.bottom, op.kernel.y, op.stride.y, 1),
        windowed(width, op.pads.left + op.pads.right, op.kernel.x, op.stride.x, 1));
    expect_scalar(*make_avgpool(op, in.buffer, mean.buffer, mode.rounding), op, {in.buffer}, mean,
                  mode, threads);

    op.type = OperatorType::kBilinear;
    op.factor = {pick({1, 2, 3, 4}), pick({1, 2, 3, 32})};
    op.corner = pick({0, 1}) ? Corner::kHalfPixel : Corner::kAsymmetric;
    op.multiplier = {(pick({0, 1}) ? 1.0f : 0.731f) /
                     static_cast<float>(4 * op.factor.y * op.factor.x)};
    Memory large = tensor(channels, height * op.factor.y, width * op.factor.x);
    expect_scalar(*make_bilinear(op, in.buffer, large.buffer, mode.rounding), op, {in.buffer},
                  large, mode, threads);

    op.type = OperatorType::kDepthToSpace;
    op.block = {pick({1, 2, 3}), pick({1, 2, 5})};
    const Memory deep = tensor(channels * op.block.y * op.block.x, height, width);
    Memory spread = tensor(channels, height * op.block.y - pick({0, op.block.y - 1}),
                           width * op.block.x - pick({0, op.block.x - 1}));
    expect_scalar(*make_depth_to_space(op, deep.buffer, spread.buffer), op, {deep.buffer}, spread,
                  mode, threads);
  }
}

TEST(Fp19, IsTheNearestWithElevenSignificantBits) {
  std::mt19937 random{5};
  std::vector<std::uint32_t> patterns = {0,          0x00001000, 0x00001001, 0x00003000, 0x007fefff,
                                         0x007ff000, 0x7f7fefff, 0x7f7ff000, 0x7f800000};
  for (int i = 0; i < 100000; ++i) patterns.push_back(random() & 0x7fffffffu);
  for (int i = 0; i < 1000; ++i)  // around ties
    for (const std::uint32_t low : {0xfffu, 0x1000u, 0x1001u})
      patterns.push_back((random() & 0x7fffe000u) | low);
  for (const std::uint32_t positive : patterns) {
    if (positive > 0x7f800000u) continue;  // not a number
    for (const std::uint32_t pattern : {positive, positive | 0x80000000u}) {
      float value;
      std::memcpy(&value, &pattern, sizeof value);
      EXPECT_EQ(to_fp19(value), scalar_fp19(value)) << std::hex << pattern;
    }
  }
}

// Guards the tests above against testing one kernel six times.
TEST(HostTargets, EveryTargetHasItsOwnKernel) {
  const std::vector<Kernel> kernels = kernels_of_this_cpu();
  std::set<const ConvTarget*> found;
  for (const Kernel& kernel : kernels) {
    hwy::SetSupportedTargetsForTest(kernel.highway);
    found.insert(kernel.conv(Pointwise::kFp32));
    found.insert(kernel.conv(Pointwise::kFp19));
    hwy::SetSupportedTargetsForTest(0);
  }
  EXPECT_EQ(found.size(), 2 * kernels.size());
}

// What the operating system says of the CPU, beside what we ask the CPU itself.
TEST(HostTargets, ACpuWithADotProductOfBytesUsesIt) {
  std::ifstream file("/proc/cpuinfo");
  std::set<std::string> features;
  for (std::string word; file >> word;) features.insert(word);
#if HWY_ARCH_X86
  const std::map<std::string, std::string> expected = {{"AVX512_VNNI", "avx512_vnni"},
                                                       {"AVX_VNNI", "avx_vnni"}};
#else
  const std::map<std::string, std::string> expected = {{"NEON_DOTPROD", "asimddp"}};
  if (features.count("asimd") == 0) GTEST_SKIP() << "this emulator shows another machine's cpuinfo";
#endif
  const ConvTarget* best = nullptr;
  for (const DotProductTarget& dot : kDotProductTargets) {
    const ConvTarget* target = dot.target(Pointwise::kFp32);
    const auto feature = expected.find(dot.name);
    EXPECT_EQ(target != nullptr, feature != expected.end() && features.count(feature->second) > 0)
        << dot.name;
    if (!best) best = target;
  }
  if (!best) best = &widening_conv_target(Pointwise::kFp32);
  EXPECT_EQ(&best_conv_target(Pointwise::kFp32), best);
}

INSTANTIATE_TEST_SUITE_P(, HostTarget, testing::ValuesIn(kernels_of_this_cpu()),
                         [](const auto& target) { return target.param.name; });

}  // namespace
}  // namespace unina::host
