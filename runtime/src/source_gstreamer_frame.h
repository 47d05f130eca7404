// A picture of a GStreamer pipeline, read where it lies.
#pragma once

#include <gst/gst.h>

#include <array>
#include <memory>

#include "unina/image.h"
#include "unina/source.h"

namespace unina {

struct SampleUnref {
  void operator()(GstSample* sample) const { gst_sample_unref(sample); }
};
using Sample = std::unique_ptr<GstSample, SampleUnref>;

// Keeps its sample, and with it the memory out of the pipeline's pool, as long as it lives.
class GstreamerFrame {
 public:
  virtual ~GstreamerFrame() = default;
  GstreamerFrame(const GstreamerFrame&) = delete;
  GstreamerFrame& operator=(const GstreamerFrame&) = delete;
  virtual const ImageView& image() const = 0;

 protected:
  GstreamerFrame() = default;
};
using GstreamerFrames = std::array<std::shared_ptr<const GstreamerFrame>, kSourceBuffers>;

// Maps the sample's picture: system memory by GStreamer, NVMM memory by NVIDIA's library. What
// repeats a picture of `held` (videorate does) is that one, since the library maps a buffer once.
// Throws Error.
std::shared_ptr<const GstreamerFrame> hold(Sample sample, const GstreamerFrames& held);

}  // namespace unina
