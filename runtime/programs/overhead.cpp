#include "overhead.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <opencv2/imgproc.hpp>
#include <utility>
#include <vector>

#include "program.h"
#include "service/capture.h"
#include "service/clock.h"
#include "service/pipeline.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr int kWarmUp = 20;
constexpr int kObjects = 10;  // that every picture seems to hold

// The bundle's tensors, and nothing that computes: the outputs stay as they are.
class IdleAccelerator final : public Accelerator {
 public:
  explicit IdleAccelerator(const Manifest& manifest) {
    for (const ManifestTensor& tensor : manifest.tensors) {
      const TensorFormat format =
          TensorFormat::packed(tensor.type, tensor.layout, tensor.channels, tensor.height,
                               tensor.width, tensor.scale, /*row_alignment=*/64);
      memory_.emplace_back(format.bytes);
      (tensor.is_output ? outputs_ : inputs_)
          .push_back({tensor.name, format, memory_.back().data()});
    }
    const ManifestLevel& finest = manifest.levels.front();
    for (const ManifestLevel& level : manifest.levels) fill(view(level.class_map), -128, 0xCD00);
    for (int i = 0; i < kObjects; ++i) set(view(finest.class_map), 8 * i, 127, 0x4D00);
  }

  std::string name() const override { return "none"; }
  const std::vector<TensorView>& inputs() const override { return inputs_; }
  const std::vector<TensorView>& outputs() const override { return outputs_; }
  void infer() override {}

 private:
  const TensorView& view(const std::string& wanted) const {
    for (const TensorView& one : outputs_) {
      if (one.name == wanted) return one;
    }
    throw Error("the manifest has no tensor " + wanted);
  }
  // A class map's value, in int8 or as float16 bits; a float32 is made of the latter's sign.
  static void put(void* at, DataType type, int stored, unsigned half) {
    const auto small = static_cast<std::int8_t>(stored);
    const auto bits = static_cast<std::uint16_t>(half);
    const float real = (half & 0x8000u) != 0 ? -20.0f : 20.0f;
    if (type == DataType::kInt8) std::memcpy(at, &small, sizeof small);
    if (type == DataType::kFloat16) std::memcpy(at, &bits, sizeof bits);
    if (type == DataType::kFloat32) std::memcpy(at, &real, sizeof real);
  }
  static void fill(const TensorView& map, int stored, unsigned half) {
    for (int c = 0; c < map.format.channels; ++c) {
      for (int y = 0; y < map.format.height; ++y) {
        for (int x = 0; x < map.format.width; ++x) {
          put(static_cast<char*>(map.data) + map.format.offset(c, y, x), map.format.type, stored,
              half);
        }
      }
    }
  }
  // The first channel of a cell on the middle row, as far as the row goes.
  static void set(const TensorView& map, int x, int stored, unsigned half) {
    if (x >= map.format.width) return;
    put(static_cast<char*>(map.data) + map.format.offset(0, map.format.height / 2, x),
        map.format.type, stored, half);
  }

  std::vector<std::vector<char>> memory_;
  std::vector<TensorView> inputs_, outputs_;
};

// Delivers the picture again each time that it is asked to.
class OnDemand final : public Source {
 public:
  using Source::next;
  explicit OnDemand(const ImageView& picture) : picture_(picture) {}

  void deliver() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++wanted_;
    }
    changed_.notify_one();
  }
  void end() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
  }

  std::optional<Frame> next(int) override {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return wanted_ > delivered_ || ended_; });
    if (ended_) return std::nullopt;
    return Frame{"", picture_, delivered_++, monotonic_ns()};
  }
  void rewind() override {}
  std::optional<std::size_t> count() const override { return std::nullopt; }

 private:
  ImageView picture_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t wanted_ = 0, delivered_ = 0;
  bool ended_ = false;
};

// The capturing thread's source, which belongs to the measurement.
class Lent final : public Source {
 public:
  using Source::next;
  explicit Lent(Source& source) : source_(source) {}
  std::optional<Frame> next(int buffer) override { return source_.next(buffer); }
  void rewind() override {}
  std::optional<std::size_t> count() const override { return std::nullopt; }

 private:
  Source& source_;
};

// Ends the source on every way out, since the capturing thread waits for it.
class EndOf {
 public:
  explicit EndOf(OnDemand& source) : source_(source) {}
  ~EndOf() { source_.end(); }
  EndOf(const EndOf&) = delete;
  EndOf& operator=(const EndOf&) = delete;

 private:
  OnDemand& source_;
};

// Connected to the detections socket.
class Reader {
 public:
  explicit Reader(const std::string& path) : descriptor_(connect_unix(path, SOCK_SEQPACKET)) {}
  ~Reader() { close(descriptor_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

class Folder {
 public:
  Folder() {
    path_ = (std::filesystem::temp_directory_path() / "unina-bench-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) throw Error(path_ + ": cannot be made");
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

double resize_ms(const ImageView& picture, cv::Mat& resized) {
  const cv::Mat source(picture.height, picture.width, CV_8UC3,
                       const_cast<std::uint8_t*>(picture.data), picture.row_stride);
  const std::int64_t begin = monotonic_ns();
  cv::resize(source, resized, resized.size(), 0, 0, cv::INTER_LINEAR);
  return static_cast<double>(monotonic_ns() - begin) * 1e-6;
}

}  // namespace

Overhead measure_overhead(const std::string& path, const ImageView& picture, int iterations) {
  Bundle bundle = Bundle::open(path);
  const Manifest manifest = bundle.manifest();
  if (manifest.decode != Decode::kDetect) {
    throw Error("--overhead: the network of " + path +
                " detects nothing, and the service serves detectors; leave it out");
  }
  const Placement placement =
      Placement::fit(picture.width, picture.height, manifest.input_width, manifest.input_height);
  const Folder folder;
  Configuration configuration;
  configuration.socket = folder.file("detections.sock");
  configuration.ring = folder.file("detections.ring");
  Mailbox mailbox;
  Metrics metrics(manifest.classes);
  Log log(LogLevel::kError, LogFormat::kText);
  OnDemand source(picture);
  auto accelerator = std::make_unique<IdleAccelerator>(manifest);
  Pipeline pipeline(
      detectors_of(std::make_unique<Detector>(std::move(bundle), std::move(accelerator))),
      configuration, mailbox, metrics, log, [] {});
  const Reader reader(configuration.socket);
  Capture capture({"bench", std::chrono::milliseconds(1), std::chrono::milliseconds(1)}, mailbox,
                  metrics, log, [&](const std::string&) { return std::make_unique<Lent>(source); });
  const EndOf end(source);
  // Why no picture comes any more, or "".
  const auto failure = [&] {
    const std::string failed = pipeline.failure();
    if (!failed.empty()) return failed;
    return stop_signal() != 0 ? std::string("stopped") : capture.trouble();
  };

  Overhead overhead;
  for (const Metrics::Stage& stage : metrics.stages()) overhead.stages.push_back({stage.name, {}});
  cv::Mat resized(placement.height, placement.width, CV_8UC3);
  std::vector<char> message(1 << 22);
  for (int i = -kWarmUp; i < iterations; ++i) {
    const std::uint64_t frames = metrics.frames;
    source.deliver();
    pollfd arriving{reader.descriptor(), POLLIN, 0};
    while (poll(&arriving, 1, 100) == 0 && failure().empty()) {
    }
    const bool received =
        arriving.revents != 0 && recv(reader.descriptor(), message.data(), message.size(), 0) > 0;
    // The times are recorded after the message.
    while (received && metrics.frames == frames && pipeline.failure().empty()) {
      std::this_thread::yield();
    }
    const std::string failed = failure();
    if (!failed.empty()) throw Error(failed);
    if (!received) throw Error("the service closed its socket");
    const double one_resize_ms = resize_ms(picture, resized);
    if (i < 0) continue;
    const auto stages = metrics.stages();
    for (std::size_t s = 0; s < stages.size(); ++s) {
      overhead.stages[s].times.add(stages[s].times.last_ms());
    }
    overhead.resize.add(one_resize_ms);
  }
  return overhead;
}

}  // namespace unina
