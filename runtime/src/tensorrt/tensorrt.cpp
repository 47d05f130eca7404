#include "tensorrt/tensorrt.h"

#include <cstdio>
#include <cstring>
#include <utility>

#include "cuda/cuda_graph.h"
#include "cuda/cuda_stream.h"
#include "cuda/frame_in_flight.h"
#include "cuda/frame_wait.h"
#include "cuda/mapped_buffer.h"
#include "cudla/loadable_kind.h"
#include "dla_core.h"
#include "in_file.h"
#include "network_tensors.h"
#include "printable.h"
#include "unina/error.h"
#include "whole_file.h"

namespace unina {
namespace {

constexpr std::uint64_t kMostEngineBytes = std::uint64_t{4} << 30;
constexpr int kGpu = 0;  // a Jetson has one

std::vector<std::uint8_t> read_engine(const std::string& path) {
  std::vector<std::uint8_t> bytes = read_whole_file(path, kMostEngineBytes);
  if (!is_tensorrt_plan(bytes)) {
    throw Error(path +
                ": is not a TensorRT engine; build one on the device with trtexec "
                "--saveEngine (a DLA loadable, made with --buildDLAStandalone, is for the "
                "accelerator cudla-hybrid)");
  }
  if (std::memcmp(bytes.data(), "ftrt", 4) == 0) return bytes;
  throw Error(path +
              ": has a text in front of the TensorRT engine, as Ultralytics writes it; "
              "export it with trtexec --saveEngine instead");
}

void require(bool done, const char* call, const TrtRuntime& runtime) {
  if (done) return;
  const std::string said = runtime.last_error();
  throw Error(std::string("TensorRT: ") + call + " failed" + (said.empty() ? "" : ": ") +
              printable(said));
}

// A tensor of an engine in our terms. Throws Error naming the tensor and what contradicts the
// manifest.
NetworkTensor describe(const TrtTensor& t, const Manifest& manifest) {
  const std::string where =
      (t.is_output ? "output " : "input ") + printable(t.name) + " of the engine ";
  const ManifestTensor& expected = expected_tensor(manifest, t.name, t.is_output, where);
  if (!t.known_type || !t.known_layout) {
    throw Error(where + "has TensorRT's data type " + std::to_string(t.type_number) +
                " and format " + std::to_string(t.layout_number) +
                ", which this program does not know; build the engine with linear, dla_linear, "
                "dla_hwc4, chw16 or chw32 in fp32, fp16 or int8");
  }
  std::vector<std::uint64_t> shape, wanted = {1, static_cast<std::uint64_t>(expected.channels),
                                              static_cast<std::uint64_t>(expected.height),
                                              static_cast<std::uint64_t>(expected.width)};
  for (const std::int64_t size : t.shape) shape.push_back(static_cast<std::uint64_t>(size));
  if (shape != wanted) {
    throw Error(where + "has shape " + shape_text(shape) + ", manifest.json says " +
                shape_text(wanted) + "; it was built from another model");
  }
  if (t.type != expected.type) {
    throw Error(where +
                "has another data type than in manifest.json; build the engine with the I/O "
                "formats that the bundle's manifest names");
  }
  return {t.name, TensorFormat::packed(t.type, t.layout, expected.channels, expected.height,
                                       expected.width, expected.scale, t.row_alignment)};
}

}  // namespace

// What TensorRT and CUDA hold for us, in the order of creation: destruction is the reverse.
struct TensorRt::Session {
  Session(const TensorRtOptions& options, std::unique_ptr<TrtRuntime> opened)
      : cuda(CudaRuntime::get()),
        frame("TensorRT", options.timeout_ms,
              [this, wait = FrameWait(cuda, options.timeout_ms)]() mutable {
                return wait(stream->get());
              }),
        runtime(std::move(opened)) {
    cuda.require("cudaSetDevice", cuda.cudaSetDevice(kGpu));
    stream = std::make_unique<CudaStream>(cuda, failures);
  }

  void release() {
    graph.reset();
    context.reset();
    engine.reset();
    buffers.clear();
    stream.reset();
  }

  const CudaRuntime& cuda;
  FrameInFlight frame;
  ReleaseFailures failures;
  std::unique_ptr<TrtRuntime> runtime;
  std::unique_ptr<CudaStream> stream;
  std::vector<std::unique_ptr<MappedBuffer>> buffers;
  std::unique_ptr<TrtEngine> engine;
  std::unique_ptr<TrtContext> context;
  std::unique_ptr<CudaGraph> graph;  // none on a DLA core, whose work cannot be captured
};

std::unique_ptr<TensorRt> TensorRt::load(const TensorRtOptions& options, const Manifest& manifest,
                                         std::unique_ptr<TrtRuntime> runtime) {
  if (options.engine.empty()) {
    throw Error("accelerator tensorrt needs an engine, and none was given");
  }
  if (options.timeout_ms < 1) {
    throw Error("timeout of " + std::to_string(options.timeout_ms) + " ms: expected at least 1");
  }
  const std::vector<std::uint8_t> plan = read_engine(options.engine);
  return in_file(options.engine, [&] {
    std::unique_ptr<TensorRt> made(new TensorRt(options, manifest, std::move(runtime), plan));
    if (options.dla_core < 0) made->capture();
    return made;
  });
}

TensorRt::TensorRt(const TensorRtOptions& options, const Manifest& manifest,
                   std::unique_ptr<TrtRuntime> runtime, const std::vector<std::uint8_t>& plan)
    : options_(options), session_(std::make_unique<Session>(options, std::move(runtime))) {
  Session& s = *session_;
  if (options.dla_core >= 0) {
    const std::string lacks =
        why_no_core(options.dla_core, static_cast<std::uint64_t>(s.runtime->dla_cores()));
    if (!lacks.empty()) throw Error(lacks);
    // Before the engine is deserialised: afterwards it stays where it was put, on core 0.
    s.runtime->set_dla_core(options.dla_core);
    if (s.runtime->dla_core() != options.dla_core) {
      throw Error("TensorRT took DLA core " + std::to_string(s.runtime->dla_core()) +
                  " instead of " + std::to_string(options.dla_core));
    }
  }
  s.engine = s.runtime->deserialize(plan);
  require(s.engine != nullptr, "deserializeCudaEngine", *s.runtime);
  s.context = s.engine->create_context();
  require(s.context != nullptr, "createExecutionContext", *s.runtime);
  std::vector<NetworkTensor> in, out;
  for (const TrtTensor& tensor : s.engine->tensors()) {
    (tensor.is_output ? out : in).push_back(describe(tensor, manifest));
  }
  require_all(in, false, manifest, "engine");
  require_all(out, true, manifest, "engine");
  const auto bind = [&](const NetworkTensor& tensor, std::vector<TensorView>& views) {
    s.buffers.push_back(std::make_unique<MappedBuffer>(s.cuda, tensor.format.bytes, s.failures));
    require(s.context->set_tensor_address(tensor.name, s.buffers.back()->device()),
            "setTensorAddress", *s.runtime);
    views.push_back({tensor.name, tensor.format, s.buffers.back()->host()});
  };
  for (const NetworkTensor& tensor : in) bind(tensor, inputs_);
  for (const NetworkTensor& tensor : out) bind(tensor, outputs_);
}

void TensorRt::capture() {
  // TensorRT makes its last arrangements in the first frame, and these must not be captured.
  run(nullptr);
  Session& s = *session_;
  s.graph = std::make_unique<CudaGraph>(
      s.cuda, s.stream->get(),
      [&] { require(s.context->enqueue(s.stream->get()), "enqueueV3", *s.runtime); }, s.failures);
}

TensorRt::~TensorRt() {
  try {
    close();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "unina: while releasing: %s\n", error.what());
  }
}

void TensorRt::run(InputWriter* writer) {
  Session& s = *session_;
  // The current device belongs to the thread, and infer() may be called from any.
  s.cuda.require("cudaSetDevice", s.cuda.cudaSetDevice(kGpu));
  const auto submit = [&] {
    if (writer != nullptr) writer->enqueue(s.stream->get(), s.buffers.front()->device());
    if (s.graph) {
      s.graph->launch(s.stream->get());
    } else {
      require(s.context->enqueue(s.stream->get()), "enqueueV3", *s.runtime);
    }
  };
  s.frame.run(submit, [&] {
    s.cuda.require("cudaStreamSynchronize", s.cuda.cudaStreamSynchronize(s.stream->get()));
  });
}

void TensorRt::infer() {
  in_file(options_.engine, [&] { run(nullptr); });
}

void TensorRt::infer_on(InputWriter& writer) {
  in_file(options_.engine, [&] { run(&writer); });
}

void TensorRt::close() {
  if (session_) end_session(std::move(session_), options_.engine);
}

}  // namespace unina
