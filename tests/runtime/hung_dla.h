// What both modes of cuDLA promise of a core that never finishes.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "standin.h"
#include "unina/error.h"

namespace unina::test {

// The first task of an accelerator with a timeout of 30 ms hangs: the frame and the accelerator's
// end are errors, `kept` lives on since the DLA may still write there, and nothing else.
template <typename Dla>
void expect_a_hang_costs_only_buffers(std::unique_ptr<Dla> dla, const std::string& kept) {
  ASSERT_EQ(standin_set_faults("cudlaSubmitTask:1=hang"), nullptr);
  try {
    dla->infer();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("has not finished a frame within 30 ms"),
              std::string::npos)
        << error.what();
  }
  EXPECT_THROW(dla->close(), Error);
  dla.reset();
  EXPECT_EQ(standin_live_description(), kept);
  EXPECT_STREQ(standin_violations(), "");
  standin_forget_objects();
}

}  // namespace unina::test
