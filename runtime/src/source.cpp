#include "unina/source.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <utility>

#include "printable.h"
#include "source_frames.h"
#include "source_gstreamer.h"
#include "source_images.h"
#include "source_paced.h"
#include "source_video.h"
#include "unina/error.h"

namespace unina {
namespace {

enum class Kind { kImages, kVideo, kFrames, kGstreamer };

struct Description {
  Kind kind = Kind::kImages;
  std::string path;  // of GStreamer: the pipeline
  Pace pace;
  bool paced = false;
};

[[noreturn]] void fail_option(const std::string& description, const std::string& option) {
  throw Error("source " + printable(description) + ": option " + printable(option) +
              ": expected fps=1 to 1000, loop=0 or loop=1");
}

void read_option(const std::string& description, const std::string& option, Pace& pace) {
  const std::size_t equals = option.find('=');
  const std::string name = option.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
  if (name == "loop" && (value == "0" || value == "1")) {
    pace.loop = value == "1";
    return;
  }
  char* end = nullptr;
  const double fps = std::strtod(value.c_str(), &end);
  if (name != "fps" || value.empty() || *end != '\0' || !(fps >= 1 && fps <= 1000)) {
    fail_option(description, option);
  }
  pace.fps = fps;
}

Description parse(const std::string& text) {
  constexpr std::array<std::pair<const char*, Kind>, 4> kKinds = {{{"images", Kind::kImages},
                                                                   {"video", Kind::kVideo},
                                                                   {"frames", Kind::kFrames},
                                                                   {"gst", Kind::kGstreamer}}};
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(),
                                 [&](const auto& known) { return name == known.first; });
  Description parsed;
  parsed.path = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (kind == kKinds.end() || parsed.path.empty()) {
    throw Error("source " + printable(text) +
                ": expected images:DIR, video:FILE, frames:RING or gst:PIPELINE");
  }
  parsed.kind = kind->second;
  // Cameras have a pace of their own.
  if (parsed.kind == Kind::kFrames || parsed.kind == Kind::kGstreamer) return parsed;
  const std::size_t mark = parsed.path.rfind('?');
  std::error_code ignored;
  // A question mark may be part of a file's name.
  if (mark == std::string::npos || std::filesystem::exists(parsed.path, ignored)) return parsed;
  parsed.paced = true;
  std::string options = parsed.path.substr(mark + 1);
  parsed.path.resize(mark);
  while (true) {
    const std::size_t end = options.find('&');
    read_option(text, options.substr(0, end), parsed.pace);
    if (end == std::string::npos) return parsed;
    options.erase(0, end + 1);
  }
}

// "scheme://user:password@host/path?token" without the user and what follows the question mark.
std::string without_credentials(std::string address) {
  address = address.substr(0, address.find('?'));
  const std::size_t scheme = address.find("://");
  const std::size_t at = address.rfind('@');
  if (scheme == std::string::npos || at == std::string::npos || at < scheme) return address;
  return address.erase(scheme + 3, at - scheme - 2);
}

}  // namespace

void require_source_description(const std::string& description) {
  static_cast<void>(parse(description));
}

std::string source_name(const std::string& description) {
  if (description.rfind("gst:", 0) != 0) return description;
  std::istringstream first_element(description.substr(4, description.find('!') - 4));
  std::string name;
  first_element >> name;
  name.insert(0, "gst:");
  for (std::string property; first_element >> property;) {
    const std::string key = property.substr(0, property.find('='));
    if (key != "device" && key != "location" && key != "uri" && key != "sensor-id") continue;
    name += ' ' + without_credentials(property);
  }
  return name;
}

std::unique_ptr<Source> open_source(const std::string& description) {
  const Description parsed = parse(description);
  std::unique_ptr<Source> source;
  switch (parsed.kind) {
    case Kind::kImages:
      source = std::make_unique<ImagesSource>(parsed.path);
      break;
    case Kind::kVideo:
      source = std::make_unique<VideoSource>(parsed.path);
      break;
    case Kind::kFrames:
      return std::make_unique<FramesSource>(parsed.path);
    case Kind::kGstreamer:
      return open_gstreamer(parsed.path);
  }
  if (!parsed.paced) return source;
  return std::make_unique<PacedSource>(std::move(source), parsed.pace);
}

}  // namespace unina
