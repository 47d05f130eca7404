// The frames of a video file, by OpenCV's VideoCapture.
#pragma once

#include <array>
#include <opencv2/videoio.hpp>
#include <string>

#include "unina/source.h"

namespace unina {

class VideoSource final : public Source {
 public:
  using Source::next;
  explicit VideoSource(const std::string& path);

  std::optional<Frame> next(int buffer) override;
  void rewind() override;
  // Nothing: containers are often wrong about it.
  std::optional<std::size_t> count() const override { return std::nullopt; }

 private:
  std::string path_;
  cv::VideoCapture capture_;
  std::size_t at_ = 0;
  std::array<cv::Mat, kSourceBuffers> images_;
};

}  // namespace unina
