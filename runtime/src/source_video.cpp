#include "source_video.h"

#include <filesystem>

#include "unina/error.h"

namespace unina {

VideoSource::VideoSource(const std::string& path) : path_(path) {
  std::error_code ignored;
  // VideoCapture takes URLs and "img_%03d.png" patterns too; this source is a file.
  if (!std::filesystem::is_regular_file(path, ignored)) throw Error(path + ": is not a video file");
  rewind();
}

void VideoSource::rewind() {
  at_ = 0;
  // Those that read files, and no others: OpenCV would go on to ask USB and FireWire for cameras.
  for (const int backend : {cv::CAP_FFMPEG, cv::CAP_OPENCV_MJPEG, cv::CAP_GSTREAMER}) {
    try {
      if (capture_.open(path_, backend)) break;
    } catch (const cv::Exception&) {
      capture_.release();
    }
  }
  if (!capture_.isOpened()) {
    throw Error(path_ +
                ": cannot be read as a video by OpenCV; convert it, for instance to MJPEG in AVI");
  }
}

std::optional<Frame> VideoSource::next(int buffer) {
  cv::Mat& image = images_.at(static_cast<std::size_t>(buffer));
  try {
    if (!capture_.read(image)) image.release();
  } catch (const cv::Exception&) {
    image.release();
  }
  if (image.empty()) {
    if (at_ == 0) throw Error(path_ + ": holds no frame that can be decoded");
    return std::nullopt;
  }
  if (image.type() != CV_8UC3) throw Error(path_ + ": its frames are not 8-bit BGR");
  const std::size_t number = at_++;
  const std::string name = path_ + "#" + std::to_string(number);
  return Frame{name, {image.data, image.cols, image.rows, image.step}, number, 0};
}

}  // namespace unina
