#include "cudla/cudla_standalone.h"

#include <cstdio>
#include <utility>

#include "cuda/frame_in_flight.h"
#include "cudla/loaded_network.h"
#include "cudla/sci_buffer.h"
#include "cudla/sci_sync.h"
#include "cudla/standalone_build.h"
#include "in_file.h"

namespace unina {

// What the vendor's libraries hold for us, in the order of creation: destruction is the reverse.
struct CudlaStandalone::Session {
  Session(const DlaOptions& options, const Manifest& manifest,
          const std::vector<std::uint8_t>& loadable)
      : cudla(CudlaLibrary::get()),
        sci(NvSciLibrary::get()),
        frame("DLA core " + std::to_string(options.core), options.timeout_ms,
              [this, timeout_ms = options.timeout_ms] { return wait(timeout_ms); }),
        buf_module(open_sci("NvSciBufModuleOpen", sci.NvSciBufModuleOpen, sci.NvSciBufModuleClose)),
        sync_module(
            open_sci("NvSciSyncModuleOpen", sci.NvSciSyncModuleOpen, sci.NvSciSyncModuleClose)),
        wait_context(open_sci(
            "NvSciSyncCpuWaitContextAlloc",
            [this](NvSciSyncCpuWaitContext* context) {
              return sci.NvSciSyncCpuWaitContextAlloc(sync_module.get(), context);
            },
            sci.NvSciSyncCpuWaitContextFree)) {
    network = std::make_unique<LoadedNetwork>(cudla, options.core, CUDLA_STANDALONE, loadable,
                                              manifest, failures);
    for (const NetworkTensor& tensor : network->inputs()) {
      network->add_input(add(inputs, tensor).registered());
    }
    for (const NetworkTensor& tensor : network->outputs()) {
      network->add_output(add(outputs, tensor).registered());
    }
    const auto sync = [&](DlaRole role) {
      return std::make_unique<SciSync>(sci, sync_module.get(), cudla, network->device(), role,
                                       options.deterministic_semaphores, failures);
    };
    ready = sync(DlaRole::kWaits);
    done = sync(DlaRole::kSignals);
  }

  using Buffers = std::vector<std::unique_ptr<SciBuffer>>;
  const SciBuffer& add(Buffers& buffers, const NetworkTensor& tensor) {
    buffers.push_back(std::make_unique<SciBuffer>(sci, buf_module.get(), cudla, network->device(),
                                                  tensor.format.bytes, failures));
    return *buffers.back();
  }

  void submit() {
    for (const auto& input : inputs) input->flush();
    ready->next_fence();
    done->next_fence();
    const CudlaFence begin = {ready->fence(), CUDLA_NVSCISYNC_FENCE};
    const cudlaWaitEvents wait_events = {&begin, 1};
    CudlaFence end = {done->fence(), CUDLA_NVSCISYNC_FENCE};
    std::uint64_t* const signalled[] = {done->registered()};
    cudlaSignalEvents signal_events = {signalled, &end, 1};
    network->submit(nullptr, &wait_events, &signal_events);
    submitted = true;
    ready->signal();
  }

  bool wait(int timeout_ms) {
    if (!submitted) return true;
    // It failed before, and the core may still wait for it. If not, the next task begins before its
    // signal comes, and finds its inputs complete all the same: submit() flushed them first.
    if (ready->armed()) ready->signal();
    if (!done->wait(wait_context.get(), timeout_ms)) return false;
    submitted = false;
    return true;
  }

  void release() {
    done.reset();
    ready.reset();
    outputs.clear();
    inputs.clear();
    network.reset();
    wait_context.reset();
    sync_module.reset();
    buf_module.reset();
  }

  const CudlaLibrary& cudla;
  const NvSciLibrary& sci;
  FrameInFlight frame;
  ReleaseFailures failures;
  SciOwner<NvSciBufModule> buf_module;
  SciOwner<NvSciSyncModule> sync_module;
  SciOwner<NvSciSyncCpuWaitContext> wait_context;
  std::unique_ptr<LoadedNetwork> network;
  Buffers inputs, outputs;
  std::unique_ptr<SciSync> ready;  // the CPU's "inputs are complete"
  std::unique_ptr<SciSync> done;   // the core's "outputs are complete"
  bool submitted = false;          // and not known to have ended
};

std::unique_ptr<CudlaStandalone> CudlaStandalone::load(const DlaOptions& options,
                                                       const Manifest& manifest) {
  const std::vector<std::uint8_t> loadable = read_loadable("cudla-standalone", options);
  return in_file(options.loadable, [&] {
    return std::unique_ptr<CudlaStandalone>(new CudlaStandalone(options, manifest, loadable));
  });
}

CudlaStandalone::CudlaStandalone(const DlaOptions& options, const Manifest& manifest,
                                 const std::vector<std::uint8_t>& loadable)
    : options_(options), session_(std::make_unique<Session>(options, manifest, loadable)) {
  const auto views = [](const std::vector<NetworkTensor>& tensors,
                        const Session::Buffers& buffers) {
    std::vector<TensorView> made;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      made.push_back({tensors[i].name, tensors[i].format, buffers[i]->host()});
    }
    return made;
  };
  inputs_ = views(session_->network->inputs(), session_->inputs);
  outputs_ = views(session_->network->outputs(), session_->outputs);
}

CudlaStandalone::~CudlaStandalone() {
  try {
    close();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "unina: while releasing: %s\n", error.what());
  }
}

void CudlaStandalone::infer() {
  Session& session = *session_;
  in_file(options_.loadable, [&] {
    session.frame.run([&] { session.submit(); },
                      [&] {
                        for (const auto& output : session.outputs) output->flush();
                      });
    session.network->require_no_error();
  });
}

void CudlaStandalone::close() {
  if (session_) end_session(std::move(session_), options_.loadable);
}

const bool kHasCudlaStandalone = true;

std::unique_ptr<Accelerator> load_cudla_standalone(const DlaOptions& options,
                                                   const Manifest& manifest) {
  return CudlaStandalone::load(options, manifest);
}

}  // namespace unina
