// Where pictures come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "unina/image.h"

namespace unina {

// Pictures that a source keeps valid at the same time: one being read, one waiting, two in work,
// one on each core of the DLA.
inline constexpr int kSourceBuffers = 4;

struct Frame {
  std::string name;  // for people and for the records: a path, or a video's path and frame number
  ImageView image;   // valid until the next call of next() with the same buffer
  std::uint64_t sequence = 0;    // the source's own count; a step of more than one is a gap
  std::int64_t captured_ns = 0;  // CLOCK_MONOTONIC; 0 where the source does not know
};

class Source {
 public:
  virtual ~Source() = default;
  // The next picture, in memory of the source's that belongs to `buffer` (0 to kSourceBuffers - 1),
  // or nothing at the end. Throws Error naming what cannot be read.
  virtual std::optional<Frame> next(int buffer) = 0;
  std::optional<Frame> next() { return next(0); }
  // Begins again with the first picture. Throws Error.
  virtual void rewind() = 0;
  // How many pictures there will be, where that is known.
  virtual std::optional<std::size_t> count() const = 0;
};

// images:DIR (sorted by name; jpg, jpeg, png, bmp, webp) or video:FILE, each with options after a
// question mark: ?fps=30 hands pictures out at that pace (1 to 1000; what comes too late is a gap
// in the sequence), ?fps=30&loop=1 begins again at the end. frames:RING, pictures of another
// process (unina/frame_ring.h). gst:PIPELINE, a GStreamer pipeline without its sink, where the
// build has GStreamer. Throws Error for another kind or option, a directory without pictures, and
// for files that are not what their names say.
std::unique_ptr<Source> open_source(const std::string& description);

// The description as messages and logs may tell it: of a pipeline its first element with device,
// location, uri and sensor-id, and of an address no user, password and query.
std::string source_name(const std::string& description);

// What open_source would say of the text alone, without looking whether anything is there.
// Throws Error.
void require_source_description(const std::string& description);

}  // namespace unina
