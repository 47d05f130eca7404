#include "cudla/cudla_hybrid.h"

#include <cstdio>
#include <utility>

#include "cuda/cuda_stream.h"
#include "cuda/frame_in_flight.h"
#include "cuda/frame_wait.h"
#include "cudla/cudla_module.h"
#include "cudla/loadable_kind.h"
#include "cudla/registered_buffer.h"
#include "cudla/tensor_descriptor.h"
#include "dla_core.h"
#include "unina/error.h"
#include "whole_file.h"

namespace unina {
namespace {

constexpr std::uint64_t kMostLoadableBytes = std::uint64_t{1} << 30;
constexpr int kGpu = 0;  // a Jetson has one

std::vector<std::uint8_t> read_loadable(const std::string& path) {
  std::vector<std::uint8_t> bytes = read_whole_file(path, kMostLoadableBytes);
  const std::string why = why_no_loadable(bytes);
  if (!why.empty()) throw Error(path + ": " + why);
  return bytes;
}

}  // namespace

// What the vendor's libraries hold for us, in the order of creation: destruction is the reverse.
struct CudlaHybrid::Session {
  Session(const DlaOptions& options, const std::vector<std::uint8_t>& loadable)
      : cuda(CudaRuntime::get()),
        cudla(CudlaLibrary::get()),
        // cudaStreamSynchronize knows no timeout, and cuDLA's own (cudlaSetTaskTimeoutInMs) may be
        // missing in the cuDLA of CUDA 12.6.
        frame("DLA core " + std::to_string(options.core), options.timeout_ms,
              [this, wait = FrameWait(cuda, options.timeout_ms)]() mutable {
                return wait(stream->get());
              }) {
    // In hybrid mode the current GPU decides which context the core belongs to.
    cuda.require("cudaSetDevice", cuda.cudaSetDevice(kGpu));
    stream = std::make_unique<CudaStream>(cuda, failures);
    device = std::make_unique<CudlaDevice>(cudla, options.core, failures);
    module = std::make_unique<CudlaModule>(cudla, *device, loadable, failures);
  }

  TensorView add_buffer(const NetworkTensor& tensor, std::vector<std::uint64_t*>& task_pointers) {
    buffers.push_back(
        std::make_unique<RegisteredBuffer>(cuda, cudla, *device, tensor.format.bytes, failures));
    task_pointers.push_back(buffers.back()->registered());
    return {tensor.name, tensor.format, buffers.back()->host()};
  }

  void release() {
    buffers.clear();
    module.reset();
    device.reset();
    stream.reset();
  }

  const CudaRuntime& cuda;
  const CudlaLibrary& cudla;
  FrameInFlight frame;
  ReleaseFailures failures;
  std::unique_ptr<CudaStream> stream;
  std::unique_ptr<CudlaDevice> device;
  std::unique_ptr<CudlaModule> module;
  std::vector<std::unique_ptr<RegisteredBuffer>> buffers;
  std::vector<std::uint64_t*> task_inputs, task_outputs;
};

std::string CudlaHybrid::why_unavailable(int core) {
  try {
    CudaRuntime::get();
    const CudlaLibrary& cudla = CudlaLibrary::get();
    std::uint64_t version = 0, cores = 0;
    cudla.require("cudlaGetVersion", cudla.cudlaGetVersion(&version));
    cudla.require("cudlaDeviceGetCount", cudla.cudlaDeviceGetCount(&cores));
    return why_no_core(core, cores);
  } catch (const Error& error) {
    return error.what();
  }
}

std::unique_ptr<CudlaHybrid> CudlaHybrid::load(const DlaOptions& options,
                                               const Manifest& manifest) {
  if (options.loadable.empty()) {
    throw Error("accelerator cudla-hybrid needs a DLA loadable, and none was given");
  }
  if (options.timeout_ms < 1) {
    throw Error("DLA timeout of " + std::to_string(options.timeout_ms) +
                " ms: expected at least 1");
  }
  const std::vector<std::uint8_t> loadable = read_loadable(options.loadable);
  try {
    return std::unique_ptr<CudlaHybrid>(new CudlaHybrid(options, manifest, loadable));
  } catch (const Error& error) {
    throw Error(options.loadable + ": " + error.what());
  }
}

CudlaHybrid::CudlaHybrid(const DlaOptions& options, const Manifest& manifest,
                         const std::vector<std::uint8_t>& loadable)
    : options_(options), session_(std::make_unique<Session>(options, loadable)) {
  std::vector<NetworkTensor> in, out;
  for (const auto& d : session_->module->inputs()) in.push_back(describe(d, false, manifest));
  for (const auto& d : session_->module->outputs()) out.push_back(describe(d, true, manifest));
  require_all(in, false, manifest, "loadable");
  require_all(out, true, manifest, "loadable");
  for (const NetworkTensor& tensor : in) {
    inputs_.push_back(session_->add_buffer(tensor, session_->task_inputs));
  }
  for (const NetworkTensor& tensor : out) {
    outputs_.push_back(session_->add_buffer(tensor, session_->task_outputs));
  }
}

CudlaHybrid::~CudlaHybrid() {
  try {
    close();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "unina: while releasing: %s\n", error.what());
  }
}

void CudlaHybrid::submit_and_wait(InputWriter* writer) {
  Session& session = *session_;
  // The current device belongs to the thread, and infer() may be called from any.
  session.cuda.require("cudaSetDevice", session.cuda.cudaSetDevice(kGpu));
  const auto submit = [&] {
    // On the same stream, so the DLA begins when the input is written.
    if (writer != nullptr) {
      writer->enqueue(session.stream->get(), session.buffers.front()->device());
    }
    cudlaTask task{};
    task.moduleHandle = session.module->get();
    task.outputTensor = session.task_outputs.data();
    task.numOutputTensors = static_cast<std::uint32_t>(session.task_outputs.size());
    task.numInputTensors = static_cast<std::uint32_t>(session.task_inputs.size());
    task.inputTensor = session.task_inputs.data();
    session.cudla.require(
        "cudlaSubmitTask",
        session.cudla.cudlaSubmitTask(session.device->get(), &task, 1, session.stream->get(), 0));
  };
  session.frame.run(submit, [&] {
    session.cuda.require("cudaStreamSynchronize",
                         session.cuda.cudaStreamSynchronize(session.stream->get()));
  });
  // Errors of the hardware come after the fact.
  session.cudla.require("cudlaGetLastError",
                        session.cudla.cudlaGetLastError(session.device->get()));
}

void CudlaHybrid::infer() {
  try {
    submit_and_wait(nullptr);
  } catch (const Error& error) {
    throw Error(options_.loadable + ": " + error.what());
  }
}

void CudlaHybrid::infer_on(InputWriter& writer) {
  try {
    submit_and_wait(&writer);
  } catch (const Error& error) {
    throw Error(options_.loadable + ": " + error.what());
  }
}

void CudlaHybrid::close() {
  if (session_) end_session(std::move(session_), options_.loadable);
}

}  // namespace unina
