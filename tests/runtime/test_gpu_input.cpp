// A GPU may write the input of cudla-hybrid and tensorrt: what is enqueued runs on the
// accelerator's stream, before the network and on the memory that the network reads; when it could
// not be enqueued the next frame is whole again.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cudla/cudla_hybrid.h"
#include "cudla_network.h"
#include "fake_tensorrt.h"
#include "standin.h"
#include "tensorrt/tensorrt.h"
#include "unina/error.h"
#include "unina/host_engine.h"

namespace unina::test {
namespace {

// Plays a kernel that is slow, so that a network which does not wait for it reads something else.
class SlowKernel final : public InputWriter {
 public:
  SlowKernel(TensorFormat format, unsigned seed) : format_(format), seed_(seed) {}
  void enqueue(CUstream_st* stream, void* input) override {
    if (refuses) throw Error("the launch failed");
    ASSERT_TRUE(standin::enqueue(stream, [this, input] {
      standin::Fault delay;
      delay.kind = standin::Fault::Kind::kDelay;
      delay.value = 20;
      delay.wait();
      fill({"images", format_, input}, seed_);
    }));
  }
  bool refuses = false;

 private:
  TensorFormat format_;
  unsigned seed_;
};

std::vector<int> outputs_of(const Accelerator& accelerator) {
  std::vector<int> values;
  for (const TensorView& view : accelerator.outputs()) {
    for (const int value : elements(view)) values.push_back(value);
  }
  return values;
}

std::vector<int> expected(unsigned seed) {
  const auto host = HostEngine::parse(host_loadable(), "x");
  fill(host->inputs()[0], seed);
  host->infer();
  return outputs_of(*host);
}

class GpuInput : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ASSERT_EQ(standin_set_faults(""), nullptr);
    plan_.tensors = trt_tensors(Layout::kHwc4, 64);
  }
  void TearDown() override {
    EXPECT_STREQ(standin_live_description(), "");
    EXPECT_STREQ(standin_violations(), "");
    standin_forget_objects();
    standin_clear_violations();
  }

  std::unique_ptr<Accelerator> load(int timeout_ms = 20'000) {
    if (GetParam() == std::string("cudla")) {
      DlaOptions options;
      options.loadable = folder_.write("net.dla", standin_loadable(Layout::kHwc4, 64));
      options.timeout_ms = timeout_ms;
      return CudlaHybrid::load(options, manifest());
    }
    TensorRtOptions options;
    options.engine = folder_.write("net.engine", {'f', 't', 'r', 't', 1, 2, 3});
    options.timeout_ms = timeout_ms;
    return TensorRt::load(options, manifest(), std::make_unique<FakeRuntime>(plan_));
  }

  Folder folder_;
  TrtPlan plan_;
};

TEST_P(GpuInput, IsWrittenOnTheStreamBeforeTheNetworkReadsIt) {
  const auto accelerator = load();
  ASSERT_TRUE(accelerator->gpu_sees_input());
  for (const unsigned seed : {5u, 9u, 11u}) {
    SlowKernel kernel(accelerator->inputs()[0].format, seed);
    accelerator->infer_on(kernel);
    EXPECT_EQ(outputs_of(*accelerator), expected(seed)) << seed;
  }
  EXPECT_NE(expected(5), expected(9));
}

TEST_P(GpuInput, ThatCouldNotBeWrittenIsAnErrorAndTheNextFrameIsWhole) {
  const auto accelerator = load();
  SlowKernel kernel(accelerator->inputs()[0].format, 5);
  kernel.refuses = true;
  try {
    accelerator->infer_on(kernel);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the launch failed"), std::string::npos);
  }
  kernel.refuses = false;
  accelerator->infer_on(kernel);
  EXPECT_EQ(outputs_of(*accelerator), expected(5));
}

// The kernel was enqueued, the network not: the accelerator's end waits for the kernel.
TEST_P(GpuInput, IsWaitedForAlsoWhenTheNetworkWasRefused) {
  auto accelerator = load();
  const char* submit =
      GetParam() == std::string("cudla") ? "cudlaSubmitTask:1=fail" : "cudaGraphLaunch:1=fail";
  ASSERT_EQ(standin_set_faults(submit), nullptr);
  SlowKernel kernel(accelerator->inputs()[0].format, 5);
  EXPECT_THROW(accelerator->infer_on(kernel), Error);
  accelerator.reset();  // TearDown: no stream was destroyed with work on it
}

INSTANTIATE_TEST_SUITE_P(Of, GpuInput, testing::Values("cudla", "tensorrt"),
                         [](const auto& of) { return std::string(of.param); });

TEST(HostInput, IsNotTheGpus) {
  const auto host = HostEngine::parse(host_loadable(), "x");
  EXPECT_FALSE(host->gpu_sees_input());
  SlowKernel kernel(host->inputs()[0].format, 5);
  EXPECT_THROW(host->infer_on(kernel), Error);
}

}  // namespace
}  // namespace unina::test
