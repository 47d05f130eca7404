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

  virtual std::string why_unavailable() = 0;
  // A start, two frames, an end. Throws Error.
  virtual void run() = 0;

  // From the first call to the last: a probe, and run(). What it was stopped by, or "".
  std::string live_through(const std::string& faults) {
    if (const char* wrong = standin_set_faults(faults.c_str())) return wrong;
    const std::string lacks = why_unavailable();
    if (!lacks.empty()) return lacks;
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
