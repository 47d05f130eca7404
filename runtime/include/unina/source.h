// Where pictures come from.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "unina/image.h"

namespace unina {

struct Frame {
  std::string name;  // for people and for the records: a path, or a video's path and frame number
  ImageView image;   // valid until the next call of next()
};

class Source {
 public:
  virtual ~Source() = default;
  // The next picture, or nothing at the end. Throws Error naming what cannot be read.
  virtual std::optional<Frame> next() = 0;
  // How many pictures there will be, where that is known.
  virtual std::optional<std::size_t> count() const = 0;
};

// images:DIR (sorted by name; jpg, jpeg, png, bmp, webp) or video:FILE. Throws Error for another
// kind, a directory without pictures, and for files that are not what their names say.
std::unique_ptr<Source> open_source(const std::string& description);

}  // namespace unina
