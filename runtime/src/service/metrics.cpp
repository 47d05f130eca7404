#include "service/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "printable.h"
#include "unina/error.h"

namespace unina {
namespace {

// Label values escape backslash and quote; a newline becomes a space.
std::string label(const std::string& value) {
  std::string escaped;
  for (const char c : value) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

void family(std::string& text, const char* name, const char* type, const char* help) {
  text += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void single(std::string& text, const char* name, const char* type, const char* help,
            std::uint64_t value) {
  family(text, name, type, help);
  text += std::string(name) + " " + std::to_string(value) + "\n";
}

}  // namespace

void Histogram::record(std::int64_t ns) {
  const double seconds = static_cast<double>(ns) * 1e-9;
  const auto bucket = static_cast<std::size_t>(
      std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin());
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0)),
                    std::memory_order_relaxed);
  const std::uint64_t at = recorded_.load(std::memory_order_relaxed);
  const std::int64_t us = std::clamp<std::int64_t>(ns / 1000, 0, UINT32_MAX);
  recent_us_[at % kRecent].store(static_cast<std::uint32_t>(us), std::memory_order_relaxed);
  recorded_.store(at + 1, std::memory_order_release);
}

double Histogram::recent_percentile_ms(double percent) const {
  const std::size_t count =
      std::min<std::uint64_t>(recorded_.load(std::memory_order_acquire), kRecent);
  if (count == 0) return 0.0;
  std::array<std::uint32_t, kRecent> sorted;
  for (std::size_t i = 0; i < count; ++i) sorted[i] = recent_us_[i].load(std::memory_order_relaxed);
  const auto rank = static_cast<long>(std::ceil(percent / 100.0 * static_cast<double>(count)));
  auto* const at = sorted.data() + std::clamp(rank - 1, 0L, static_cast<long>(count) - 1);
  std::nth_element(sorted.data(), at, sorted.data() + count);
  return *at * 1e-3;
}

double Histogram::last_ms() const {
  const std::uint64_t recorded = recorded_.load(std::memory_order_acquire);
  if (recorded == 0) return 0.0;
  return recent_us_[(recorded - 1) % kRecent].load(std::memory_order_relaxed) * 1e-3;
}

void Histogram::write(std::string& text, const std::string& name, const std::string& labels) const {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    count += counts_[i].load(std::memory_order_relaxed);
    const std::string bound = i < kBounds.size() ? decimal(kBounds[i]) : "+Inf";
    text += name + "_bucket{" + labels + ",le=\"" + bound + "\"} " + std::to_string(count) + "\n";
  }
  const double sum = static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) * 1e-9;
  text += name + "_sum{" + labels + "} " + decimal(sum) + "\n";
  text += name + "_count{" + labels + "} " + std::to_string(count) + "\n";
}

Metrics::Metrics(std::vector<std::string> class_names)
    : classes(std::move(class_names)), detections(classes.size()) {}

std::array<Metrics::Stage, Metrics::kStages> Metrics::stages() const {
  return {{{"wait", wait},
           {"preprocess", preprocess},
           {"infer", infer},
           {"decode", decode},
           {"publish", publish},
           {"total", total}}};
}

Metrics::Device& Metrics::device(const std::string& name) {
  for (Device& one : devices) {
    if (name == one.name) return one;
  }
  throw Error("no device of the metrics is called " + printable(name));
}

std::string Metrics::prometheus() const {
  std::string text;
  single(text, "unina_captured_total", "counter", "Pictures read from the source.", captured);
  single(text, "unina_frames_total", "counter", "Pictures detected on and published.", frames);
  single(text, "unina_drops_total", "counter",
         "Pictures replaced by a newer one before the detector took them.", drops);
  single(text, "unina_gaps_total", "counter", "Pictures missing in the source's own count.", gaps);
  single(text, "unina_stale_total", "counter",
         "Pictures older than stale_ms when the detector took them.", stale);
  family(text, "unina_detections_total", "counter", "Detections published.");
  for (std::size_t i = 0; i < classes.size(); ++i) {
    text += "unina_detections_total{class=\"" + label(classes[i]) + "\"} " +
            std::to_string(detections[i].load(std::memory_order_relaxed)) + "\n";
  }
  single(text, "unina_source_up", "gauge", "1 while the source delivers.",
         static_cast<std::uint64_t>(source_up.load()));
  single(text, "unina_source_lost_total", "counter", "Times that the source was lost.",
         source_lost);
  single(text, "unina_readers", "gauge", "Readers connected to the detections socket.",
         static_cast<std::uint64_t>(readers.load()));
  single(text, "unina_readers_dropped_total", "counter",
         "Readers disconnected because they did not keep up.", readers_dropped);
  single(text, "unina_zmq_full_total", "counter",
         "Times that a reader by ZeroMQ began to miss messages, its queue being full.", zmq_full);
  single(text, "unina_mqtt_up", "gauge", "1 while the MQTT broker is connected.",
         static_cast<std::uint64_t>(mqtt_up.load()));
  single(text, "unina_mqtt_dropped_total", "counter",
         "Messages that the MQTT broker did not take in time.", mqtt_dropped);
  single(text, "unina_reloads_total", "counter", "Configurations taken over by SIGHUP.", reloads);
  single(text, "unina_reloads_refused_total", "counter", "Configurations refused at SIGHUP.",
         reloads_refused);
  family(text, "unina_device_frames_total", "counter", "Pictures that each device computed.");
  for (const Device& one : devices) {
    if (one.frames == 0) continue;
    text += "unina_device_frames_total{device=\"" + std::string(one.name) + "\"} " +
            std::to_string(one.frames) + "\n";
  }
  family(text, "unina_device_busy_seconds_total", "counter", "Time that each device computed.");
  for (const Device& one : devices) {
    if (one.frames == 0) continue;
    text += "unina_device_busy_seconds_total{device=\"" + std::string(one.name) + "\"} " +
            decimal(static_cast<double>(one.busy_ns) * 1e-9) + "\n";
  }
  const std::string name = "unina_stage_seconds";
  family(text, name.c_str(), "histogram", "Time that a picture spent in each stage.");
  for (const Stage& stage : stages()) {
    stage.times.write(text, name, std::string("stage=\"") + stage.name + "\"");
  }
  return text;
}

}  // namespace unina
