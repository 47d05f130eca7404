// In place of source_gstreamer.cpp where the build found no GStreamer.
#include "source_gstreamer.h"
#include "unina/error.h"

namespace unina {

bool gstreamer_is_built_in() { return false; }

std::unique_ptr<Source> open_gstreamer(const std::string& pipeline) {
  throw Error("source gst:" + pipeline +
              ": this build has no GStreamer; install libgstreamer-plugins-base1.0-dev and build "
              "again");
}

}  // namespace unina
