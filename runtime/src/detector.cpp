#include "unina/detector.h"

#include <utility>

#include "cuda/kept.h"
#include "preprocess/gpu_letterbox.h"
#include "printable.h"
#include "unina/accelerators.h"
#include "unina/error.h"

namespace unina {
namespace {

double milliseconds(std::chrono::steady_clock::time_point begin,
                    std::chrono::steady_clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

// The accelerator's view of a tensor that the manifest describes: the two must agree.
TensorView require_view(const std::vector<TensorView>& views, const ManifestTensor& tensor,
                        const std::string& where) {
  for (const TensorView& view : views) {
    if (view.name != tensor.name) continue;
    const TensorFormat& format = view.format;
    if (format.channels != tensor.channels || format.height != tensor.height ||
        format.width != tensor.width || format.scale != tensor.scale ||
        format.type != tensor.type) {
      throw Error(
          where + ": tensor " + printable(tensor.name) +
          " has another shape, type or scale than in manifest.json; export the bundle again");
    }
    return view;
  }
  throw Error(where + ": has no " + (tensor.is_output ? "output " : "input ") +
              printable(tensor.name) + ", which manifest.json lists; export the bundle again");
}

}  // namespace

Detector::Detector(const std::string& bundle, const DetectorOptions& options)
    : bundle_(Bundle::open(bundle)),
      choice_(choose_accelerator(options.accelerator, bundle_, options.dla, options.tensorrt)),
      accelerator_(
          make_accelerator(choice_.name, bundle_, options.threads, options.dla, options.tensorrt)) {
  prepare(options.score_threshold);
  if (options.preprocess == "gpu") {
    use_gpu();
  } else if (options.preprocess != "cpu") {
    throw Error("preprocess " + printable(options.preprocess) + ": expected cpu or gpu");
  }
}

Detector::Detector(Bundle bundle, std::unique_ptr<Accelerator> accelerator,
                   std::optional<float> score_threshold)
    : bundle_(std::move(bundle)),
      choice_{accelerator->name(), true, "the caller made it"},
      accelerator_(std::move(accelerator)) {
  prepare(score_threshold);
}

void Detector::use_gpu() {
  if (!accelerator_->gpu_sees_input()) {
    throw Error("preprocess gpu: accelerator " + accelerator_->name() +
                " reads its input from memory that no GPU sees; take preprocess cpu, or "
                "cudla-hybrid or tensorrt");
  }
  gpu_letterbox_ = GpuLetterbox::make(manifest().pixels, input_);
}

void Detector::prepare(std::optional<float> score_threshold) {
  const Manifest& expected = manifest();
  const std::string where = bundle_.directory() + ": accelerator " + accelerator_->name();
  input_ = require_view(accelerator_->inputs(), expected.tensor(expected.input_name), where);
  if (accelerator_->inputs().size() != 1) throw Error(where + ": has more than one input");
  std::vector<LevelFormat> formats;
  for (const ManifestLevel& level : expected.levels) {
    const TensorView classes =
        require_view(accelerator_->outputs(), expected.tensor(level.class_map), where);
    const TensorView boxes =
        require_view(accelerator_->outputs(), expected.tensor(level.box_map), where);
    formats.push_back({level.stride, classes.format, boxes.format});
    maps_.push_back({classes.data, boxes.data});
  }
  DecodeSpec spec{expected.reg_max, expected.thresholds, expected.max_detections};
  if (score_threshold) spec.thresholds.assign(expected.classes.size(), *score_threshold);
  decoder_.emplace(spec, formats);
}

Detections Detector::detect(const ImageView& image) {
  Detections found;
  detect(image, found);
  return found;
}

Detector::Clock::time_point Detector::infer_from_cpu(const ImageView& image) {
  if (!letterbox_ || !letterbox_->fits(image)) {
    letterbox_.emplace(image.width, image.height, manifest().pixels, input_.format, image.format);
  }
  letterbox_->write(image, input_.data);
  const Clock::time_point written = Clock::now();
  accelerator_->infer();
  return written;
}

Detector::Clock::time_point Detector::infer_from_gpu(const ImageView& image) {
  gpu_letterbox_->take(image);
  try {
    accelerator_->infer_on(*gpu_letterbox_);
  } catch (...) {
    // The kernel may still read what the letterbox owns.
    keep_for_ever(std::exchange(gpu_letterbox_, GpuLetterbox::make(manifest().pixels, input_)));
    throw;
  }
  return gpu_letterbox_->enqueued();
}

void Detector::detect(const ImageView& image, Detections& found) {
  const Clock::time_point begin = Clock::now();
  const Clock::time_point written = gpu_letterbox_ ? infer_from_gpu(image) : infer_from_cpu(image);
  const Clock::time_point inferred = Clock::now();
  decoder_->decode(maps_, gpu_letterbox_ ? gpu_letterbox_->placement() : letterbox_->placement(),
                   found);
  const Clock::time_point decoded = Clock::now();
  times_ = {milliseconds(begin, written), milliseconds(written, inferred),
            milliseconds(inferred, decoded)};
}

}  // namespace unina
