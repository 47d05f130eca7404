#include "service/message.h"

#include <algorithm>

#include "service/json_text.h"

namespace unina {
namespace {

constexpr std::size_t kFixedBytes = 512;      // keys and numbers of a line
constexpr std::size_t kDetectionBytes = 160;  // keys and numbers of a detection

}  // namespace

MessageWriter::MessageWriter(const std::vector<std::string>& classes, int max_detections)
    : max_detections_(static_cast<std::size_t>(max_detections)) {
  std::size_t longest = 0;
  for (const std::string& name : classes) {
    classes_.push_back(json_string(name));
    longest = std::max(longest, classes_.back().size());
  }
  buffer_.resize(kFixedBytes + kSourceBytes * JsonText::kEscaped +
                 max_detections_ * (kDetectionBytes + longest));
}

std::string_view MessageWriter::write(const Report& report) {
  JsonText json(buffer_.data(), buffer_.data() + buffer_.size());
  const auto field = [&](std::string_view key, auto value) {
    json.raw(key);
    json.number(value);
  };
  const auto u64 = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  const auto i64 = [](std::int64_t value) { return static_cast<long long>(value); };
  field("{\"schema\": ", static_cast<long long>(kSchema));
  field(", \"frame\": ", u64(report.frame));
  json.raw(", \"source\": ");
  json.string(report.source.substr(0, kSourceBytes));
  field(", \"width\": ", static_cast<long long>(report.width));
  field(", \"height\": ", static_cast<long long>(report.height));
  field(", \"captured_ns\": ", i64(report.captured_ns));
  field(", \"submitted_ns\": ", i64(report.submitted_ns));
  field(", \"done_ns\": ", i64(report.done_ns));
  field(", \"captured_realtime_ns\": ", i64(report.captured_realtime_ns));
  field(", \"drops\": ", u64(report.drops));
  field(", \"gaps\": ", u64(report.gaps));
  json.raw(report.stale ? ", \"stale\": true" : ", \"stale\": false");
  json.raw(", \"detections\": [");
  const std::size_t count = std::min(report.detections->size(), max_detections_);
  for (std::size_t i = 0; i < count; ++i) {
    const Detection& one = (*report.detections)[i];
    json.raw(i == 0 ? "{\"class\": " : ", {\"class\": ");
    json.raw(classes_.at(static_cast<std::size_t>(one.class_id)));
    field(", \"class_id\": ", static_cast<long long>(one.class_id));
    field(", \"score\": ", one.score);
    field(", \"box\": [", one.box.x0);
    field(", ", one.box.y0);
    field(", ", one.box.x1);
    field(", ", one.box.y1);
    json.raw("]}");
  }
  json.raw("]}\n");
  return json.text();
}

}  // namespace unina
