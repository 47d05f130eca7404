// Draws detections into a picture for people: boxes in the colour of their class, labels where they
// hide neither a label nor another box, and a legend with counts.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "unina/detections.h"
#include "unina/image.h"

namespace unina {

class Annotator {
 public:
  explicit Annotator(const std::vector<std::string>& classes);

  // A drawn copy of the picture, BGR.
  cv::Mat draw(const ImageView& image, const Detections& detections) const;

 private:
  void draw_legend(cv::Mat& picture, const Detections& detections, double zoom) const;

  std::vector<std::string> classes_;
  std::vector<cv::Scalar> colors_;  // BGR
};

}  // namespace unina
