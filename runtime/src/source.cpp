#include "unina/source.h"

#include "printable.h"
#include "source_images.h"
#include "source_video.h"
#include "unina/error.h"

namespace unina {

std::unique_ptr<Source> open_source(const std::string& description) {
  const std::size_t colon = description.find(':');
  const std::string kind = description.substr(0, colon);
  const std::string path = colon == std::string::npos ? "" : description.substr(colon + 1);
  if ((kind != "images" && kind != "video") || path.empty()) {
    throw Error("source " + printable(description) + ": expected images:DIR or video:FILE");
  }
  if (kind == "images") return std::make_unique<ImagesSource>(path);
  return std::make_unique<VideoSource>(path);
}

}  // namespace unina
