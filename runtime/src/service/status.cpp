// What the service says about itself: to systemd in a line, to `unina-detector ctl` as JSON.
#include <algorithm>
#include <cctype>
#include <cstdio>

#include "joined.h"
#include "service/json_text.h"
#include "service/service.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr std::chrono::milliseconds kSnapshotPatience{2000};

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  char text[160];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

std::string count(std::uint64_t number, const std::string& one, const std::string& many) {
  return std::to_string(number) + " " + (number == 1 ? one : many);
}

// A bundle called "cones" detects cones; any other name says nothing about its objects.
std::string objects(int number, const std::string& bundle) {
  const bool plural = bundle.size() > 2 && bundle.back() == 's' &&
                      std::all_of(bundle.begin(), bundle.end(),
                                  [](unsigned char c) { return std::islower(c) != 0; });
  const std::string many = plural ? bundle : "detections";
  return count(static_cast<std::uint64_t>(number), many.substr(0, many.size() - 1), many);
}

}  // namespace

std::string Service::status_line() const {
  const std::string trouble = capture_->trouble();
  const std::string drops = count(metrics_->drops, "drop", "drops");
  if (!trouble.empty()) {
    return "source lost: " + trouble + " · " + count(capture_->attempts(), "attempt", "attempts") +
           " · " + drops;
  }
  if (!ready_ && metrics_->frames == 0) return "waiting for the first picture";
  const Names called = names();
  return format("%.1f fps · %s %.1f ms p99 %.1f · %s · %s", frames_per_second_.load(),
                joined(called.devices, "+").c_str(), metrics_->infer.recent_percentile_ms(50),
                metrics_->infer.recent_percentile_ms(99), drops.c_str(),
                objects(metrics_->last_detections, called.bundle).c_str());
}

std::string Service::status_json() const {
  const std::string trouble = capture_->trouble();
  const char* state = !trouble.empty() ? "source lost" : ready_ ? "running" : "starting";
  const Names called = names();
  const std::chrono::duration<double> up = Clock::now() - begin_;
  const auto number = [](const char* key, std::uint64_t value) {
    return ", \"" + std::string(key) + "\": " + std::to_string(value);
  };
  std::string stages;
  for (const Metrics::Stage& stage : metrics_->stages()) {
    stages += format("%s\"%s\": {\"p50_ms\": %.3f, \"p99_ms\": %.3f}", stages.empty() ? "" : ", ",
                     stage.name, stage.times.recent_percentile_ms(50),
                     stage.times.recent_percentile_ms(99));
  }
  return "{\"schema\": 1, \"state\": " + json_string(state) +
         ", \"status\": " + json_string(status_line()) + ", \"trouble\": " + json_string(trouble) +
         ", \"bundle\": " + json_string(called.bundle) +
         ", \"model\": " + json_string(called.model) +
         ", \"accelerator\": " + json_string(called.accelerator) +
         ", \"devices\": " + json_string(joined(called.devices, "+")) +
         format(", \"uptime_s\": %.1f, \"fps\": %.2f", up.count(), frames_per_second_.load()) +
         number("captured", metrics_->captured) + number("frames", metrics_->frames) +
         number("drops", metrics_->drops) + number("gaps", metrics_->gaps) +
         number("stale", metrics_->stale) + number("source_lost", metrics_->source_lost) +
         number("attempts", capture_->attempts()) +
         number("readers", static_cast<std::uint64_t>(metrics_->readers.load())) +
         number("readers_dropped", metrics_->readers_dropped) +
         number("reloads", metrics_->reloads) +
         number("reloads_refused", metrics_->reloads_refused) + ", \"stages\": {" + stages + "}}\n";
}

std::string Service::snapshot() {
  const std::optional<Snapshot> taken = pipeline_->snapshot(kSnapshotPatience);
  if (!taken) {
    const std::string trouble = capture_->trouble();
    throw Error("no picture came" + (trouble.empty() ? "" : ": source lost: " + trouble));
  }
  return options_.draw(*taken, classes_);
}

ControlHandlers Service::handlers() {
  return {[this] { return status_json(); }, [this] { return metrics_->prometheus(); },
          [this] { return snapshot(); }};
}

}  // namespace unina
