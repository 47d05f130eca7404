#include "cuda/frame_wait.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace unina {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// Between two looks at the stream: short beside a frame of some ms, long beside a look's few us.
constexpr std::chrono::microseconds kLook{50};

}  // namespace

// Polls. Sleeps through most of what a frame usually takes; that figure falls at once and rises
// slowly, so that one slow frame does not hold up those behind it.
bool FrameWait::operator()(cudaStream_t stream) {
  const Clock::time_point begin = Clock::now();
  const Milliseconds timeout(timeout_ms_);
  Milliseconds sleep = std::min(Milliseconds(0.7 * usual_ms_), timeout);
  while (true) {
    if (sleep.count() > 0) std::this_thread::sleep_for(sleep);
    const cudaError_t status = cuda_.cudaStreamQuery(stream);
    if (status == cudaSuccess) break;
    if (status != cudaErrorNotReady) cuda_.require("cudaStreamQuery", status);
    if (Clock::now() - begin >= timeout) return false;
    sleep = kLook;
  }
  usual_ms_ = std::min(Milliseconds(Clock::now() - begin).count(), 1.1 * usual_ms_ + 0.1);
  return true;
}

}  // namespace unina
