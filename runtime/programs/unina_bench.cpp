// unina-bench: how long each stage of the detector takes.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "detector_flags.h"
#include "one_a_core.h"
#include "overhead.h"
#include "program.h"
#include "quiet_libraries.h"
#include "samples.h"
#include "turns.h"
#include "unina/detector.h"
#include "unina/error.h"
#include "unina/network.h"
#include "unina/source.h"

namespace unina {
namespace {

struct Options {
  DetectorFlags detector;
  std::string source;
  std::string size = "1280x720";
  int iterations = 200;
  bool json = false, overhead = false, samples = false;
};

constexpr int kWarmUp = 10;                // caches, page faults, clocks
constexpr std::size_t kMostPictures = 64;  // held in memory, so that reading is not timed

struct Picture {
  std::vector<std::uint8_t> bytes;
  ImageView view;  // points into bytes
};

Picture copy_of(const ImageView& image) {
  Picture picture;
  const auto append = [&](const std::uint8_t* from, std::size_t stride, std::size_t row, int rows) {
    for (int y = 0; y < rows; ++y, from += stride) {
      picture.bytes.insert(picture.bytes.end(), from, from + row);
    }
  };
  picture.view = image;
  picture.view.row_stride = image.least_row_stride();
  append(image.data, image.row_stride, picture.view.row_stride, image.height);
  const std::size_t chroma_at = picture.bytes.size();
  if (image.format == PixelFormat::kNv12) {
    picture.view.chroma_stride = static_cast<std::size_t>(image.width);
    append(image.chroma, image.chroma_stride, picture.view.chroma_stride, image.height / 2);
    picture.view.chroma = picture.bytes.data() + chroma_at;
  }
  picture.view.data = picture.bytes.data();
  return picture;
}

Picture noise(const std::string& size) {
  int width = 0, height = 0, used = 0;
  const int read = std::sscanf(size.c_str(), "%5dx%5d%n", &width, &height, &used);
  if (read != 2 || static_cast<std::size_t>(used) != size.size() || width < 1 || height < 1 ||
      width > 16384 || height > 16384) {
    throw Error("--size " + size + ": expected WIDTHxHEIGHT, for instance 1280x720, up to 16384");
  }
  Picture picture;
  picture.bytes.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  std::mt19937 random(1);
  for (std::uint8_t& byte : picture.bytes) byte = static_cast<std::uint8_t>(random());
  picture.view = {picture.bytes.data(), width, height, static_cast<std::size_t>(width) * 3};
  return picture;
}

std::vector<Picture> load(const Options& options) {
  std::vector<Picture> pictures;
  if (options.source.empty()) {
    pictures.push_back(noise(options.size));
    return pictures;
  }
  const QuietLibraries quiet;
  const std::unique_ptr<Source> source = open_source(options.source);
  while (pictures.size() < kMostPictures) {
    const std::optional<Frame> frame = source->next();
    if (!frame) break;
    pictures.push_back(copy_of(frame->image));
  }
  if (pictures.empty()) throw Error(options.source + ": gave no picture");
  return pictures;
}

void bench_overhead(const Options& options) {
  const std::vector<Picture> pictures = load(options);
  const ImageView& picture = pictures.front().view;
  if (picture.format != PixelFormat::kBgr) {
    throw Error(options.source + ": gives " + name_of(picture.format) +
                " pictures, and --overhead compares with cv::resize of BGR ones");
  }
  const Overhead measured = measure_overhead(options.detector.bundle, picture, options.iterations);
  const Samples& whole = measured.stages.back().times;
  const double ratio = whole.percentile(50) / measured.resize.percentile(50);
  std::vector<std::pair<const char*, const Samples*>> rows;
  for (const Overhead::Stage& stage : measured.stages) rows.emplace_back(stage.name, &stage.times);
  rows.back().first = "capture to publish";
  rows.emplace_back("one cv::resize", &measured.resize);
  if (options.json) {
    nlohmann::ordered_json report = {{"schema", 1},
                                     {"iterations", options.iterations},
                                     {"source_size", {picture.width, picture.height}},
                                     {"ratio_p50", ratio}};
    for (const auto& [name, samples] : rows) {
      report["stages"][name] = {{"p50_ms", samples->percentile(50)},
                                {"p99_ms", samples->percentile(99)}};
    }
    std::printf("%s\n", report.dump(2).c_str());
    return;
  }
  std::printf(
      "%dx%d pictures through the service, an accelerator that computes nothing, %d "
      "frames\n\n%-20s%10s%10s   ms\n",
      picture.width, picture.height, options.iterations, "stage", "p50", "p99");
  for (const auto& [name, samples] : rows) {
    std::printf("%-20s%10.3f%10.3f\n", name, samples->percentile(50), samples->percentile(99));
  }
  std::printf("\n%.2f times one cv::resize (p50)\n", ratio);
}

// Whatever is timed: a detector, or a network whose outputs nobody here decodes.
struct Contender {
  using Lanes = Turns<ImageView, StageTimes>;

  Manifest manifest;
  std::string accelerator, reason;
  std::vector<Lanes::Work> workers;  // one for each core, each with what it runs
};

template <typename Runner, typename Options, typename Work>
Contender contender(const std::string& bundle, const Options& options,
                    const std::vector<DlaOptions>& cores, const Work& work) {
  Contender made;
  for (std::unique_ptr<Runner>& one : one_a_core<Runner>(bundle, options, cores)) {
    made.manifest = one->manifest();
    made.accelerator = one->accelerator_name();
    made.reason = one->accelerator_reason();
    made.workers.push_back([own = Work(work), runner = std::shared_ptr<Runner>(std::move(one))](
                               const ImageView& picture, StageTimes& times) mutable {
      times = own(*runner, picture);
    });
  }
  return made;
}

bool detects(const std::string& bundle) {
  return Bundle::open(bundle).manifest().decode == Decode::kDetect;
}

Contender contender(const DetectorFlags& flags) {
  if (detects(flags.bundle)) {
    return contender<Detector>(
        flags.bundle, flags.options, flags.cores(),
        [found = Detections()](Detector& detector, const ImageView& picture) mutable {
          detector.detect(picture, found);
          return detector.times();
        });
  }
  if (flags.options.score_threshold) {
    throw Error("--score-threshold: the network of " + flags.bundle +
                " detects nothing; leave it out");
  }
  const NetworkOptions& options = flags.options;
  return contender<Network>(flags.bundle, options, flags.cores(),
                            [](Network& network, const ImageView& picture) {
                              network.run(picture);
                              return StageTimes{network.preprocess_ms(), network.infer_ms(), 0};
                            });
}

void bench(const Options& options) {
  if (options.iterations < 1 || options.iterations > 10000000) {
    throw Error("--iterations " + std::to_string(options.iterations) + ": expected 1 to 10000000");
  }
  if (options.overhead) return bench_overhead(options);
  const Contender timed = contender(options.detector);
  const Manifest& manifest = timed.manifest;
  const std::size_t at_a_time = timed.workers.size();
  const std::vector<Picture> pictures = load(options);
  Samples preprocess, infer, decode, total;
  // As many frames, as many at a time as there are cores.
  Contender::Lanes lanes(timed.workers);
  const auto run = [&](int frames, const std::function<void(const StageTimes&)>& answered) {
    for (int put = 0, taken = 0; taken < frames; ++taken) {
      for (; put < frames && lanes.under_way() < at_a_time; ++put) {
        lanes.put(pictures[static_cast<std::size_t>(put) % pictures.size()].view);
      }
      answered(lanes.take());
      if (stop_signal() != 0) throw Error("stopped");
    }
  };
  run(kWarmUp, [](const StageTimes&) {});
  const auto begin = std::chrono::steady_clock::now();
  run(options.iterations, [&](const StageTimes& times) {
    preprocess.add(times.preprocess_ms);
    infer.add(times.infer_ms);
    decode.add(times.decode_ms);
    total.add(times.total_ms());
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const double frames_per_second = options.iterations / seconds.count();
  std::vector<std::pair<const char*, const Samples*>> stages = {{"preprocess", &preprocess},
                                                                {"infer", &infer}};
  if (manifest.decode == Decode::kDetect) stages.emplace_back("decode", &decode);
  stages.emplace_back("total", &total);

  const ImageView& first = pictures.front().view;
  if (options.json) {
    nlohmann::ordered_json report = {{"schema", 1},
                                     {"bundle", manifest.name},
                                     {"accelerator", timed.accelerator},
                                     {"accelerator_reason", timed.reason},
                                     {"at_a_time", at_a_time},
                                     {"threads", options.detector.options.threads},
                                     {"iterations", options.iterations},
                                     {"warm_up", kWarmUp},
                                     {"pictures", pictures.size()},
                                     {"source_size", {first.width, first.height}},
                                     {"input_size", {manifest.input_width, manifest.input_height}},
                                     {"frames_per_second", frames_per_second}};
    for (const auto& [name, samples] : stages) {
      report["stages"][name] = {{"p50_ms", samples->percentile(50)},
                                {"p95_ms", samples->percentile(95)},
                                {"p99_ms", samples->percentile(99)},
                                {"mean_ms", samples->mean()}};
      if (options.samples) report["stages"][name]["samples_ms"] = samples->values();
    }
    std::printf("%s\n",
                report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  std::printf("%s on %s (%s), %d threads: %dx%d pictures into %dx%d, %d frames after %d of warm-up",
              manifest.name.c_str(), timed.accelerator.c_str(), timed.reason.c_str(),
              options.detector.options.threads, first.width, first.height, manifest.input_width,
              manifest.input_height, options.iterations, kWarmUp);
  if (at_a_time > 1) std::printf(", %zu at a time", at_a_time);
  std::printf("\n\n");
  std::printf("%-12s%10s%10s%10s   ms\n", "stage", "p50", "p95", "p99");
  for (const auto& [name, samples] : stages) {
    std::printf("%-12s%10.3f%10.3f%10.3f\n", name, samples->percentile(50), samples->percentile(95),
                samples->percentile(99));
  }
  std::printf("\n%.1f frames/s\n", frames_per_second);
}

}  // namespace
}  // namespace unina

int main(int argc, char** argv) {
  unina::Options options;
  CLI::App app(
      "Times the stages of the detector, one frame after the other (with --dla both, one a core): "
      "p50, p95 and p99 of preprocess, infer, decode and their total. Reading pictures is not "
      "timed. A bundle of a network that detects nothing (decode classify or raw) has no decode.\n"
      "Exit code: 0 good; 2 a bundle, picture or option is bad.",
      "unina-bench");
  app.set_version_flag("--version", UNINA_VERSION);
  add_detector_flags(app, options.detector);
  CLI::Option* source = app.add_option(
      "--source", options.source,
      "What to detect in, as unina-detector takes it (images:DIR, video:FILE, …); the first 64 "
      "pictures are used in turn");
  app.add_option("--size", options.size, "WIDTHxHEIGHT of a picture of noise, without --source")
      ->capture_default_str()
      ->excludes(source);
  app.add_option("--iterations", options.iterations, "Frames to time")->capture_default_str();
  app.add_flag("--overhead", options.overhead,
               "Time the service around the network instead, from capture to publish, with an "
               "accelerator that computes nothing, beside one cv::resize of the same picture");
  CLI::Option* json = app.add_flag("--json", options.json, "Print the figures as JSON");
  app.add_flag("--samples", options.samples,
               "With --json: the time of every frame, too, which unina-profile compares runs by")
      ->needs(json);
  return unina::run_program(app, argc, argv, [&] { unina::bench(options); });
}
