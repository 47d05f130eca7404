// unina-detector: pictures in, one line of JSON a picture out; with `serve` as a service.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "annotate.h"
#include "atomic_output.h"
#include "detector_flags.h"
#include "json_line.h"
#include "program.h"
#include "quiet_libraries.h"
#include "samples.h"
#include "serve.h"
#include "unina/detector.h"
#include "unina/error.h"
#include "unina/interleaved_detector.h"
#include "unina/source.h"

namespace unina {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Options {
  DetectorFlags detector;
  std::string source, annotate;
  std::string output = "-";
};

// A picture that is being detected in, in a buffer of the source that stays as it is meanwhile.
struct UnderWay {
  Frame frame;
  double read_ms = 0;
};

// A line that is rewritten a few times a second, on a terminal only.
class Progress {
 public:
  explicit Progress(std::optional<std::size_t> total) : total_(total) {}

  void show(std::size_t frames) {
    const double seconds = seconds_since(begin_);
    if (!terminal_ || seconds - shown_ < 0.2) return;
    shown_ = seconds;
    const std::string of = total_ ? "/" + std::to_string(*total_) : "";
    std::fprintf(stderr, "\rframe %zu%s  %.1f frames/s\033[K", frames, of.c_str(),
                 static_cast<double>(frames) / seconds);
  }
  void clear() const {
    if (terminal_ && shown_ > 0) std::fputs("\r\033[K", stderr);
  }
  ~Progress() { clear(); }

 private:
  std::optional<std::size_t> total_;
  Clock::time_point begin_ = Clock::now();
  double shown_ = 0;
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
};

// A picture of a directory keeps its name; a frame of a video takes its number.
std::string annotated_name(const Frame& frame, std::size_t number) {
  const std::string name = std::filesystem::path(frame.name).filename().string();
  if (cv::haveImageWriter(name)) return name;
  char numbered[32];
  std::snprintf(numbered, sizeof numbered, "%06zu.jpg", number);
  return numbered;
}

void write_picture(const std::string& path, const cv::Mat& picture) {
  bool written = false;
  try {
    written = cv::imwrite(path, picture);
  } catch (const cv::Exception&) {
  }
  if (!written) throw Error(path + ": the annotated picture cannot be written; is the disk full?");
}

void detect(const Options& options) {
  InterleavedDetector interleaved(options.detector.bundle, options.detector.options,
                                  options.detector.cores());
  const Detector& detector = interleaved.detector();
  const std::unique_ptr<Source> source = [&] {
    const QuietLibraries quiet;
    return open_source(options.source);
  }();
  if (interleaved.capacity() >= std::size_t{kSourceBuffers}) throw Error("too many accelerators");
  std::size_t read_pictures = 0;
  const auto next = [&] {
    const QuietLibraries quiet;
    // One is being read while the others are under way.
    return source->next(static_cast<int>(read_pictures++ % kSourceBuffers));
  };
  OutputFile records(options.output);
  std::optional<OutputDirectory> pictures;
  if (!options.annotate.empty()) pictures.emplace(options.annotate);
  const Annotator annotator(detector.manifest().classes);
  const DetectionRun run = DetectionRun::of(detector);

  Samples read, preprocess, infer, decode;
  std::size_t frames = 0;
  Progress progress(source->count());
  const Clock::time_point begin = Clock::now();
  std::deque<UnderWay> under_way;
  const auto finish_oldest = [&] {
    const auto& [frame, read_ms] = under_way.front();
    const Answer& answer = interleaved.take();
    const StageTimes& times = answer.times;
    records.write_line(json_line(run, frames, frame, read_ms, times, answer.detections));
    if (pictures) {
      write_picture(pictures->place(annotated_name(frame, frames)),
                    annotator.draw(frame.image, answer.detections));
    }
    read.add(read_ms);
    preprocess.add(times.preprocess_ms);
    infer.add(times.infer_ms);
    decode.add(times.decode_ms);
    under_way.pop_front();
    progress.show(++frames);
    if (stop_signal() != 0) {
      throw Error("stopped after " + std::to_string(frames) + " frames; no file was written");
    }
  };
  while (true) {
    const Clock::time_point reading = Clock::now();
    std::optional<Frame> frame = next();
    if (!frame) break;
    under_way.push_back({std::move(*frame), 1e3 * seconds_since(reading)});
    if (interleaved.under_way() == interleaved.capacity()) finish_oldest();
    interleaved.put(under_way.back().frame.image);
    if (interleaved.capacity() == 1) finish_oldest();
  }
  while (!under_way.empty()) finish_oldest();
  const double seconds = seconds_since(begin);
  if (pictures) pictures->commit();
  records.commit();
  progress.clear();
  std::fprintf(
      stderr,
      "unina-detector: %zu frames in %.1f s (%.1f frames/s) on %s (%s); median ms: read %.2f, "
      "preprocess %.2f, infer %.2f, decode %.2f\n",
      frames, seconds, static_cast<double>(frames) / seconds, detector.accelerator_name().c_str(),
      detector.accelerator_reason().c_str(), read.percentile(50), preprocess.percentile(50),
      infer.percentile(50), decode.percentile(50));
}

}  // namespace
}  // namespace unina

int main(int argc, char** argv) {
  const std::string form = argc > 1 ? argv[1] : "";
  if (form == "serve") return unina::serve_main(argc - 1, argv + 1);
  if (form == "ctl") return unina::ctl_main(argc - 1, argv + 1);
  unina::Options options;
  CLI::App app(
      "Detects objects in pictures or a video with a model bundle.\n"
      "Writes one JSON object a frame (docs/bundle.md, \"Detections as JSON Lines\"); files appear "
      "only when "
      "all frames are done.\nExit code: 0 good; 2 a bundle, picture or option is bad (one line on "
      "stderr "
      "says which), and no file was written.\n"
      "Other forms: `unina-detector serve --help`, the service; `unina-detector ctl --help`, asks "
      "it.",
      "unina-detector");
  app.set_version_flag("--version", UNINA_VERSION);
  add_detector_flags(app, options.detector);
  app.add_option("--source", options.source,
                 "images:DIR (jpg, png, bmp, webp, in order of name), video:FILE, frames:RING or "
                 "gst:PIPELINE")
      ->required();
  app.add_option("--output", options.output, "File for the detections; - is standard output")
      ->capture_default_str();
  app.add_option("--annotate", options.annotate, "Directory for pictures with the boxes drawn in");
  return unina::run_program(app, argc, argv, [&] { unina::detect(options); });
}
