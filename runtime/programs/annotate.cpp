#include "annotate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <opencv2/imgproc.hpp>

#include "unina/letterbox.h"

namespace unina {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kFontScale = 0.45;       // at 720 lines
constexpr std::size_t kMostInLegend = 8;  // classes; a longer list would cover the picture

// Cones are drawn in their own colours; any other class takes one of a palette.
cv::Scalar class_color(const std::string& name, std::size_t index) {
  const auto has = [&](const char* word) { return name.find(word) != std::string::npos; };
  if (has("orange"))
    return has("large") || has("big") ? cv::Scalar(40, 50, 255) : cv::Scalar(0, 140, 255);
  if (has("yellow")) return {0, 230, 255};
  if (has("blue")) return {255, 120, 20};
  static const std::array<cv::Scalar, 6> palette = {
      cv::Scalar(80, 200, 60), cv::Scalar(220, 60, 220),  cv::Scalar(220, 220, 40),
      cv::Scalar(60, 60, 230), cv::Scalar(160, 200, 255), cv::Scalar(200, 160, 120)};
  return palette[index % palette.size()];
}

cv::Scalar text_color(const cv::Scalar& background) {
  const double luma = 0.114 * background[0] + 0.587 * background[1] + 0.299 * background[2];
  return luma > 120 ? cv::Scalar(0, 0, 0) : cv::Scalar(255, 255, 255);
}

cv::Rect pixels(const Box& box) {
  const auto left = static_cast<int>(std::floor(box.x0)),
             top = static_cast<int>(std::floor(box.y0));
  return {left, top, std::max(1, static_cast<int>(std::ceil(box.x1)) - left),
          std::max(1, static_cast<int>(std::ceil(box.y1)) - top)};
}

bool overlaps(const cv::Rect& label, const std::vector<cv::Rect>& others) {
  return std::any_of(others.begin(), others.end(),
                     [&](const cv::Rect& other) { return (label & other).area() > 0; });
}

cv::Size text_size(const std::string& text, double zoom, int thickness) {
  int baseline = 0;
  const cv::Size size = cv::getTextSize(text, kFont, kFontScale * zoom, thickness, &baseline);
  return {size.width + cvRound(6 * zoom), size.height + cvRound(6 * zoom)};
}

void put_text(cv::Mat& picture, const std::string& text, const cv::Rect& room, double zoom,
              int thickness, const cv::Scalar& color) {
  cv::putText(picture, text, {room.x + cvRound(3 * zoom), room.br().y - cvRound(3 * zoom)}, kFont,
              kFontScale * zoom, color, thickness, cv::LINE_AA);
}

// Darkens what lies beneath a text, so that it can be read over any picture.
void shade(cv::Mat& picture, const cv::Rect& room) {
  cv::Mat part = picture(room & cv::Rect({}, picture.size()));
  part.convertTo(part, -1, 0.35);
}

}  // namespace

Annotator::Annotator(const std::vector<std::string>& classes) : classes_(classes) {
  for (std::size_t i = 0; i < classes.size(); ++i) colors_.push_back(class_color(classes[i], i));
}

cv::Mat Annotator::draw(const ImageView& image, const Detections& detections) const {
  cv::Mat picture(image.height, image.width, CV_8UC3);
  to_bgr(image, picture.data);
  const double zoom = std::max(0.6, std::min(image.width / 1280.0, image.height / 720.0));
  const int line = std::max(1, cvRound(zoom));

  std::vector<cv::Rect> boxes;
  for (const Detection& one : detections) boxes.push_back(pixels(one.box));
  // The best last, so that they lie on top. Distant cones are a few pixels wide: a thin line for
  // them.
  for (std::size_t i = detections.size(); i-- > 0;) {
    const cv::Scalar& color = colors_.at(static_cast<std::size_t>(detections[i].class_id));
    const bool near = boxes[i].height >= cvRound(40 * zoom);
    if (near) cv::rectangle(picture, boxes[i], cv::Scalar(0, 0, 0), 2 * line + 2);
    cv::rectangle(picture, boxes[i], color, near ? 2 * line : line);
  }

  const cv::Rect whole({}, picture.size());
  std::vector<cv::Rect> labels;
  for (std::size_t i = 0; i < detections.size(); ++i) {
    const auto class_id = static_cast<std::size_t>(detections[i].class_id);
    char score[16];
    std::snprintf(score, sizeof score, "%.2f", static_cast<double>(detections[i].score));
    std::vector<cv::Rect> others = boxes;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    bool placed = false;
    for (const std::string& text : {classes_[class_id] + " " + score, std::string(score)}) {
      const cv::Size size = text_size(text, zoom, line);
      // A long label on a distant cone would seem to belong to its neighbours.
      if (text != score && size.width > 4 * boxes[i].width) continue;
      const std::array<cv::Point, 4> corners = {
          cv::Point(boxes[i].x, boxes[i].y - size.height), cv::Point(boxes[i].x, boxes[i].br().y),
          cv::Point(boxes[i].br().x - size.width, boxes[i].y - size.height),
          cv::Point(boxes[i].br().x - size.width, boxes[i].br().y)};
      for (const cv::Point& corner : corners) {
        const cv::Rect room(corner, size);
        if (placed || (room & whole) != room || overlaps(room, labels) || overlaps(room, others)) {
          continue;
        }
        cv::rectangle(picture, room, colors_[class_id], cv::FILLED);
        put_text(picture, text, room, zoom, line, text_color(colors_[class_id]));
        labels.push_back(room);
        placed = true;
      }
    }
  }
  draw_legend(picture, detections, zoom);
  return picture;
}

void Annotator::draw_legend(cv::Mat& picture, const Detections& detections, double zoom) const {
  if (classes_.size() > kMostInLegend) return;
  const int line = std::max(1, cvRound(zoom));
  const int height = text_size("Ag", zoom, line).height + cvRound(4 * zoom);
  const int swatch = cvRound(14 * zoom), gap = cvRound(6 * zoom);
  std::vector<std::string> texts;
  int width = 0;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    const auto count = std::count_if(detections.begin(), detections.end(), [&](const Detection& d) {
      return static_cast<std::size_t>(d.class_id) == c;
    });
    texts.push_back(classes_[c] + "  " + std::to_string(count));
    width = std::max(width, text_size(texts.back(), zoom, line).width);
  }
  const cv::Rect room(0, 0, width + swatch + 2 * gap,
                      height * static_cast<int>(texts.size()) + 2 * gap);
  if (room.width > picture.cols || room.height > picture.rows) return;
  shade(picture, room);
  for (std::size_t c = 0; c < texts.size(); ++c) {
    const int top = gap + static_cast<int>(c) * height;
    cv::rectangle(picture, cv::Rect(gap, top + (height - swatch) / 2, swatch, swatch), colors_[c],
                  cv::FILLED);
    put_text(picture, texts[c], {gap + swatch, top, width, height - cvRound(4 * zoom)}, zoom, line,
             cv::Scalar(255, 255, 255));
  }
}

}  // namespace unina
