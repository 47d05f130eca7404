// Cameras and streams by GStreamer: any pipeline that ends in pictures, through an appsink.
#pragma once

#include <memory>
#include <string>

#include "unina/source.h"

namespace unina {

// `pipeline` as gst-launch-1.0 takes it, without the sink: "v4l2src device=/dev/video0". Pictures
// stay in GStreamer's own buffers until the detector is done with them. Throws Error, also where
// this build has no GStreamer.
std::unique_ptr<Source> open_gstreamer(const std::string& pipeline);

}  // namespace unina
