// TensorRT's accelerator through the seam: what is asked of TensorRT in which order, one capture
// and then replays, and every call of CUDA and of the seam failing at every use.
#include "tensorrt/tensorrt.h"

#include <gtest/gtest.h>

#include <map>

#include "cuda/cuda_graph.h"
#include "fake_tensorrt.h"
#include "standin.h"
#include "unina/error.h"

namespace unina::test {
namespace {

class TensorRtTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(standin_set_faults(""), nullptr);
    plan_.tensors = trt_tensors(Layout::kHwc4, 64);
    options_.engine = folder_.write("net.engine", {'f', 't', 'r', 't', 1, 2, 3});
    options_.timeout_ms = 20'000;  // no test of another promise fails on a busy machine
  }
  void TearDown() override {
    EXPECT_STREQ(standin_live_description(), "");
    EXPECT_STREQ(standin_violations(), "");
    EXPECT_EQ(plan_.live, 0);
    standin_forget_objects();
    standin_clear_violations();
  }

  std::unique_ptr<TensorRt> load() {
    return TensorRt::load(options_, manifest(), std::make_unique<FakeRuntime>(plan_));
  }
  // A start, two frames, an end: what it was stopped by, or "".
  std::string live_through() {
    try {
      const auto trt = load();
      trt->infer();
      trt->infer();
      trt->close();
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }
  void expect_left(const std::string& objects) {
    EXPECT_EQ(standin_live_description(), objects);
    EXPECT_STREQ(standin_violations(), "");
    standin_forget_objects();
    standin_clear_violations();
  }

  Folder folder_;
  TrtPlan plan_;
  TensorRtOptions options_;
};

TEST_F(TensorRtTest, SaysWhatTheNetworkSaysOnEachDevice) {
  const auto host = HostEngine::parse(host_loadable(), "x");
  for (const int core : {-1, 0, 1}) {
    for (const auto& [layout, rows] : {std::pair{Layout::kHwc4, 64}, {Layout::kLinear, 1}}) {
      options_.dla_core = core;
      plan_.tensors = trt_tensors(layout, static_cast<std::size_t>(rows));
      const auto trt = load();
      for (unsigned frame = 0; frame < 3; ++frame) {
        fill(trt->inputs()[0], frame);
        fill(host->inputs()[0], frame);
        trt->infer();
        host->infer();
        for (std::size_t i = 0; i < 2; ++i) {
          EXPECT_EQ(elements(trt->outputs()[i]), elements(host->outputs()[i]));
        }
      }
      trt->close();
    }
  }
}

TEST_F(TensorRtTest, OnTheGpuTheGraphIsCapturedOnceAndReplayed) {
  const auto trt = load();
  EXPECT_EQ(plan_.count("enqueueV3"), 2);  // a frame before, and the capture
  for (int frame = 0; frame < 5; ++frame) trt->infer();
  EXPECT_EQ(plan_.count("enqueueV3"), 2);
  EXPECT_EQ(standin_calls("cudaStreamBeginCapture"), 1);
  EXPECT_EQ(standin_calls("cudaGraphInstantiate"), 1);
  EXPECT_EQ(standin_calls("cudaGraphLaunch"), 5);
}

TEST_F(TensorRtTest, ADlaCoreIsSetBeforeTheEngineIsDeserialised) {
  options_.dla_core = 1;
  const auto trt = load();
  for (int frame = 0; frame < 3; ++frame) trt->infer();
  const std::vector<std::string> begin(plan_.calls.begin(), plan_.calls.begin() + 4);
  EXPECT_EQ(begin, (std::vector<std::string>{"setDLACore", "deserializeCudaEngine", "on core 1",
                                             "createExecutionContext"}));
  EXPECT_EQ(plan_.count("enqueueV3"), 3);  // nothing is captured: a DLA's work cannot be
  EXPECT_EQ(standin_calls("cudaStreamBeginCapture"), 0);
}

TEST_F(TensorRtTest, ACoreThatIsNotThereOrNotTakenIsAnError) {
  options_.dla_core = 2;
  EXPECT_NE(live_through().find("DLA core 2: this machine has 2"), std::string::npos);
  options_.dla_core = 1;
  plan_.refuse = "setDLACore";
  EXPECT_NE(live_through().find("took DLA core 0 instead of 1"), std::string::npos);
  EXPECT_EQ(plan_.count("deserializeCudaEngine"), 0);
}

TEST_F(TensorRtTest, TheObjectsEndInReverseOrder) {
  EXPECT_EQ(live_through(), "");
  const std::vector<std::string> end(plan_.calls.end() - 3, plan_.calls.end());
  EXPECT_EQ(end, (std::vector<std::string>{"~context", "~engine", "~runtime"}));
}

// An engine with a JSON text of so many bytes in front.
Bytes ultralytics(std::uint8_t length) {
  Bytes bytes = {length, 0, 0, 0, '{'};
  bytes.resize(3u + length, ' ');
  for (const char c : std::string("}ftrt")) bytes.push_back(static_cast<std::uint8_t>(c));
  return bytes;
}

TEST_F(TensorRtTest, FilesThatAreNoEngineAreRefused) {
  for (const auto& [bytes, said] : std::vector<std::pair<Bytes, std::string>>{
           {{}, "is not a TensorRT engine"},
           {{'U', 'N', 'I', 'N', 'A'}, "is not a TensorRT"},
           {{8, 0, 0, 0, '{', '"', 'a', '"', ':', '1', '2', '}', 'f', 't', 'r', 't'},
            "Ultralytics"},
           {ultralytics(102), "Ultralytics"}}) {  // a length that is the letter f
    options_.engine = folder_.write("other", bytes);
    EXPECT_NE(live_through().find(options_.engine + ": "), std::string::npos);
    EXPECT_NE(live_through().find(said), std::string::npos) << live_through();
  }
  options_.engine = "";
  EXPECT_NE(live_through().find("needs an engine"), std::string::npos);
  EXPECT_EQ(plan_.count("deserializeCudaEngine"), 0);
}

TEST_F(TensorRtTest, TensorsThatContradictTheManifestAreRefused) {
  const auto refused = [&](auto change) {
    plan_.tensors = trt_tensors(Layout::kHwc4, 64);
    change(plan_.tensors);
    return live_through();
  };
  using Tensors = std::vector<TrtTensor>;
  for (const auto& [said, message] : std::vector<std::pair<std::string, std::string>>{
           {"has shape [1, 3, 16, 41]", refused([](Tensors& t) { t[0].shape[3] = 41; })},
           {"has shape [3, 16, 40]", refused([](Tensors& t) { t[0].shape = {3, 16, 40}; })},
           {"another data type", refused([](Tensors& t) { t[1].type = DataType::kFloat16; })},
           {"data type 9 and format 7", refused([](Tensors& t) {
              t[1].known_type = false;
              t[1].type_number = 9;
              t[1].layout_number = 7;
            })},
           {"is not in manifest.json", refused([](Tensors& t) { t[2].name = "other"; })},
           {"has no output 'b8'", refused([](Tensors& t) { t.pop_back(); })},
           {"more than one output 'b8'", refused([](Tensors& t) { t.push_back(t[2]); })}}) {
    EXPECT_NE(message.find(said), std::string::npos) << message;
  }
}

// The fault matrix: CUDA's side.
TEST_F(TensorRtTest, EveryCallOfCudaMayFailAtEveryUse) {
  const std::map<std::string, std::string> releases = {{"cudaStreamDestroy", "1 stream"},
                                                       {"cudaFreeHost", "1 buffer"},
                                                       {"cudaGraphDestroy", "1 graph"},
                                                       {"cudaGraphExecDestroy", "1 executable"}};
  const std::vector<std::string> all = {
#define UNINA_CALL(name) #name,
      UNINA_CUDART_CALLS(UNINA_CALL) UNINA_CUDA_GRAPH_CALLS(UNINA_CALL)
#undef UNINA_CALL
  };
  ASSERT_EQ(live_through(), "");
  std::map<std::string, int> uses;
  for (const std::string& call : all) uses[call] = standin_calls(call.c_str());
  uses.erase("cudaGetErrorName");
  uses.erase("cudaGetErrorString");
  uses["cudaStreamQuery"] = 3;  // as often as a frame is slow; three frames look once each
  for (const auto& [call, times] : uses) {
    EXPECT_GT(times, 0) << call;
    for (int use = 1; use <= times; ++use) {
      for (const std::string kind : {"fail", "corrupt", "delay=2"}) {
        const std::string fault = call + ":" + std::to_string(use) + "=" + kind;
        SCOPED_TRACE(fault);
        ASSERT_EQ(standin_set_faults(fault.c_str()), nullptr);
        const std::string message = live_through();
        EXPECT_EQ(plan_.live, 0);
        if (kind == "fail") {
          EXPECT_NE(message.find(call + ": cuda"), std::string::npos) << message;
        }
        if (kind == "delay=2") {
          EXPECT_EQ(message, "");
        }
        const auto release = releases.find(call);
        expect_left(kind != "fail" || release == releases.end() ? "" : release->second);
      }
    }
  }
}

// And TensorRT's.
TEST_F(TensorRtTest, EveryCallOfTensorRtMayFailAtEveryUse) {
  for (const int core : {-1, 0}) {
    options_.dla_core = core;
    for (const auto& [call, times] : std::map<std::string, int>{{"deserializeCudaEngine", 1},
                                                                {"createExecutionContext", 1},
                                                                {"setTensorAddress", 3},
                                                                {"enqueueV3", 2}}) {
      for (int use = 0; use < times; ++use) {
        SCOPED_TRACE(call + " after " + std::to_string(use));
        plan_.refuse = call;
        plan_.after = use;
        const std::string message = live_through();
        EXPECT_NE(message.find("TensorRT: " + call + " failed: 'the log says why'"),
                  std::string::npos)
            << message;
        EXPECT_EQ(plan_.live, 0);
        expect_left("");
      }
    }
  }
}

TEST_F(TensorRtTest, AFrameThatFailedMayBeFollowedByOneThatWorks) {
  const auto trt = load();
  for (const char* call : {"cudaSetDevice", "cudaGraphLaunch", "cudaStreamQuery"}) {
    ASSERT_EQ(standin_set_faults((std::string(call) + ":1=fail").c_str()), nullptr);
    EXPECT_THROW(trt->infer(), Error) << call;
    EXPECT_NO_THROW(trt->infer()) << call;
  }
}

TEST_F(TensorRtTest, AFrameThatIsTooLateIsAnErrorAndItsBuffersOutliveIt) {
  options_.timeout_ms = 600;
  options_.dla_core = 0;
  const auto trt = load();
  plan_.delay_ms = 900;
  try {
    trt->infer();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("has not finished a frame within 600 ms"),
              std::string::npos);
  }
  EXPECT_THROW(trt->infer(), Error);
  trt->close();  // within its own timeout the frame comes to an end
}

TEST_F(TensorRtTest, AWarmUpThatIsTooLateFreesNothingUnderIt) {
  options_.timeout_ms = 600;
  plan_.delay_ms = 900;  // the first frame, before the capture
  EXPECT_NE(live_through().find("has not finished a frame within 600 ms"), std::string::npos);
}

}  // namespace
}  // namespace unina::test
