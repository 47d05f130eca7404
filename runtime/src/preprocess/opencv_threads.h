// OpenCV works on the caller's thread: its pool gains nothing in half a millisecond of work, and a
// process that was forked after the pool started (a PyTorch data loader's workers) would wait for
// threads that it does not have.
#pragma once

#include <opencv2/core/utility.hpp>

namespace unina {

// Before every use of OpenCV on pixels; only the first call does anything.
inline void keep_opencv_on_this_thread() {
  static const bool once = (cv::setNumThreads(1), true);
  static_cast<void>(once);
}

}  // namespace unina
