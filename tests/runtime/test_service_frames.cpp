// Pictures from another process: the newest is handed out where it lies, what the detector holds is
// never written to, and a ring that lies about its sizes is refused.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "source_frames.h"
#include "unina/error.h"

namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kWidth = 40, kHeight = 6, kStride = 128;

// The producer's side, as docs/service.md has it.
class Producer {
 public:
  explicit Producer(const std::string& path, std::uint32_t slots = UNINA_FRAMES_LEAST_SLOTS) {
    const std::uint64_t pixels = 4096;
    bytes_ = sizeof(unina_frame_header) + slots * pixels;
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    EXPECT_EQ(ftruncate(file, static_cast<off_t>(bytes_)), 0);
    ring_ = static_cast<unina_frame_header*>(
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    close(file);
    std::memcpy(ring_->magic, UNINA_FRAMES_MAGIC, sizeof ring_->magic);
    ring_->version = UNINA_FRAMES_VERSION;
    ring_->pixels_start = sizeof(unina_frame_header);
    ring_->pixels_bytes = pixels;
    ring_->slot_count = slots;
    ring_->width = kWidth;
    ring_->height = kHeight;
    ring_->row_stride = kStride;
    ring_->format = UNINA_FRAME_BGR;
  }
  ~Producer() { munmap(ring_, bytes_); }

  // A picture whose every byte tells its number.
  void produce(std::uint64_t sequence) {
    const int slot = unina_frame_begin(ring_);
    ASSERT_GE(slot, 0);
    std::memset(unina_frame_pixels(ring_, slot), static_cast<int>(sequence % 251),
                kStride * kHeight);
    unina_frame_commit(ring_, slot, sequence, static_cast<std::int64_t>(1000 + sequence));
  }
  unina_frame_header& header() { return *ring_; }

 private:
  std::size_t bytes_;
  unina_frame_header* ring_;
};

class Frames : public testing::Test {
 protected:
  void SetUp() override {
    path = (fs::temp_directory_path() / ("unina-frames-" + std::to_string(getpid()))).string();
  }
  void TearDown() override { fs::remove(path); }
  std::string path;
};

bool is_whole(const unina::Frame& frame) {
  for (int y = 0; y < frame.image.height; ++y) {
    const std::uint8_t* row = frame.image.data + static_cast<std::size_t>(y) * kStride;
    for (std::uint32_t x = 0; x < 3 * kWidth; ++x) {
      if (row[x] != frame.sequence % 251) return false;
    }
  }
  return true;
}

TEST_F(Frames, TheNewestIsHandedOutAndStaysAsLongAsItIsHeld) {
  Producer producer(path);
  unina::FramesSource source(path);
  std::vector<unina::Frame> held;
  for (std::uint64_t n = 1; n <= 30; ++n) {
    producer.produce(n);
    if (n % 10 != 0) continue;
    held.push_back(*source.next(static_cast<int>(held.size())));
    EXPECT_EQ(held.back().sequence, n);
    EXPECT_EQ(held.back().captured_ns, static_cast<std::int64_t>(1000 + n));
    EXPECT_EQ(held.back().image.width, 40);
  }
  for (std::uint64_t n = 31; n < 100; ++n) producer.produce(n);
  for (const unina::Frame& frame : held) EXPECT_TRUE(is_whole(frame));
}

TEST_F(Frames, WhatADeadConsumerHeldIsFreedByTheNext) {
  Producer producer(path);
  for (std::uint32_t i = 0; i < UNINA_FRAMES_LEAST_SLOTS; ++i)
    producer.header().slots[i].state = UNINA_FRAME_HELD;
  unina::FramesSource source(path);
  producer.produce(1);
  EXPECT_EQ(source.next(0)->sequence, 1u);
}

TEST_F(Frames, ThereIsOneConsumer) {
  Producer producer(path);
  unina::FramesSource source(path);
  EXPECT_THROW(unina::FramesSource second(path), unina::Error);
}

TEST_F(Frames, AnEndIsSeen) {
  Producer producer(path);
  unina::FramesSource source(path);
  producer.produce(1);
  producer.header().closed = 1;
  EXPECT_TRUE(source.next(0).has_value());
  EXPECT_FALSE(source.next(1).has_value());
}

TEST_F(Frames, TwoThreadsNeverShareAPicture) {
  Producer producer(path, UNINA_FRAMES_LEAST_SLOTS + 1);
  unina::FramesSource source(path);
  std::atomic<bool> stop{false};
  std::thread producing([&] {
    for (std::uint64_t n = 1; !stop; ++n) producer.produce(n);
  });
  std::uint64_t last = 0;
  for (int i = 0; i < 500; ++i) {
    const std::optional<unina::Frame> frame = source.next(i % unina::kSourceBuffers);
    ASSERT_TRUE(frame.has_value());
    ASSERT_GT(frame->sequence, last);
    last = frame->sequence;
    ASSERT_TRUE(is_whole(*frame)) << i;
  }
  stop = true;
  producing.join();
}

TEST_F(Frames, AHeaderThatChangesLaterLeadsNobodyOutOfTheFile) {
  Producer producer(path);
  unina::FramesSource source(path);
  producer.header().height = producer.header().row_stride = 16384;
  producer.header().pixels_start = producer.header().format = UINT32_MAX;
  producer.header().pixels_bytes = UINT64_MAX / 8;
  producer.header().slots[0].sequence = 1;
  producer.header().slots[0].state = UNINA_FRAME_READY;
  const std::optional<unina::Frame> frame = source.next(0);
  EXPECT_EQ(frame->image.height, static_cast<int>(kHeight));
  EXPECT_EQ(frame->image.row_stride, kStride);
  for (std::uint32_t i = 0; i < kStride * kHeight; ++i) EXPECT_EQ(frame->image.data[i], 0);
  producer.header().slot_count = 60000;
  EXPECT_THROW(source.next(1), unina::Error);
}

TEST_F(Frames, WhatContradictsItselfIsRefused) {
  using Change = void (*)(unina_frame_header&);
  for (const Change change : {
           Change{[](unina_frame_header& h) { h.magic[0] = 'x'; }},
           {[](unina_frame_header& h) { h.version = 2; }},
           {[](unina_frame_header& h) { h.slot_count = UNINA_FRAMES_LEAST_SLOTS - 1; }},
           {[](unina_frame_header& h) { h.slot_count = UNINA_FRAMES_LEAST_SLOTS + 1; }},
           {[](unina_frame_header& h) { h.slot_count = 65; }},
           {[](unina_frame_header& h) { h.width = 0; }},
           {[](unina_frame_header& h) { h.width = 43; }},  // more than a row's stride
           {[](unina_frame_header& h) { h.height = 33; }},
           {[](unina_frame_header& h) { h.row_stride = 0x80000000u; }},
           {[](unina_frame_header& h) { h.pixels_bytes = UINT64_MAX; }},
           {[](unina_frame_header& h) { h.pixels_bytes = 700; }},
           {[](unina_frame_header& h) { h.pixels_start = 8; }},
           {[](unina_frame_header& h) { h.format = 4; }},
       }) {
    Producer producer(path);
    change(producer.header());
    EXPECT_THROW(unina::FramesSource source(path), unina::Error);
  }
  fs::resize_file(path, 100);
  EXPECT_THROW(unina::FramesSource source(path), unina::Error);
  EXPECT_THROW(unina::FramesSource source("/nowhere/ring"), unina::Error);
}

}  // namespace
