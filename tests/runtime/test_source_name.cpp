#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "unina/source.h"

namespace unina {
namespace {

class SourceName : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(SourceName, TellsWhichCameraAndNoPassword) {
  EXPECT_EQ(source_name(GetParam().first), GetParam().second);
}

INSTANTIATE_TEST_SUITE_P(
    Sources, SourceName,
    testing::Values(
        std::pair("images:/data?fps=10", "images:/data?fps=10"),
        std::pair("gst:videotestsrc", "gst:videotestsrc"),
        std::pair("gst:videotestsrc is-live=true ! video/x-raw", "gst:videotestsrc"),
        std::pair("gst:v4l2src device=/dev/video0 ! jpegdec", "gst:v4l2src device=/dev/video0"),
        std::pair("gst: nvarguscamerasrc sensor-id=1 ! nvvidconv",
                  "gst:nvarguscamerasrc sensor-id=1"),
        std::pair("gst:rtspsrc location=rtsp://10.0.0.2/s user-id=me user-pw=secret ! decodebin",
                  "gst:rtspsrc location=rtsp://10.0.0.2/s"),
        std::pair("gst:rtspsrc location=rtsp://me:se@cret@10.0.0.2/s?key=secret! decodebin",
                  "gst:rtspsrc location=rtsp://10.0.0.2/s"),
        std::pair("gst:filesrc location=a@b.raw ! rawvideoparse", "gst:filesrc location=a@b.raw"),
        std::pair("gst:souphttpsrc location=\"http://me:secret@h/a b\" ! jpegdec",
                  "gst:souphttpsrc location=\"http://h/a")));

}  // namespace
}  // namespace unina
