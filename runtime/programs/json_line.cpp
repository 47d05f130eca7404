#include "json_line.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sha256.h"

namespace unina {
namespace {

using Json = nlohmann::ordered_json;

// The double whose shortest decimal is that of the float: 0.91f is written as 0.91 and read back as
// 0.91f.
double shortest(float value) {
  char text[32];
  *std::to_chars(text, text + sizeof text - 1, value).ptr = '\0';
  return std::strtod(text, nullptr);
}

double microseconds(double milliseconds) { return std::round(milliseconds * 1e3) / 1e3; }

Json to_json(const DetectionRun& run) {
  Json thresholds = Json::array();
  for (const float threshold : run.thresholds) thresholds.push_back(shortest(threshold));
  return {{"bundle", run.bundle},
          {"manifest_sha256", run.manifest_sha256},
          {"accelerator", run.accelerator},
          {"classes", run.classes},
          {"input", {{"width", run.input_width}, {"height", run.input_height}}},
          {"thresholds", thresholds},
          {"max_detections", run.max_detections}};
}

}  // namespace

DetectionRun DetectionRun::of(const Detector& detector) {
  const Manifest& manifest = detector.manifest();
  Sha256 sha256;
  sha256.add(manifest.json.data(), manifest.json.size());
  return {manifest.name,         sha256.hex(),           detector.accelerator_name(),
          manifest.classes,      manifest.input_width,   manifest.input_height,
          detector.thresholds(), manifest.max_detections};
}

std::string json_line(const DetectionRun& run, std::size_t number, const Frame& frame,
                      double read_ms, const StageTimes& times, const Detections& detections) {
  Json list = Json::array();
  for (const Detection& one : detections) {
    list.push_back({{"class", run.classes.at(static_cast<std::size_t>(one.class_id))},
                    {"class_id", one.class_id},
                    {"score", shortest(one.score)},
                    {"box", Json::array({shortest(one.box.x0), shortest(one.box.y0),
                                         shortest(one.box.x1), shortest(one.box.y1)})}});
  }
  const Json line = {{"schema", 1},
                     {"frame", number},
                     {"source", frame.name},
                     {"width", frame.image.width},
                     {"height", frame.image.height},
                     {"latency_ms",
                      {{"read", microseconds(read_ms)},
                       {"preprocess", microseconds(times.preprocess_ms)},
                       {"infer", microseconds(times.infer_ms)},
                       {"decode", microseconds(times.decode_ms)}}},
                     {"run", to_json(run)},
                     {"detections", list}};
  // A file name need not be UTF-8; JSON must.
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace unina
