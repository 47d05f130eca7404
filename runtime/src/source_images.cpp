#include "source_images.h"

#include <algorithm>
#include <cctype>
#include <opencv2/imgcodecs.hpp>
#include <system_error>

#include "jpeg_complete.h"
#include "unina/error.h"

namespace unina {
namespace {

namespace fs = std::filesystem;

bool is_picture(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png" ||
         extension == ".bmp" || extension == ".webp";
}

// OpenCV reports a bad picture by an empty result, or by an exception where its size is absurd.
template <typename Call>
auto unless_opencv_throws(Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const cv::Exception&) {
    return {};
  }
}

[[noreturn]] void fail_unreadable(const fs::path& path) {
  throw Error(path.string() + ": cannot be read as a picture; remove or replace it");
}

}  // namespace

ImagesSource::ImagesSource(const std::string& directory) try {
  if (!fs::is_directory(directory)) throw Error(directory + ": is not a directory");
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (is_picture(entry.path())) files_.push_back(entry.path());
  }
  if (files_.empty()) {
    throw Error(directory + ": holds no picture (jpg, jpeg, png, bmp, webp)");
  }
  std::sort(files_.begin(), files_.end());
  for (const fs::path& path : files_) {
    if (!fs::is_regular_file(path) ||
        !unless_opencv_throws([&] { return cv::haveImageReader(path.string()); })) {
      fail_unreadable(path);
    }
  }
} catch (const fs::filesystem_error& error) {
  throw Error(directory + ": " + error.code().message());
}

std::optional<Frame> ImagesSource::next(int buffer) {
  if (at_ == files_.size()) return std::nullopt;
  const std::size_t number = at_++;
  const fs::path& path = files_[number];
  cv::Mat& image = images_.at(static_cast<std::size_t>(buffer));
  image = unless_opencv_throws([&] { return cv::imread(path.string(), cv::IMREAD_COLOR); });
  if (image.empty() || !jpeg_is_complete(path.string())) fail_unreadable(path);
  return Frame{path.string(), {image.data, image.cols, image.rows, image.step}, number, 0};
}

}  // namespace unina
