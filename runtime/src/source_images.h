// The pictures of a directory, in order of name.
#pragma once

#include <array>
#include <filesystem>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "unina/source.h"

namespace unina {

class ImagesSource final : public Source {
 public:
  using Source::next;
  // Looks at the first bytes of every file, so that most bad ones are found before any work is
  // done.
  explicit ImagesSource(const std::string& directory);

  std::optional<Frame> next(int buffer) override;
  void rewind() override { at_ = 0; }
  std::optional<std::size_t> count() const override { return files_.size(); }

 private:
  std::vector<std::filesystem::path> files_;
  std::size_t at_ = 0;
  std::array<cv::Mat, kSourceBuffers> images_;
};

}  // namespace unina
