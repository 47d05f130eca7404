// The DLA's accelerator against the stand-ins: what the network says arrives unchanged, wrong files
// and wrong tensors are refused by a line, a DLA that hangs costs a frame and not the process.
#include "cudla/cudla_hybrid.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "cudla/loadable_kind.h"
#include "cudla/tensor_descriptor.h"
#include "cudla_network.h"
#include "hung_dla.h"
#include "standin.h"
#include "unina/error.h"
#include "unina/host_engine.h"

namespace unina::test {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

void expect_clean() {
  EXPECT_STREQ(standin_live_description(), "");
  EXPECT_STREQ(standin_violations(), "");
}

class CudlaHybridTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(standin_set_faults(""), nullptr);
    options_.timeout_ms = 20'000;  // no test of another promise fails on a busy machine
  }
  void TearDown() override {
    standin_release_hangs();
    expect_clean();  // a leak fails the test that made it
    standin_forget_objects();
    standin_clear_violations();
  }

  std::unique_ptr<CudlaHybrid> load(Layout layout = Layout::kHwc4, std::uint32_t rows = 64) {
    options_.loadable = folder_.write("net.dla", standin_loadable(layout, rows));
    return CudlaHybrid::load(options_, manifest());
  }

  // What load() refuses with; "" when it does not.
  std::string refusal() {
    try {
      load();
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  Folder folder_;
  DlaOptions options_;
};

TEST_F(CudlaHybridTest, SaysWhatTheNetworkSaysInEveryInputFormat) {
  const auto host = HostEngine::parse(host_loadable(), "x");
  for (const auto& [layout, rows] :
       {std::pair{Layout::kHwc4, 64u}, {Layout::kLinear, 64u}, {Layout::kChw32, 1u}}) {
    const auto dla = load(layout, rows);
    ASSERT_EQ(dla->inputs().size(), 1u);
    EXPECT_EQ(dla->inputs()[0].format.layout, layout);
    EXPECT_EQ(dla->inputs()[0].format.row_stride % rows, 0u);
    for (unsigned frame = 0; frame < 3; ++frame) {
      fill(dla->inputs()[0], frame);
      fill(host->inputs()[0], frame);
      dla->infer();
      host->infer();
      ASSERT_EQ(dla->outputs().size(), 2u);
      for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(dla->outputs()[i].name, host->outputs()[i].name);
        EXPECT_EQ(dla->outputs()[i].format.scale, 0.0625f);
        const std::vector<int> values = elements(host->outputs()[i]);
        EXPECT_EQ(elements(dla->outputs()[i]), values);
        EXPECT_GT(*std::max_element(values.begin(), values.end()), 9) << "says nothing";
      }
    }
    dla->close();
    expect_clean();
  }
}

TEST_F(CudlaHybridTest, AnyThreadMayInfer) {
  const auto dla = load();
  std::thread([&] { dla->infer(); }).join();
  dla->infer();
}

TEST_F(CudlaHybridTest, TwoCoresRunSideBySide) {
  const auto first = load();
  options_.core = 1;
  const auto second = load();
  fill(first->inputs()[0], 1);
  fill(second->inputs()[0], 1);
  first->infer();
  second->infer();
  EXPECT_EQ(elements(first->outputs()[0]), elements(second->outputs()[0]));
}

TEST_F(CudlaHybridTest, ACoreThatIsNotThereIsNamed) {
  for (const int core : {2, -1}) {
    options_.core = core;
    const std::string line = "DLA core " + std::to_string(core) + ": this machine has 2";
    EXPECT_NE(refusal().find(line), std::string::npos) << refusal();
    EXPECT_EQ(CudlaHybrid::why_unavailable(core).find(line), 0u);
  }
  EXPECT_EQ(CudlaHybrid::why_unavailable(0), "");
  EXPECT_EQ(standin_set_faults("cudlaDeviceGetCount:*=corrupt=0"), nullptr);
  EXPECT_EQ(CudlaHybrid::why_unavailable(0), "DLA core 0: this machine has 0 (numbered from 0)");
  expect_clean();
}

TEST_F(CudlaHybridTest, FilesThatAreNoLoadableAreKnownBeforeTheDriverSeesThem) {
  const auto kind = [](const std::string& bytes) {
    return why_no_loadable(Bytes(bytes.begin(), bytes.end()));
  };
  EXPECT_NE(kind("ftrt\x01\x02").find("TensorRT engine"), std::string::npos);
  const std::string json = R"({"names":{"0":"cone"}})";
  EXPECT_NE(
      kind(std::string(1, static_cast<char>(json.size())) + std::string(3, '\0') + json + "ftrt")
          .find("TensorRT engine"),
      std::string::npos);
  EXPECT_NE(kind("\x08\x09\x12\x07pytorch").find("ONNX"), std::string::npos);
  EXPECT_NE(kind("UNINAHL1").find("host accelerator"), std::string::npos);
  EXPECT_NE(kind("\x7f"
                 "ELF\x02")
                .find("program"),
            std::string::npos);
  EXPECT_NE(kind("").find("empty"), std::string::npos);
  EXPECT_EQ(kind(std::string("\x20\0\0\0NVDA", 8)), "");
  EXPECT_EQ(kind("ftr"), "");

  const std::string plan = "ftrt and more";
  options_.loadable = folder_.write("gpu.engine", Bytes(plan.begin(), plan.end()));
  try {
    CudlaHybrid::load(options_, manifest());
    FAIL();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find(options_.loadable + ": is a TensorRT engine"), 0u) << message;
    EXPECT_NE(message.find("--buildDLAStandalone"), std::string::npos) << message;
  }
  EXPECT_EQ(standin_calls("cudlaCreateDevice"), 0);
}

TEST_F(CudlaHybridTest, AMissingFileAndUnknownBytesAreErrors) {
  for (const std::string& path :
       {std::string(), std::string("/nowhere/net.dla"), folder_.write("noise.dla", {1, 2, 3, 4})}) {
    options_.loadable = path;
    try {
      CudlaHybrid::load(options_, manifest());
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    }
  }
  options_.timeout_ms = 0;
  EXPECT_NE(refusal().find("at least 1"), std::string::npos);
  expect_clean();
}

TEST_F(CudlaHybridTest, DescriptorsThatAreNonsenseAreRefused) {
  int hits = 0;
  for (const char* call : {"3", "4"}) {  // calls 1 to 4: number and list of inputs, of outputs
    const bool counts = call[0] == '3';
    for (const std::string& value :
         counts ? std::vector<std::string>{"0", "65", "4294967295"}
                : std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10",
                                           "11"}) {
      const std::string plan =
          std::string("cudlaModuleGetAttributes:") + call + "=corrupt=" + value;
      ASSERT_EQ(standin_set_faults(plan.c_str()), nullptr);
      const std::string message = refusal();
      EXPECT_NE(message.find(options_.loadable + ": "), std::string::npos) << plan;
      EXPECT_EQ(message.find("cudla"), std::string::npos) << message;  // it was loaded
      EXPECT_EQ(standin_faults_hit("cudlaModuleGetAttributes"), ++hits);
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      EXPECT_LT(message.size(), 700u) << message;
      expect_clean();
    }
  }
}

TEST_F(CudlaHybridTest, AnotherModelsLoadableIsRefused) {
  options_.loadable = folder_.write("net.dla", standin_loadable(Layout::kHwc4, 64));
  using Changes = std::vector<std::pair<std::string, std::string>>;
  const auto against = [&](const Changes& changes) -> std::string {
    std::string json = manifest_json();
    for (const auto& [from, to] : changes) {
      for (std::size_t at = 0; (at = json.find(from, at)) != std::string::npos; at += to.size()) {
        json.replace(at, from.size(), to);
      }
    }
    try {
      CudlaHybrid::load(options_, Manifest::parse(json, "manifest.json"));
      return "accepted";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_NE(against({{"\"c8\"", "\"other\""}}).find("output 'c8' of the loadable is not in"),
            std::string::npos);
  EXPECT_NE(against({{"images", "picture"}}).find("input 'images' of the loadable is not in"),
            std::string::npos);
  EXPECT_NE(
      against({{"16, 40]", "16, 48]"}, {"\"width\": 40", "\"width\": 48"}, {"2, 5]", "2, 6]"}})
          .find("input 'images' of the loadable has shape [1, 3, 16, 40], manifest.json says "
                "[1, 3, 16, 48]"),
      std::string::npos);
  expect_clean();
}

// TensorRT's own view of a HWC4 picture may count the padding channel.
TEST_F(CudlaHybridTest, DescriptorsBecomeFormats) {
  cudlaModuleTensorDescriptor d{};
  std::strcpy(d.name, "images");
  d.size = 16 * 192;
  d.n = 1, d.c = 4, d.h = 16, d.w = 40;
  d.dataType = CUDLA_DATA_TYPE_INT8;
  d.dataFormat = CUDLA_DATA_FORMAT_NHWC;
  d.dataCategory = CUDLA_DATA_CATEGORY_IMAGE;
  NetworkTensor tensor = describe(d, false, manifest());  // strides of 0: packed, rows of 64 bytes
  EXPECT_EQ(tensor.format.layout, Layout::kHwc4);
  EXPECT_EQ(tensor.format.channels, 3);
  EXPECT_EQ(tensor.format.row_stride, 192u);
  d.stride[1] = 160;
  EXPECT_EQ(describe(d, false, manifest()).format.row_stride, 160u);
  d.stride[1] = 159;
  EXPECT_THROW(describe(d, false, manifest()), Error);
  d.stride[1] = 256;  // no longer fits the buffer
  EXPECT_THROW(describe(d, false, manifest()), Error);
  EXPECT_THROW(describe(d, true, manifest()), Error);
}

TEST_F(CudlaHybridTest, AnAsynchronousErrorOfTheHardwareIsReported) {
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
  dla->infer();  // the next frame is another one
  dla->close();
  expect_clean();
}

TEST_F(CudlaHybridTest, ASlowFrameIsWaitedForAndALateOneIsAnError) {
  options_.timeout_ms = 1000;
  auto dla = load();
  ASSERT_EQ(standin_set_faults("cudlaSubmitTask:1=delay=60;cudlaSubmitTask:2=delay=1400"), nullptr);
  dla->infer();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(dla->infer(), Error);
  EXPECT_GE(Milliseconds(std::chrono::steady_clock::now() - begin).count(), 999);
  EXPECT_THROW(dla->infer(), Error);
  EXPECT_EQ(standin_calls("cudlaSubmitTask"), 2);
  dla->close();  // within its own timeout the frame comes to an end, and all is released
  expect_clean();
}

TEST_F(CudlaHybridTest, AHungDlaCostsItsBuffersAndNotTheProcess) {
  options_.timeout_ms = 30;
  expect_a_hang_costs_only_buffers(load(),
                                   "3 buffers, 1 device, 1 module, 3 registrations, 1 stream");
}

}  // namespace
}  // namespace unina::test
