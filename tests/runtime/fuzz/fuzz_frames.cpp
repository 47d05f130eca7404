// A ring of pictures (unina/frame_ring.h): its header, any bytes. Behind the header may stand
// another one, which the producer writes when the ring is in use already.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "memory_file.h"
#include "one_line.h"
#include "source_frames.h"

namespace {

constexpr std::size_t kHeader = sizeof(unina_frame_header);
constexpr std::size_t kBytes = 1 << 17;                             // of the file
constexpr std::uint8_t kPixel = 0x5a;                               // every byte behind the header
constexpr std::uint64_t kMost = kBytes / UNINA_FRAMES_LEAST_SLOTS;  // of a slot that fits

class RingFile {
 public:
  RingFile() : path_(".frames"), file_(open(path_.get().c_str(), O_RDWR | O_CREAT, 0600)) {
    const std::vector<std::uint8_t> pixels(kBytes, kPixel);
    if (pwrite(file_, pixels.data(), kBytes, 0) != static_cast<ssize_t>(kBytes)) std::abort();
  }
  const std::string& path() const { return path_.get(); }

  // Of the producer that has ended: nobody waits for its next picture.
  void write(const std::uint8_t* bytes, std::size_t size) const {
    unina_frame_header header{};
    std::memcpy(&header, bytes, std::min(size, kHeader));
    header.closed = 1;
    if (pwrite(file_, &header, kHeader, 0) != static_cast<ssize_t>(kHeader)) std::abort();
  }

 private:
  unina::fuzz::MemoryPath path_;
  int file_;
};

void require_pixels(const std::uint8_t* row, std::size_t bytes) {
  if (!std::all_of(row, row + bytes, [](std::uint8_t byte) { return byte == kPixel; })) {
    std::abort();  // read from somewhere else
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const RingFile ring;
  ring.write(data, size);
  unina::fuzz::taken_or_refused(ring.path(), [&] {
    unina::FramesSource source(ring.path());
    if (size > kHeader) ring.write(data + kHeader, size - kHeader);
    for (int picture = 0; picture < 4; ++picture) {
      const auto frame = source.next(picture % unina::kSourceBuffers);
      if (!frame) return;
      const unina::ImageView& image = frame->image;
      require_image(image, ring.path());
      if (image.row_stride * static_cast<std::size_t>(image.height) > kMost) std::abort();
      for (int y = 0; y < image.height; ++y) {
        require_pixels(image.data + static_cast<std::size_t>(y) * image.row_stride,
                       image.least_row_stride());
      }
      for (int y = 0; image.chroma != nullptr && y < image.height / 2; ++y) {
        require_pixels(image.chroma + static_cast<std::size_t>(y) * image.chroma_stride,
                       static_cast<std::size_t>(image.width));
      }
    }
  });
  return 0;
}
