// The fault matrix of cuDLA's standalone mode: every function that libcudla and NvSci's libraries
// export to us goes wrong, at each of its uses and in every way.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "cudla/cudla_external.h"
#include "cudla/cudla_standalone.h"
#include "cudla/nvsci_library.h"
#include "exported_functions.h"
#include "vendor_faults.h"

namespace unina::test {
namespace {

// The calls that give something back; what they fail to release stays, and nothing else does.
const std::map<std::string, std::string> kReleases = {
    {"NvSciBufAttrListFree", "1 attribute list"},
    {"NvSciBufModuleClose", "1 buffer module"},
    {"NvSciBufObjFree", "1 buffer"},
    {"NvSciSyncAttrListFree", "1 attribute list"},
    {"NvSciSyncCpuWaitContextFree", "1 wait context"},
    {"NvSciSyncModuleClose", "1 sync module"},
    {"NvSciSyncObjFree", "1 sync object"},
    {"cudlaDestroyDevice", "1 device"},
    {"cudlaMemUnregister", ""},  // is asked a second time
    {"cudlaModuleUnload", "1 device, 1 module"},
};
// Those have no way to say that they failed.
const std::set<std::string> kMute = {
    "NvSciBufAttrListFree",        "NvSciBufModuleClose", "NvSciBufObjFree",
    "NvSciSyncAttrListFree",       "NvSciSyncFenceClear", "NvSciSyncModuleClose",
    "NvSciSyncCpuWaitContextFree", "NvSciSyncObjFree",
};
// Of a frame in flight all is kept.
constexpr char kAll[] =
    "3 buffers, 1 buffer module, 1 device, 1 module, 5 registrations, 1 sync module, "
    "2 sync objects, 1 wait context";

// Those are in the matrix of test_cudla_faults.
constexpr const char* kOfHybridMode[] = {"cudlaGetVersion", "cudlaMemRegister"};

// From the symbol tables: a function that is added to a stand-in is in the matrix.
const std::set<std::string>& every_call() {
  static const std::set<std::string> all = [] {
    std::set<std::string> names = exported_functions("libcudla.so.1", "cudla");
    for (const char* call : kOfHybridMode) EXPECT_EQ(names.erase(call), 1u) << call;
    names.merge(exported_functions("libnvscibuf.so.1", "NvSci"));
    names.merge(exported_functions("libnvscisync.so.1", "NvSci"));
    return names;
  }();
  return all;
}

class CudlaStandaloneFaults : public VendorFaults, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    VendorFaults::SetUp();
    options_.deterministic_semaphores = GetParam();
  }
  void run() override {
    const auto dla = CudlaStandalone::load(options_, manifest());
    dla->infer();
    dla->infer();
    dla->close();
  }
  // Those that are made at all.
  std::map<std::string, int> uses() override {
    std::map<std::string, int> counts = count(every_call());
    for (auto one = counts.begin(); one != counts.end();) {
      one = one->second == 0 ? counts.erase(one) : std::next(one);
    }
    return counts;
  }
  static void expect_told(const std::string& call, const std::string& message) {
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    if (kMute.count(call) != 0) {
      EXPECT_EQ(message, "");
    } else {
      const bool told = message.find(call + ": cudla") != std::string::npos ||
                        message.find(call + ": NvSci error ") != std::string::npos;
      EXPECT_TRUE(told) << message;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(, CudlaStandaloneFaults, testing::Bool(), [](const auto& parameter) {
  return parameter.param ? "FencesOfOurs" : "FencesOfNvSciSync";
});

TEST_P(CudlaStandaloneFaults, TheMatrixHasEveryCallThatIsMadeAndNoOther) {
  std::set<std::string> made = {
#define UNINA_CALL(name) #name,
      UNINA_CUDLA_CALLS(UNINA_CALL) UNINA_CUDLA_EXTERNAL_CALLS(UNINA_CALL)
          UNINA_NVSCIBUF_CALLS(UNINA_CALL) UNINA_NVSCISYNC_CALLS(UNINA_CALL)
#undef UNINA_CALL
  };
  for (const char* call : kOfHybridMode) made.erase(call);
  EXPECT_EQ(made, every_call());
  const std::set<std::string> of_the_other =
      GetParam() ? std::set<std::string>{"NvSciSyncObjGenerateFence"}
                 : std::set<std::string>{"NvSciSyncFenceExtractFence", "NvSciSyncFenceUpdateFence"};
  for (const auto& [call, times] : count(every_call())) {
    EXPECT_EQ(times > 0, of_the_other.count(call) == 0) << call;
  }
}

TEST_P(CudlaStandaloneFaults, EveryCallMayFailAtEveryUse) {
  for (const auto& [call, times] : uses()) {
    for (int use = 1; use <= times; ++use) {
      const std::string fault = call + ":" + std::to_string(use) + "=fail";
      SCOPED_TRACE(fault);
      const int hits = standin_faults_hit(call.c_str());
      expect_told(call, live_through(fault));
      EXPECT_EQ(standin_faults_hit(call.c_str()), hits + 1);
      // The only leak is what the call itself refused to give back.
      const auto release = kReleases.find(call);
      std::string left = release == kReleases.end() ? "" : release->second;
      // The last two clear the fences for good, those before only to make room for the next.
      if (call == "NvSciSyncFenceClear" && use > times - 2) left = "1 sync object";
      expect_left(left);
    }
  }
}

TEST_P(CudlaStandaloneFaults, EveryCallMayFailForGood) {
  const std::map<std::string, std::string> leaves = {
      {"NvSciBufAttrListFree", "6 attribute lists"},
      {"NvSciBufObjFree", "3 buffers"},
      {"NvSciSyncAttrListFree", "6 attribute lists"},
      {"NvSciSyncFenceClear", "2 sync objects"},
      {"NvSciSyncObjFree", "2 sync objects"},
      // Nobody knows whether the task still runs.
      {"NvSciSyncFenceWait", kAll},
      {"NvSciSyncObjSignal", kAll},
      // The DLA can still reach them.
      {"cudlaMemUnregister", "3 buffers, 1 device, 5 registrations, 2 sync objects"}};
  for (const auto& [call, times] : uses()) {
    SCOPED_TRACE(call);
    expect_told(call, live_through(call + ":*=fail"));
    const auto special = leaves.find(call);
    const auto release = kReleases.find(call);
    expect_left(special != leaves.end()      ? special->second
                : release != kReleases.end() ? release->second
                                             : "");
  }
}

TEST_P(CudlaStandaloneFaults, EveryCallMayTakeItsTime) { expect_every_call_may_take_its_time(); }

TEST_P(CudlaStandaloneFaults, EveryCallMayHangForAWhile) {
  expect_every_call_may_hang_for_a_while();
}

// Success is reported, and nothing or nonsense given.
TEST_P(CudlaStandaloneFaults, EveryCallMayLie) {
  std::set<std::string> expected = {"NvSciBufAttrListCreate",
                                    "NvSciBufAttrListReconcile",
                                    "NvSciBufAttrListSetAttrs",
                                    "NvSciBufModuleOpen",
                                    "NvSciBufObjAlloc",
                                    "NvSciBufObjGetCpuPtr",
                                    "NvSciSyncAttrListCreate",
                                    "NvSciSyncAttrListReconcile",
                                    "NvSciSyncAttrListSetAttrs",
                                    "NvSciSyncCpuWaitContextAlloc",
                                    "NvSciSyncModuleOpen",
                                    "NvSciSyncObjAlloc",
                                    "cudlaCreateDevice",
                                    "cudlaDeviceGetCount",
                                    "cudlaGetNvSciSyncAttributes",
                                    "cudlaImportExternalMemory",
                                    "cudlaImportExternalSemaphore",
                                    "cudlaModuleGetAttributes",
                                    "cudlaModuleLoadFromMemory"};
  if (!GetParam()) expected.insert("NvSciSyncObjGenerateFence");
  EXPECT_EQ(lies_seen_through(), expected);
}

// The work is done and a failure reported: what was given along with it is released all the same.
TEST_P(CudlaStandaloneFaults, WhatAFailedCallGaveIsReleased) {
  // An object of cuDLA's beside an error is nobody's: NVIDIA says nothing of it.
  const std::set<std::string> give_an_object = {"cudlaCreateDevice", "cudlaImportExternalMemory",
                                                "cudlaImportExternalSemaphore",
                                                "cudlaModuleLoadFromMemory"};
  for (const auto& [call, times] : uses()) {
    SCOPED_TRACE(call);
    const std::string message = live_through(call + ":1=late=6");
    expect_told(call == "cudlaSubmitTask" ? "cudlaGetLastError" : call, message);
    if (give_an_object.count(call) != 0) {
      standin_forget_objects();
      standin_clear_violations();
    }
    if (call == "NvSciSyncObjSignal") {
      // Nobody knows whether the core still waits, so it is signalled again; this time it did not.
      EXPECT_STREQ(standin_violations(), GetParam() ? "" : "NvSciSyncObjSignal without a fence");
      standin_clear_violations();
    }
    expect_left("");
  }
}

TEST_P(CudlaStandaloneFaults, TheFirstErrorIsTheOneThatIsTold) {
  for (const char* call : {"cudlaMemUnregister", "cudlaModuleUnload", "cudlaDestroyDevice"}) {
    SCOPED_TRACE(call);
    testing::internal::CaptureStderr();
    const std::string message =
        live_through(std::string("cudlaImportExternalSemaphore:2=fail;") + call + ":1=late=6");
    EXPECT_NE(testing::internal::GetCapturedStderr().find(call), std::string::npos);
    EXPECT_NE(message.find("cudlaImportExternalSemaphore: cudlaErrorNvSci (14)"), std::string::npos)
        << message;
    expect_left("");
  }
}

// A task runs on when a later call of its frame fails: its buffers must outlive it.
TEST_P(CudlaStandaloneFaults, WhatFailsDuringAFrameDoesNotEndItsBuffers) {
  for (const char* call : {"NvSciSyncFenceWait", "NvSciSyncObjSignal", "cudlaGetLastError"}) {
    SCOPED_TRACE(call);
    expect_told(call, live_through(std::string("cudlaSubmitTask:1=delay=40;") + call + ":1=fail"));
    expect_left("");
  }
}

}  // namespace
}  // namespace unina::test
