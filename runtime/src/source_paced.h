// Another source at a camera's pace, and again from its beginning where it ends.
#pragma once

#include <chrono>
#include <memory>

#include "unina/source.h"

namespace unina {

struct Pace {
  double fps = 0;  // 0: as fast as pictures are read
  bool loop = false;
};

class PacedSource final : public Source {
 public:
  using Source::next;

  PacedSource(std::unique_ptr<Source> source, const Pace& pace);

  // Waits for the picture's moment. A camera does not wait for its reader: moments that passed
  // meanwhile are left out of the sequence.
  std::optional<Frame> next(int buffer) override;
  void rewind() override;
  std::optional<std::size_t> count() const override;

 private:
  using Clock = std::chrono::steady_clock;

  std::uint64_t wait_for_tick();

  std::unique_ptr<Source> source_;
  Pace pace_;
  bool started_ = false;
  Clock::time_point begin_;
  std::uint64_t tick_ = 0;
};

}  // namespace unina
