#include "unina/network.h"

#include <utility>

#include "cuda/kept.h"
#include "preprocess/gpu_letterbox.h"
#include "printable.h"
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

Network::Network(const std::string& bundle, const NetworkOptions& options)
    : bundle_(Bundle::open(bundle)),
      choice_(choose_accelerator(options.accelerator, bundle_, options.dla, options.tensorrt)),
      accelerator_(
          make_accelerator(choice_.name, bundle_, options.threads, options.dla, options.tensorrt)) {
  prepare();
  if (options.preprocess == "gpu") {
    use_gpu();
  } else if (options.preprocess != "cpu") {
    throw Error("preprocess " + printable(options.preprocess) + ": expected cpu or gpu");
  }
}

Network::Network(Bundle bundle, std::unique_ptr<Accelerator> accelerator)
    : bundle_(std::move(bundle)),
      choice_{accelerator->name(), true, "the caller made it"},
      accelerator_(std::move(accelerator)) {
  prepare();
}

void Network::prepare() {
  const Manifest& expected = manifest();
  const std::string where = bundle_.directory() + ": accelerator " + accelerator_->name();
  input_ = require_view(accelerator_->inputs(), expected.tensor(expected.input_name), where);
  if (accelerator_->inputs().size() != 1) throw Error(where + ": has more than one input");
  for (const ManifestTensor& tensor : expected.tensors) {
    if (tensor.is_output) {
      outputs_.push_back(require_view(accelerator_->outputs(), tensor, where));
    }
  }
}

void Network::use_gpu() {
  if (!accelerator_->gpu_sees_input()) {
    throw Error("preprocess gpu: accelerator " + accelerator_->name() +
                " reads its input from memory that no GPU sees; take preprocess cpu, or "
                "cudla-hybrid or tensorrt");
  }
  gpu_letterbox_ = GpuLetterbox::make(manifest().pixels, input_);
}

const TensorView& Network::output(const std::string& name) const {
  for (const TensorView& view : outputs_) {
    if (view.name == name) return view;
  }
  throw Error("manifest.json: no output is called " + printable(name));
}

const Placement& Network::placement() const {
  if (gpu_letterbox_) return gpu_letterbox_->placement();
  if (!letterbox_) throw Error("network: placement() before the first run()");
  return letterbox_->placement();
}

Network::Clock::time_point Network::infer_from_cpu(const ImageView& image) {
  if (!letterbox_ || !letterbox_->fits(image)) {
    letterbox_.emplace(image.width, image.height, manifest().pixels, input_.format, image.format);
  }
  letterbox_->write(image, input_.data);
  const Clock::time_point written = Clock::now();
  accelerator_->infer();
  return written;
}

Network::Clock::time_point Network::infer_from_gpu(const ImageView& image) {
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

void Network::run(const ImageView& image) {
  const Clock::time_point begin = Clock::now();
  const Clock::time_point written = gpu_letterbox_ ? infer_from_gpu(image) : infer_from_cpu(image);
  preprocess_ms_ = milliseconds(begin, written);
  infer_ms_ = milliseconds(written, Clock::now());
}

}  // namespace unina
