// cuDLA's standalone mode against the stand-ins: what the network says arrives unchanged through
// memory whose caches are not coherent, no call of CUDA is made, a DLA that hangs costs a frame and
// not the process.
#include "cudla/cudla_standalone.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "cudla/standalone_build.h"
#include "cudla_network.h"
#include "exported_functions.h"
#include "hung_dla.h"
#include "standin.h"
#include "unina/accelerators.h"
#include "unina/bundle.h"
#include "unina/error.h"
#include "unina/host_engine.h"

namespace unina::test {
namespace {

// With fences that NvSciSync counts, and with those that we count.
class CudlaStandaloneTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(standin_set_faults(""), nullptr);
    options_.timeout_ms = 20'000;  // no test of another promise fails on a busy machine
    options_.deterministic_semaphores = GetParam();
  }
  void TearDown() override {
    standin_release_hangs();
    expect_clean();  // a leak fails the test that made it
    standin_forget_objects();
    standin_clear_violations();
  }
  static void expect_clean() {
    EXPECT_STREQ(standin_live_description(), "");
    EXPECT_STREQ(standin_violations(), "");
  }

  std::unique_ptr<CudlaStandalone> load(Layout layout = Layout::kHwc4, std::uint32_t rows = 64) {
    options_.loadable = folder_.write("net.dla", standin_loadable(layout, rows));
    return CudlaStandalone::load(options_, manifest());
  }
  // A frame of noise, and what both say of it.
  void expect_same(CudlaStandalone& dla, unsigned seed) {
    fill(dla.inputs()[0], seed);
    fill(host_->inputs()[0], seed);
    dla.infer();
    host_->infer();
    ASSERT_EQ(dla.outputs().size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(dla.outputs()[i].name, host_->outputs()[i].name);
      const std::vector<int> values = elements(host_->outputs()[i]);
      EXPECT_EQ(elements(dla.outputs()[i]), values);
      EXPECT_GT(*std::max_element(values.begin(), values.end()), 9) << "says nothing";
    }
  }

  Folder folder_;
  DlaOptions options_;
  std::unique_ptr<HostEngine> host_ = HostEngine::parse(host_loadable(), "x");
};

INSTANTIATE_TEST_SUITE_P(, CudlaStandaloneTest, testing::Bool(), [](const auto& parameter) {
  return parameter.param ? "FencesOfOurs" : "FencesOfNvSciSync";
});

TEST_P(CudlaStandaloneTest, SaysWhatTheNetworkSaysInEveryInputFormat) {
  for (const auto& [layout, rows] :
       {std::pair{Layout::kHwc4, 64u}, {Layout::kLinear, 64u}, {Layout::kChw32, 1u}}) {
    const auto dla = load(layout, rows);
    EXPECT_EQ(dla->inputs()[0].format.layout, layout);
    for (unsigned frame = 0; frame < 4; ++frame) expect_same(*dla, frame);
    dla->close();
    expect_clean();
  }
}

TEST_P(CudlaStandaloneTest, NoCallOfCudaIsMade) {
  const auto dla = load();
  for (unsigned frame = 0; frame < 3; ++frame) expect_same(*dla, frame);
  dla->close();
  const std::set<std::string> cuda = exported_functions("libcudart.so.12", "cuda");
  EXPECT_GT(cuda.size(), 10u);
  for (const std::string& call : cuda) EXPECT_EQ(standin_calls(call.c_str()), 0) << call;
}

TEST_P(CudlaStandaloneTest, AnyThreadMayInfer) {
  const auto dla = load();
  std::thread([&] { expect_same(*dla, 1); }).join();
  expect_same(*dla, 2);
}

TEST_P(CudlaStandaloneTest, TwoCoresRunSideBySide) {
  const auto first = load();
  options_.core = 1;
  const auto second = load();
  expect_same(*first, 1);
  expect_same(*second, 2);
  expect_same(*first, 3);
}

TEST_P(CudlaStandaloneTest, ACoreThatIsNotThereIsNamed) {
  for (const int core : {2, -1}) {
    options_.core = core;
    const std::string line = "DLA core " + std::to_string(core) + ": this machine has 2";
    try {
      load();
      FAIL();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(line), std::string::npos) << error.what();
    }
  }
}

TEST_P(CudlaStandaloneTest, AnEngineForTheGpuIsKnownBeforeTheDriverSeesIt) {
  const std::string plan = "ftrt and more";
  options_.loadable = folder_.write("gpu.engine", Bytes(plan.begin(), plan.end()));
  try {
    CudlaStandalone::load(options_, manifest());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find(options_.loadable + ": is a TensorRT engine"), 0u)
        << error.what();
  }
  EXPECT_EQ(standin_calls("cudlaCreateDevice"), 0);
}

TEST_P(CudlaStandaloneTest, AnAsynchronousErrorOfTheHardwareIsReported) {
  const auto dla = load();
  ASSERT_EQ(standin_set_faults("cudlaSubmitTask:1=late=0x40000006"), nullptr);
  try {
    dla->infer();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("cudlaErrorDlaErrEngineTimeout (1073741830)"),
              std::string::npos)
        << error.what();
  }
  expect_same(*dla, 5);  // the next frame is another one
}

// A count of fences that one failure puts out of step would hang the second frame after it, or end
// it too early.
TEST_P(CudlaStandaloneTest, AFrameThatFailedIsFollowedByOnesThatWork) {
  for (const std::string call :
       {"NvSciBufObjFlushCpuCacheRange:1", "NvSciBufObjFlushCpuCacheRange:2",
        "NvSciSyncObjGenerateFence:1", "NvSciSyncFenceUpdateFence:1", "NvSciSyncFenceUpdateFence:2",
        "NvSciSyncFenceUpdateFence:4", "NvSciSyncFenceExtractFence:2", "cudlaSubmitTask:1",
        "NvSciSyncObjSignal:1", "NvSciSyncFenceWait:1", "cudlaGetLastError:1"}) {
    SCOPED_TRACE(call);
    const bool never_made =
        call.find(GetParam() ? "GenerateFence" : "UpdateFence") != std::string::npos ||
        (!GetParam() && call.find("ExtractFence") != std::string::npos);
    if (never_made) continue;
    const auto dla = load();
    ASSERT_EQ(standin_set_faults((call + "=fail").c_str()), nullptr);
    EXPECT_THROW(dla->infer(), Error);
    for (unsigned frame = 0; frame < 3; ++frame) expect_same(*dla, frame);
    dla->close();
    expect_clean();
  }
}

// The core got the signal and the call reported an error, so the core gets one more: since a frame
// is submitted with its inputs complete, one that begins a signal too early reads nothing else.
TEST_P(CudlaStandaloneTest, ASignalTooManyLeavesTheNextFramesWhole) {
  const auto dla = load();
  ASSERT_EQ(standin_set_faults("NvSciSyncObjSignal:1=late"), nullptr);
  EXPECT_THROW(dla->infer(), Error);
  for (unsigned frame = 0; frame < 8; ++frame) expect_same(*dla, frame);
  EXPECT_EQ(standin_calls("NvSciSyncObjSignal"), 10);  // nine frames, and one of them again
  dla->close();
  const std::string violations = standin_violations();
  const std::string early = "NvSciSyncObjSignal without a fence";
  EXPECT_EQ(violations.substr(0, early.size()), GetParam() ? "" : early);
  for (std::size_t at = 0; at < violations.size(); at += early.size() + 2) {
    EXPECT_EQ(violations.substr(at, early.size()), early);
  }
  standin_clear_violations();
  expect_clean();
}

TEST_P(CudlaStandaloneTest, ASlowFrameIsWaitedForAndALateOneIsAnError) {
  options_.timeout_ms = 1000;
  const auto dla = load();
  ASSERT_EQ(standin_set_faults("cudlaSubmitTask:1=delay=60;cudlaSubmitTask:2=delay=1400"), nullptr);
  expect_same(*dla, 1);
  EXPECT_THROW(dla->infer(), Error);
  EXPECT_THROW(dla->infer(), Error);
  EXPECT_EQ(standin_calls("cudlaSubmitTask"), 2);
  dla->close();  // within its own timeout the frame comes to an end, and all is released
  expect_clean();
}

TEST_P(CudlaStandaloneTest, AHungDlaCostsItsBuffersAndNotTheProcess) {
  options_.timeout_ms = 30;
  expect_a_hang_costs_only_buffers(
      load(),
      "3 buffers, 1 buffer module, 1 device, 1 module, 5 registrations, "
      "1 sync module, 2 sync objects, 1 wait context");
}

TEST(CudlaStandaloneBuild, OnlyWhoAsksForItGetsIt) {
  EXPECT_TRUE(kHasCudlaStandalone);
  const std::vector<std::string>& names = accelerator_names();
  EXPECT_EQ(std::count(names.begin(), names.end(), "cudla-standalone"), 1);

  const Folder folder;
  const std::string json = manifest_json();
  folder.write("manifest.json", Bytes(json.begin(), json.end()));
  const Bundle bundle = Bundle::open(folder.path());
  DlaOptions options;
  options.loadable = "net.dla";
  for (options.core = 0; options.core < 3; ++options.core) {  // two that are there, one that is not
    for (const AcceleratorCandidate& candidate : accelerator_candidates(bundle, options)) {
      EXPECT_NE(candidate.name, "cudla-standalone");
    }
    EXPECT_EQ(choose_accelerator("cudla-standalone", bundle, options).name, "cudla-standalone");
  }
  options.core = 0;
  EXPECT_EQ(choose_accelerator("auto", bundle, options).name, "cudla-hybrid");
  options.core = 2;  // nothing fits, and still it is not taken
  EXPECT_THROW(choose_accelerator("auto", bundle, options), Error);
}

}  // namespace
}  // namespace unina::test
