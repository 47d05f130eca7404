#include "service/ring_sink.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "service/clock.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr std::size_t kLine = 64;  // bytes of a cache line: no two slots share one

std::size_t round_up(std::size_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

// Readers may look at any time, so every word is an atomic one. Released: whoever acquires a word
// of this message also sees that the slot is being written.
void store_words(std::uint64_t* to, const void* from, std::size_t bytes) {
  const auto* source = static_cast<const char*>(from);
  for (std::size_t i = 0; i < bytes / 8; ++i) {
    std::uint64_t word;
    std::memcpy(&word, source + 8 * i, 8);
    __atomic_store_n(to + i, word, __ATOMIC_RELEASE);
  }
}

// Cut to `room` - 1 bytes, never within a character.
void copy_name(char* to, const std::string& name, std::size_t room) {
  std::size_t bytes = std::min(name.size(), room - 1);
  if (bytes < name.size()) {
    while (bytes > 0 && (static_cast<unsigned char>(name[bytes]) & 0xC0) == 0x80) --bytes;
  }
  std::memcpy(to, name.data(), bytes);
}

// A writer holds a lock on its ring, which ends with it however it ends.
bool is_being_written(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  const bool locked = file >= 0 && flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (file >= 0) close(file);
  return locked;
}

}  // namespace

RingSink::RingSink(const std::string& path, int slots, int max_detections,
                   const std::vector<std::string>& classes, unsigned mode)
    : path_(path) {
  if (classes.size() > UNINA_RING_MAX_CLASSES) {
    throw Error(path + ": the ring has room for " + std::to_string(UNINA_RING_MAX_CLASSES) +
                " classes, the bundle has " + std::to_string(classes.size()));
  }
  struct stat status{};
  if (lstat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    throw Error(path + ": is there already and is no file; configure another path for the ring");
  }
  if (is_being_written(path)) {
    throw Error(path + ": another process writes this ring; stop it or configure another path");
  }
  const std::size_t slot_bytes =
      round_up(sizeof(unina_ring_slot) +
               static_cast<std::size_t>(max_detections) * sizeof(unina_ring_detection));
  bytes_ = sizeof(unina_ring_header) + static_cast<std::size_t>(slots) * slot_bytes;

  const std::string temporary = path + ".tmp-" + std::to_string(getpid());
  unlink(temporary.c_str());
  file_ = open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  void* mapped = MAP_FAILED;
  // Allocated now: a full tmpfs is an error here and not a SIGBUS at some frame.
  int failed = file_ < 0 ? errno : posix_fallocate(file_, 0, static_cast<off_t>(bytes_));
  if (failed == 0) {
    mapped = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (mapped == MAP_FAILED) failed = errno;
  }
  const bool ours =
      failed == 0 && fchmod(file_, (mode & 0444u) | 0600u) == 0 && flock(file_, LOCK_EX) == 0;
  if (failed == 0 && !ours) failed = errno;
  if (failed == 0) {
    header_ = static_cast<unina_ring_header*>(mapped);
    std::memcpy(header_->magic, UNINA_RING_MAGIC, sizeof header_->magic);
    header_->version = UNINA_RING_VERSION;
    header_->header_bytes = sizeof(unina_ring_header);
    header_->slot_bytes = static_cast<std::uint32_t>(slot_bytes);
    header_->slot_count = static_cast<std::uint32_t>(slots);
    header_->max_detections = static_cast<std::uint32_t>(max_detections);
    header_->class_count = static_cast<std::uint32_t>(classes.size());
    header_->created_realtime_ns = realtime_ns();
    for (std::size_t i = 0; i < classes.size(); ++i) {
      copy_name(header_->class_names[i], classes[i], UNINA_RING_NAME_BYTES);
    }
    if (rename(temporary.c_str(), path.c_str()) != 0) failed = errno;
  }
  if (failed != 0) {
    if (file_ >= 0) close(file_);
    if (mapped != MAP_FAILED) munmap(mapped, bytes_);
    unlink(temporary.c_str());
    throw Error(path + ": the ring of " + std::to_string(bytes_) +
                " bytes cannot be made: " + std::strerror(failed));
  }
}

RingSink::~RingSink() {
  __atomic_store_n(&header_->closed, 1u, __ATOMIC_RELEASE);
  munmap(header_, bytes_);
  struct stat ours{}, there{};
  if (fstat(file_, &ours) == 0 && lstat(path_.c_str(), &there) == 0 &&
      ours.st_ino == there.st_ino) {
    unlink(path_.c_str());
  }
  close(file_);
}

void RingSink::write(const Report& report) {
  const std::uint64_t n = next_++;
  char* const at = reinterpret_cast<char*>(header_) + header_->header_bytes +
                   (n % header_->slot_count) * header_->slot_bytes;
  auto* const words = reinterpret_cast<std::uint64_t*>(at);
  unina_ring_slot slot{};
  slot.frame = report.frame;
  slot.captured_ns = report.captured_ns;
  slot.submitted_ns = report.submitted_ns;
  slot.done_ns = report.done_ns;
  slot.captured_realtime_ns = report.captured_realtime_ns;
  slot.drops = report.drops;
  slot.gaps = report.gaps;
  slot.width = static_cast<std::uint32_t>(report.width);
  slot.height = static_cast<std::uint32_t>(report.height);
  slot.stale = report.stale ? 1 : 0;
  slot.detection_count = static_cast<std::uint32_t>(
      std::min<std::size_t>(report.detections->size(), header_->max_detections));

  __atomic_store_n(words, 2 * n + 1, __ATOMIC_RELAXED);
  store_words(words + 1, reinterpret_cast<const char*>(&slot) + 8, sizeof slot - 8);
  std::uint64_t* to = words + sizeof slot / 8;
  for (std::uint32_t i = 0; i < slot.detection_count; ++i) {
    const Detection& one = (*report.detections)[i];
    const unina_ring_detection detection = {one.box.x0, one.box.y0, one.box.x1,
                                            one.box.y1, one.score,  one.class_id};
    store_words(to, &detection, sizeof detection);
    to += sizeof detection / 8;
  }
  __atomic_store_n(words, 2 * n + 2, __ATOMIC_RELEASE);
  __atomic_store_n(&header_->written, n + 1, __ATOMIC_RELEASE);
}

}  // namespace unina
