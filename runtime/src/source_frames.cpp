#include "source_frames.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "unina/error.h"

namespace unina {
namespace {

constexpr std::chrono::microseconds kPoll{500};  // a twentieth of a picture at 100 frames a second

}  // namespace

FramesSource::FramesSource(const std::string& path) : path_(path) {
  held_.fill(-1);
  file_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0) throw Error(path + ": " + std::strerror(errno) + "; does its producer run?");
  struct stat status{};
  void* memory = MAP_FAILED;
  try {
    if (flock(file_, LOCK_EX | LOCK_NB) != 0) throw Error(path + ": another process reads it");
    if (fstat(file_, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_size < static_cast<off_t>(sizeof(unina_frame_header))) {
      throw Error(path + ": is no ring of pictures");
    }
    bytes_ = static_cast<std::size_t>(status.st_size);
    memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (memory == MAP_FAILED) throw Error(path + ": " + std::strerror(errno));
    ring_ = static_cast<unina_frame_header*>(memory);
    std::memcpy(&checked_, ring_, offsetof(unina_frame_header, slots));
    check();
  } catch (...) {
    if (memory != MAP_FAILED) munmap(memory, bytes_);
    close(file_);
    throw;
  }
  // What a consumer held that is no more.
  for (std::uint32_t i = 0; i < checked_.slot_count; ++i) {
    unina_frame_turn(ring_, static_cast<int>(i), UNINA_FRAME_HELD, UNINA_FRAME_FREE);
  }
}

FramesSource::~FramesSource() {
  for (int buffer = 0; buffer < kSourceBuffers; ++buffer) release(buffer);
  munmap(ring_, bytes_);
  close(file_);
}

void FramesSource::check() const {
  const unina_frame_header& ring = checked_;
  const auto fail = [&](const std::string& why) {
    throw Error(path_ + ": " + why + "; see unina/frame_ring.h");
  };
  if (std::memcmp(ring.magic, UNINA_FRAMES_MAGIC, sizeof ring.magic) != 0) {
    fail("does not begin as a ring of pictures does");
  }
  if (ring.version != UNINA_FRAMES_VERSION) {
    fail("has version " + std::to_string(ring.version) + ", known is " +
         std::to_string(UNINA_FRAMES_VERSION));
  }
  if (ring.slot_count < UNINA_FRAMES_LEAST_SLOTS || ring.slot_count > UNINA_FRAMES_MOST_SLOTS) {
    fail("has " + std::to_string(ring.slot_count) + " slots, expected " +
         std::to_string(UNINA_FRAMES_LEAST_SLOTS) + " to " +
         std::to_string(UNINA_FRAMES_MOST_SLOTS));
  }
  if (ring.format > UNINA_FRAME_UYVY) fail("has format " + std::to_string(ring.format));
  if (ring.width < 1 || ring.height < 1 || ring.width > 16384 || ring.height > 16384) {
    fail("has pictures of " + std::to_string(ring.width) + "x" + std::to_string(ring.height));
  }
  const ImageView first = view(0);
  require_image(first, path_);
  const std::uint64_t rows =
      first.format == PixelFormat::kNv12 ? ring.height + ring.height / 2u : ring.height;
  if (ring.pixels_start < sizeof(unina_frame_header) || ring.pixels_start > bytes_ ||
      rows * ring.row_stride > ring.pixels_bytes ||
      ring.pixels_bytes > (bytes_ - ring.pixels_start) / ring.slot_count) {
    fail("says sizes that contradict each other or the file's");
  }
}

ImageView FramesSource::view(int slot) const {
  constexpr std::array<PixelFormat, 4> kFormats = {PixelFormat::kBgr, PixelFormat::kRgba,
                                                   PixelFormat::kNv12, PixelFormat::kUyvy};
  ImageView image;
  image.data = reinterpret_cast<const std::uint8_t*>(ring_) + checked_.pixels_start +
               static_cast<std::size_t>(slot) * checked_.pixels_bytes;
  image.width = static_cast<int>(checked_.width);
  image.height = static_cast<int>(checked_.height);
  image.row_stride = checked_.row_stride;
  image.format = kFormats.at(checked_.format);
  if (image.format == PixelFormat::kNv12) {
    image.chroma = image.data + static_cast<std::size_t>(checked_.height) * checked_.row_stride;
    image.chroma_stride = checked_.row_stride;
  }
  return image;
}

void FramesSource::release(int buffer) {
  int& slot = held_.at(static_cast<std::size_t>(buffer));
  if (slot >= 0) unina_frame_release(ring_, slot);
  slot = -1;
}

std::optional<Frame> FramesSource::next(int buffer) {
  release(buffer);
  // The producer can write here, too, and what finds slots counts on it.
  if (ring_->slot_count != checked_.slot_count) {
    throw Error(path_ + ": its header was changed; make a new ring under another name instead");
  }
  const auto end = std::chrono::steady_clock::now() + kPatience;
  int slot = unina_frame_take(ring_);
  for (; slot < 0; slot = unina_frame_take(ring_)) {
    if (__atomic_load_n(&ring_->closed, __ATOMIC_ACQUIRE) != 0) return std::nullopt;
    if (std::chrono::steady_clock::now() > end) {
      throw Error(path_ + ": no picture within " + std::to_string(kPatience.count()) + " ms");
    }
    std::this_thread::sleep_for(kPoll);
  }
  held_.at(static_cast<std::size_t>(buffer)) = slot;
  const unina_frame_slot& taken = ring_->slots[slot];
  return Frame{path_, view(slot), taken.sequence, taken.captured_ns};
}

}  // namespace unina
