#include "cudla/cudla_hybrid.h"

#include <cstdio>
#include <utility>

#include "cuda/cuda_stream.h"
#include "cuda/frame_in_flight.h"
#include "cuda/frame_wait.h"
#include "cudla/loaded_network.h"
#include "cudla/registered_buffer.h"
#include "in_file.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr int kGpu = 0;  // a Jetson has one

}  // namespace

// What the vendor's libraries hold for us, in the order of creation: destruction is the reverse.
struct CudlaHybrid::Session {
  Session(const DlaOptions& options, const Manifest& manifest,
          const std::vector<std::uint8_t>& loadable)
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
    network = std::make_unique<LoadedNetwork>(cudla, options.core, CUDLA_CUDA_DLA, loadable,
                                              manifest, failures);
  }

  RegisteredBuffer& add_buffer(const NetworkTensor& tensor) {
    buffers.push_back(std::make_unique<RegisteredBuffer>(cuda, cudla, network->device(),
                                                         tensor.format.bytes, failures));
    return *buffers.back();
  }

  void release() {
    buffers.clear();
    network.reset();
    stream.reset();
  }

  const CudaRuntime& cuda;
  const CudlaLibrary& cudla;
  FrameInFlight frame;
  ReleaseFailures failures;
  std::unique_ptr<CudaStream> stream;
  std::unique_ptr<LoadedNetwork> network;
  std::vector<std::unique_ptr<RegisteredBuffer>> buffers;
};

std::string CudlaHybrid::why_unavailable(int core) {
  try {
    CudaRuntime::get();
  } catch (const Error& error) {
    return error.what();
  }
  return why_no_dla(core);
}

std::unique_ptr<CudlaHybrid> CudlaHybrid::load(const DlaOptions& options,
                                               const Manifest& manifest) {
  const std::vector<std::uint8_t> loadable = read_loadable("cudla-hybrid", options);
  return in_file(options.loadable, [&] {
    return std::unique_ptr<CudlaHybrid>(new CudlaHybrid(options, manifest, loadable));
  });
}

CudlaHybrid::CudlaHybrid(const DlaOptions& options, const Manifest& manifest,
                         const std::vector<std::uint8_t>& loadable)
    : options_(options), session_(std::make_unique<Session>(options, manifest, loadable)) {
  LoadedNetwork& network = *session_->network;
  for (const NetworkTensor& tensor : network.inputs()) {
    const RegisteredBuffer& buffer = session_->add_buffer(tensor);
    network.add_input(buffer.registered());
    inputs_.push_back({tensor.name, tensor.format, buffer.host()});
  }
  for (const NetworkTensor& tensor : network.outputs()) {
    const RegisteredBuffer& buffer = session_->add_buffer(tensor);
    network.add_output(buffer.registered());
    outputs_.push_back({tensor.name, tensor.format, buffer.host()});
  }
}

CudlaHybrid::~CudlaHybrid() {
  try {
    close();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "unina: while releasing: %s\n", error.what());
  }
}

void CudlaHybrid::run(InputWriter* writer) {
  Session& session = *session_;
  in_file(options_.loadable, [&] {
    // The current device belongs to the thread, and infer() may be called from any.
    session.cuda.require("cudaSetDevice", session.cuda.cudaSetDevice(kGpu));
    const auto submit = [&] {
      // On the same stream, so the DLA begins when the input is written.
      if (writer != nullptr) {
        writer->enqueue(session.stream->get(), session.buffers.front()->device());
      }
      session.network->submit(session.stream->get(), nullptr, nullptr);
    };
    session.frame.run(submit, [&] {
      session.cuda.require("cudaStreamSynchronize",
                           session.cuda.cudaStreamSynchronize(session.stream->get()));
    });
    session.network->require_no_error();
  });
}

void CudlaHybrid::infer() { run(nullptr); }

void CudlaHybrid::infer_on(InputWriter& writer) { run(&writer); }

void CudlaHybrid::close() {
  if (session_) end_session(std::move(session_), options_.loadable);
}

}  // namespace unina
