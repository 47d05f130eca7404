// What the service counts, and the same as Prometheus text (exposition format 0.0.4).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace unina {

// Times of one stage. One thread records, any thread reads.
class Histogram {
 public:
  // Upper bounds in seconds; Prometheus adds +Inf.
  static constexpr std::array<double, 14> kBounds = {0.0001, 0.00025, 0.0005, 0.001, 0.002,
                                                     0.003,  0.004,   0.006,  0.01,  0.016,
                                                     0.033,  0.1,     0.33,   1.0};

  void record(std::int64_t ns);
  // Appends the lines of one series; `labels` like stage="infer".
  void write(std::string& text, const std::string& name, const std::string& labels) const;

  // Of the last kRecent times, in milliseconds, by nearest rank; 0 before the first.
  double recent_percentile_ms(double percent) const;
  // The last time, with the resolution of a microsecond.
  double last_ms() const;

  static constexpr std::size_t kRecent = 512;

 private:
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<std::uint64_t> sum_ns_{0};
  std::array<std::atomic<std::uint32_t>, kRecent> recent_us_{};
  std::atomic<std::uint64_t> recorded_{0};
};

struct Metrics {
  using Counter = std::atomic<std::uint64_t>;

  // What computes: pictures, and the time that it took for them.
  struct Device {
    const char* name;
    Counter frames{0}, busy_ns{0};
  };

  explicit Metrics(std::vector<std::string> class_names);

  // wait: from capture until the detector takes the picture; total: from capture until published.
  Histogram wait, preprocess, infer, decode, publish, total;
  struct Stage {
    const char* name;
    const Histogram& times;
  };
  static constexpr std::size_t kStages = 6;
  // Those six, in the order in which a picture passes them.
  std::array<Stage, kStages> stages() const;

  Counter captured{0}, frames{0}, drops{0}, gaps{0}, stale{0};
  Counter source_lost{0}, reloads{0}, reloads_refused{0};
  Counter readers_dropped{0}, zmq_full{0}, mqtt_dropped{0};
  std::atomic<int> readers{0}, source_up{0}, mqtt_up{0};
  std::atomic<int> last_detections{0};
  std::vector<std::string> classes;
  std::vector<Counter> detections;  // one a class

  std::array<Device, 4> devices{{{"dla0"}, {"dla1"}, {"gpu"}, {"host"}}};
  Device& device(const std::string& name);  // one of these; throws Error for any other

  static void count(Counter& counter, std::uint64_t n = 1) {
    counter.fetch_add(n, std::memory_order_relaxed);
  }

  std::string prometheus() const;
};

}  // namespace unina
