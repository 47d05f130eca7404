// A report as one line of JSON (docs/service.md, "Messages"), in memory that is allocated once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "service/report.h"

namespace unina {

class MessageWriter {
 public:
  static constexpr int kSchema = 2;
  static constexpr std::size_t kSourceBytes = 256;  // a longer name is cut

  MessageWriter(const std::vector<std::string>& classes, int max_detections);

  // The line, with its newline, valid until the next call. Detections beyond max_detections are
  // left out.
  std::string_view write(const Report& report);

 private:
  std::vector<std::string> classes_;  // quoted and escaped
  std::size_t max_detections_;
  std::vector<char> buffer_;
};

}  // namespace unina
