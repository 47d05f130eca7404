// What the fault matrices share: the life of an accelerator on the stand-ins, from the first call
// to the last, under a plan of faults.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "cudla_network.h"
#include "standin.h"
#include "unina/dla_options.h"
#include "unina/error.h"

namespace unina::test {

class VendorFaults : public testing::Test {
 protected:
  void SetUp() override {
    options_.loadable = folder_.write("net.dla", standin_loadable(Layout::kHwc4, 64));
    options_.timeout_ms = 20'000;  // no test of another promise fails on a busy machine
  }
  // A test that lets something leak has to say so: expect_left().
  void TearDown() override {
    expect_left("");
    standin_forget_objects();
    standin_clear_violations();
  }

  static void expect_left(const std::string& objects) {
    EXPECT_EQ(standin_live_description(), objects);
    EXPECT_STREQ(standin_violations(), "");
    standin_forget_objects();
    standin_clear_violations();
  }

  // A probe where there is one, a start, two frames, an end. Throws Error.
  virtual void run() = 0;
  // How often a life without faults makes each call of the matrix.
  virtual std::map<std::string, int> uses() = 0;

  // What run() was stopped by, or "".
  std::string live_through(const std::string& faults) {
    if (const char* wrong = standin_set_faults(faults.c_str())) return wrong;
    try {
      run();
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  // How often a life without faults makes each of these calls.
  std::map<std::string, int> count(const std::set<std::string>& calls) {
    EXPECT_EQ(live_through(""), "");
    std::map<std::string, int> counts;
    for (const std::string& call : calls) counts[call] = standin_calls(call.c_str());
    return counts;
  }

  // Each call of the matrix is slow once, and nothing comes of it.
  void expect_every_call_may_take_its_time() {
    for (const auto& [call, times] : uses()) {
      SCOPED_TRACE(call);
      EXPECT_EQ(live_through(call + ":1=delay=3"), "");
      expect_left("");
    }
  }

  // A call that hangs holds up its own thread only, and goes on as if nothing had been.
  void expect_every_call_may_hang_for_a_while() {
    options_.timeout_ms = 60'000;
    for (const auto& [call, times] : uses()) {
      SCOPED_TRACE(call);
      EXPECT_EQ(live_through_a_hang(call), "");
      expect_left("");
    }
  }

  // Each call of the matrix at each use reports success and gives nothing or nonsense. Those that
  // are seen through; the others give nothing that could be checked.
  std::set<std::string> lies_seen_through() {
    std::set<std::string> seen_through;
    for (const auto& [call, times] : uses()) {
      for (int use = 1; use <= times; ++use) {
        const std::string fault = call + ":" + std::to_string(use) + "=corrupt";
        SCOPED_TRACE(fault);
        const std::string message = live_through(fault);
        if (!message.empty()) seen_through.insert(call);
        EXPECT_EQ(message.find('\n'), std::string::npos) << message;
        expect_left("");
      }
    }
    return seen_through;
  }

  // A life in which the first use of a call hangs for a while: what it was stopped by, or "".
  std::string live_through_a_hang(const std::string& call) {
    const int hits = standin_faults_hit(call.c_str());
    std::string message;
    std::atomic<bool> ended{false};
    std::thread life([&] {
      message = live_through(call + ":1=hang");
      ended = true;
    });
    while (standin_faults_hit(call.c_str()) == hits && !ended) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_FALSE(ended) << "never hung";
    standin_release_hangs();
    life.join();
    return message;
  }

  Folder folder_;
  DlaOptions options_;
};

}  // namespace unina::test
