// One operator made ready: bound to its buffers, parameters packed, nothing left to decide.
#pragma once

#include <memory>
#include <vector>

#include "host/loadable.h"
#include "host/thread_pool.h"
#include "unina/tensor.h"

namespace unina::host {

// What the steps of one engine take turns in using.
struct Workspace {
  ThreadPool& pool;
  std::vector<std::uint8_t*> scratch;  // one a thread, aligned to 64 bytes
};

class Step {
 public:
  virtual ~Step() = default;
  // Scratch memory that every thread needs.
  virtual std::size_t scratch_bytes() const { return 0; }
  virtual void run(const Workspace& workspace) = 0;
};

// A tensor of the network in the arena.
struct Buffer {
  TensorFormat format;
  std::int8_t* data = nullptr;

  // Row y of block (32 channels, 16 of float16, or the one block of HWC4) `block`.
  std::int8_t* row(int block, int y) const {
    return data + static_cast<std::size_t>(block) * format.channel_stride +
           static_cast<std::size_t>(y) * format.row_stride;
  }
  int blocks() const {
    return (format.channels + format.channels_per_pixel() - 1) / format.channels_per_pixel();
  }
};

struct ConvTarget;  // host/conv_kernel.h

// Inputs of every operator but a conv are CHW32; so are all outputs, but for CHW16 where a float
// conv reads or writes float16. `threads` is how many share
// the work. They throw unina::Error when the memory they would need is absurd, or a scale has no
// place in FP19.
std::unique_ptr<Step> make_conv(const Operator& op, const Buffer& in, const Buffer& out,
                                Arithmetic arithmetic, int threads, const ConvTarget& target);
std::unique_ptr<Step> make_float_conv(const Operator& op, const Buffer& in, const Buffer& out,
                                      Rounding rounding, int threads);
std::unique_ptr<Step> make_relu(const Buffer& in, const Buffer& out);
std::unique_ptr<Step> make_add(const Operator& op, const Buffer& a, const Buffer& b,
                               const Buffer& out, Arithmetic arithmetic);
std::unique_ptr<Step> make_concat(const std::vector<Buffer>& inputs, const Buffer& out);
std::unique_ptr<Step> make_maxpool(const Operator& op, const Buffer& in, const Buffer& out);
std::unique_ptr<Step> make_resize(const Operator& op, const Buffer& in, const Buffer& out);
std::unique_ptr<Step> make_table(const Operator& op, const Buffer& in, const Buffer& out);
std::unique_ptr<Step> make_mul(const Operator& op, const Buffer& a, const Buffer& b,
                               const Buffer& out, Arithmetic arithmetic);
std::unique_ptr<Step> make_extreme(const Operator& op, const Buffer& a, const Buffer& b,
                                   const Buffer& out);  // max and min
std::unique_ptr<Step> make_avgpool(const Operator& op, const Buffer& in, const Buffer& out,
                                   Rounding rounding);
std::unique_ptr<Step> make_bilinear(const Operator& op, const Buffer& in, const Buffer& out,
                                    Rounding rounding);
std::unique_ptr<Step> make_depth_to_space(const Operator& op, const Buffer& in, const Buffer& out);

}  // namespace unina::host
