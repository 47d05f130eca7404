// Pictures that another process lays into shared memory (unina/frame_ring.h).
#pragma once

#include <array>
#include <chrono>
#include <string>

#include "unina/frame_ring.h"
#include "unina/source.h"

namespace unina {

class FramesSource final : public Source {
 public:
  using Source::next;
  static constexpr std::chrono::milliseconds kPatience{2000};

  // Takes hold of the ring: one consumer at a time. Throws Error.
  explicit FramesSource(const std::string& path);
  ~FramesSource() override;
  FramesSource(const FramesSource&) = delete;
  FramesSource& operator=(const FramesSource&) = delete;

  // The newest picture, where it lies. Throws Error when none comes within kPatience.
  std::optional<Frame> next(int buffer) override;
  void rewind() override {}
  std::optional<std::size_t> count() const override { return std::nullopt; }

 private:
  void check() const;
  ImageView view(int slot) const;
  void release(int buffer);

  std::string path_;
  int file_ = -1;
  std::size_t bytes_ = 0;
  unina_frame_header* ring_ = nullptr;
  unina_frame_header checked_{};          // its sizes, as they were when they were checked
  std::array<int, kSourceBuffers> held_;  // slot of each buffer, or -1
};

}  // namespace unina
