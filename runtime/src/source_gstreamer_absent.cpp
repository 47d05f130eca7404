// In place of source_gstreamer.cpp where the build found no GStreamer.
#include "source_gstreamer.h"
#include "unina/error.h"

namespace unina {

std::unique_ptr<Source> open_gstreamer(const std::string& pipeline) {
  throw Error("source " + source_name("gst:" + pipeline) +
              ": this build has no GStreamer; install libgstreamer-plugins-base1.0-dev and build "
              "again");
}

}  // namespace unina
