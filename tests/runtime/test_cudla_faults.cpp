// The fault matrix of the DLA's accelerator: every function that the vendor's libraries export to
// us goes wrong, at each of its uses and in every way; what comes out is a line that names the
// call, and nothing stays behind.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "cuda/cuda_graph.h"
#include "cuda/cuda_runtime.h"
#include "cudla/cudla_external.h"
#include "cudla/cudla_hybrid.h"
#include "exported_functions.h"
#include "vendor_faults.h"

namespace unina::test {
namespace {

// The calls that give something back; what they fail to release stays, and nothing else does.
const std::map<std::string, std::string> kReleases = {
    {"cudaStreamDestroy", "1 stream"},
    {"cudaFreeHost", "1 buffer"},
    {"cudlaMemUnregister", ""},  // is asked a second time
    {"cudlaModuleUnload", "1 device, 1 module"},
    {"cudlaDestroyDevice", "1 device"},
};
// Made only when another call has failed.
const std::set<std::string> kOfErrors = {"cudaGetErrorName", "cudaGetErrorString"};

// Those are in the matrices of test_tensorrt and test_cudla_standalone_faults.
constexpr const char* kCallsOfOthers[] = {
#define UNINA_CALL(name) #name,
    UNINA_CUDA_GRAPH_CALLS(UNINA_CALL) UNINA_CUDLA_EXTERNAL_CALLS(UNINA_CALL)
#undef UNINA_CALL
};

// From the symbol tables: a function that is added to a stand-in is in the matrix.
const std::set<std::string>& every_call() {
  static const std::set<std::string> all = [] {
    std::set<std::string> names = exported_functions("libcudart.so.12", "cuda");
    names.merge(exported_functions("libcudla.so.1", "cudla"));
    for (const char* call : kCallsOfOthers) EXPECT_EQ(names.erase(call), 1u) << call;
    return names;
  }();
  return all;
}

class CudlaFaults : public VendorFaults {
 protected:
  void run() override {
    const std::string lacks = CudlaHybrid::why_unavailable(0);
    if (!lacks.empty()) throw Error(lacks);
    const auto dla = CudlaHybrid::load(options_, manifest());
    dla->infer();
    dla->infer();
    dla->close();
  }

  // Those of errors not at all.
  std::map<std::string, int> uses() override {
    std::map<std::string, int> counts = count(every_call());
    for (const std::string& call : kOfErrors) counts.erase(call);
    counts["cudaStreamQuery"] = 2;  // as often as a frame is slow; two frames look once each
    return counts;
  }
};

TEST_F(CudlaFaults, TheMatrixHasEveryCallThatIsMadeAndNoOther) {
  const std::set<std::string> made = {
#define UNINA_CALL(name) #name,
      UNINA_CUDART_CALLS(UNINA_CALL) UNINA_CUDLA_CALLS(UNINA_CALL)
#undef UNINA_CALL
  };
  EXPECT_EQ(made, every_call());
  for (const auto& [call, count] : uses()) EXPECT_GT(count, 0) << call << " is never made";
}

TEST_F(CudlaFaults, EveryCallMayFailAtEveryUse) {
  for (const auto& [call, times] : uses()) {
    for (int use = 1; use <= times; ++use) {
      const std::string fault = call + ":" + std::to_string(use) + "=fail";
      SCOPED_TRACE(fault);
      const int hits = standin_faults_hit(call.c_str());
      const std::string message = live_through(fault);
      EXPECT_EQ(standin_faults_hit(call.c_str()), hits + 1);
      EXPECT_NE(message.find(call + ": cud"), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      // The only leak is what the call itself refused to give back.
      const auto release = kReleases.find(call);
      expect_left(release == kReleases.end() ? "" : release->second);
    }
  }
}

TEST_F(CudlaFaults, EveryCallMayFailForGood) {
  for (const auto& [call, times] : uses()) {
    SCOPED_TRACE(call);
    const std::string message = live_through(call + ":*=fail");
    EXPECT_NE(message.find(call + ": cud"), std::string::npos) << message;
    std::string left;
    if (call == "cudaFreeHost") left = "3 buffers";
    // Nobody knows whether the task still runs: all is kept for it.
    if (call == "cudaStreamQuery") {
      left = "3 buffers, 1 device, 1 module, 3 registrations, 1 stream";
    }
    // The DLA can still reach them, so nobody else may have that memory.
    if (call == "cudlaMemUnregister") left = "3 buffers, 1 device, 3 registrations";
    const auto release = kReleases.find(call);
    if (left.empty() && release != kReleases.end()) left = release->second;
    expect_left(left);
  }
}

TEST_F(CudlaFaults, EveryCallMayTakeItsTime) { expect_every_call_may_take_its_time(); }

TEST_F(CudlaFaults, EveryCallMayHangForAWhile) { expect_every_call_may_hang_for_a_while(); }

// Success is reported, and nothing or nonsense given.
TEST_F(CudlaFaults, EveryCallMayLie) {
  // The others give nothing that could be checked: outputs of a task are as good as any.
  EXPECT_EQ(lies_seen_through(),
            (std::set<std::string>{"cudaHostAlloc", "cudaHostGetDevicePointer",
                                   "cudaStreamCreateWithFlags", "cudlaCreateDevice",
                                   "cudlaDeviceGetCount", "cudlaMemRegister",
                                   "cudlaModuleGetAttributes", "cudlaModuleLoadFromMemory"}));
  EXPECT_NE(live_through("cudaHostGetDevicePointer:1=corrupt=4096").find("cudlaMemRegister: "),
            std::string::npos);
}

// A release may do its work and tell of an older error all the same, as NVIDIA documents for most.
TEST_F(CudlaFaults, AReleaseThatReportsAnOldErrorLeavesNothingBehind) {
  for (const auto& [call, kept] : kReleases) {
    SCOPED_TRACE(call);
    const std::string message = live_through(call + ":1=late=6");
    EXPECT_NE(message.find(call + ": "), std::string::npos) << message;
    expect_left("");
  }
}

// Two things go wrong: the release on the way out fails as well.
TEST_F(CudlaFaults, TheFirstErrorIsTheOneThatIsTold) {
  for (const auto& [call, kept] : kReleases) {
    SCOPED_TRACE(call);
    testing::internal::CaptureStderr();
    const std::string message = live_through("cudlaMemRegister:3=fail;" + call + ":1=late=6");
    EXPECT_NE(testing::internal::GetCapturedStderr().find(call), std::string::npos);
    EXPECT_NE(message.find("cudlaMemRegister: cudlaErrorUmd (7)"), std::string::npos) << message;
    expect_left("");
  }
}

// A task runs on when a later call of its frame fails: its buffers must outlive it.
TEST_F(CudlaFaults, WhatFailsDuringAFrameDoesNotEndItsBuffers) {
  for (const char* call : {"cudaStreamQuery", "cudaStreamSynchronize", "cudlaGetLastError"}) {
    SCOPED_TRACE(call);
    const std::string message =
        live_through(std::string("cudlaSubmitTask:1=delay=40;") + call + ":1=fail");
    EXPECT_NE(message.find(std::string(call) + ": cud"), std::string::npos) << message;
    expect_left("");
  }
}

TEST_F(CudlaFaults, AFrameThatFailedMayBeFollowedByOneThatWorks) {
  for (const char* call : {"cudaSetDevice:2", "cudlaSubmitTask:1", "cudaStreamQuery:1",
                           "cudaStreamSynchronize:1", "cudlaGetLastError:1"}) {
    SCOPED_TRACE(call);
    ASSERT_EQ(standin_set_faults((std::string(call) + "=fail").c_str()), nullptr);
    const auto dla = CudlaHybrid::load(options_, manifest());
    EXPECT_THROW(dla->infer(), Error);
    EXPECT_NO_THROW(dla->infer());
    dla->close();
    expect_left("");
  }
}

// Without names from the library the number still says which error it was.
TEST_F(CudlaFaults, ErrorsWithoutNamesAreStillErrors) {
  EXPECT_NE(live_through("cudaHostAlloc:1=fail;cudaGetErrorName:*=fail;cudaGetErrorString:*=fail")
                .find("cudaHostAlloc: CUDA error (2)"),
            std::string::npos);
  EXPECT_NE(live_through("cudaHostAlloc:1=fail").find("cudaErrorMemoryAllocation (2), "),
            std::string::npos);
  EXPECT_NE(live_through("cudlaCreateDevice:1=fail=77").find("unknown cuDLA error (77)"),
            std::string::npos);
  for (const std::string& call : kOfErrors) EXPECT_GT(standin_faults_hit(call.c_str()), 0);
}

TEST_F(CudlaFaults, TheDestructorDoesNotThrow) {
  for (const auto& [call, kept] : kReleases) {
    SCOPED_TRACE(call);
    ASSERT_EQ(standin_set_faults((call + ":1=fail").c_str()), nullptr);
    testing::internal::CaptureStderr();
    CudlaHybrid::load(options_, manifest());
    EXPECT_NE(testing::internal::GetCapturedStderr().find(call), std::string::npos);
    expect_left(kept);
  }
}

}  // namespace
}  // namespace unina::test
