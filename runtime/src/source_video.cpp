#include "source_video.h"

#include <filesystem>

#include "unina/error.h"

namespace unina {

VideoSource::VideoSource(const std::string& path) : path_(path) {
  std::error_code ignored;
  // VideoCapture takes URLs and "img_%03d.png" patterns too; this source is a file.
  if (!std::filesystem::is_regular_file(path, ignored)) throw Error(path + ": is not a video file");
  // Those that read files, and no others: OpenCV would go on to ask USB and FireWire for cameras.
  for (const int backend : {cv::CAP_FFMPEG, cv::CAP_OPENCV_MJPEG, cv::CAP_GSTREAMER}) {
    try {
      if (capture_.open(path, backend)) break;
    } catch (const cv::Exception&) {
      capture_.release();
    }
  }
  if (!capture_.isOpened()) {
    throw Error(path +
                ": cannot be read as a video by OpenCV; convert it, for instance to MJPEG in AVI");
  }
}

std::optional<Frame> VideoSource::next() {
  try {
    if (!capture_.read(image_)) image_.release();
  } catch (const cv::Exception&) {
    image_.release();
  }
  if (image_.empty()) {
    if (at_ == 0) throw Error(path_ + ": holds no frame that can be decoded");
    return std::nullopt;
  }
  if (image_.type() != CV_8UC3) throw Error(path_ + ": its frames are not 8-bit BGR");
  const std::string name = path_ + "#" + std::to_string(at_++);
  return Frame{name, {image_.data, image_.cols, image_.rows, image_.step}};
}

}  // namespace unina
