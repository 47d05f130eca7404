#include "cudla/loaded_network.h"

#include "cudla/loadable_kind.h"
#include "cudla/tensor_descriptor.h"
#include "dla_core.h"
#include "unina/error.h"
#include "whole_file.h"

namespace unina {
namespace {

constexpr std::uint64_t kMostLoadableBytes = std::uint64_t{1} << 30;

}  // namespace

std::vector<std::uint8_t> read_loadable(const std::string& accelerator, const DlaOptions& options) {
  if (options.loadable.empty()) {
    throw Error("accelerator " + accelerator + " needs a DLA loadable, and none was given");
  }
  if (options.timeout_ms < 1) {
    throw Error("DLA timeout of " + std::to_string(options.timeout_ms) +
                " ms: expected at least 1");
  }
  std::vector<std::uint8_t> bytes = read_whole_file(options.loadable, kMostLoadableBytes);
  const std::string why = why_no_loadable(bytes);
  if (!why.empty()) throw Error(options.loadable + ": " + why);
  return bytes;
}

std::string why_no_dla(int core) {
  try {
    const CudlaLibrary& cudla = CudlaLibrary::get();
    std::uint64_t version = 0, cores = 0;
    cudla.require("cudlaGetVersion", cudla.cudlaGetVersion(&version));
    cudla.require("cudlaDeviceGetCount", cudla.cudlaDeviceGetCount(&cores));
    return why_no_core(core, cores);
  } catch (const Error& error) {
    return error.what();
  }
}

LoadedNetwork::LoadedNetwork(const CudlaLibrary& cudla, int core, std::uint32_t mode,
                             const std::vector<std::uint8_t>& loadable, const Manifest& manifest,
                             ReleaseFailures& failures)
    : cudla_(cudla),
      device_(cudla, core, mode, failures),
      module_(cudla, device_, loadable, failures) {
  for (const auto& d : module_.inputs()) inputs_.push_back(describe(d, false, manifest));
  for (const auto& d : module_.outputs()) outputs_.push_back(describe(d, true, manifest));
  require_all(inputs_, false, manifest, "loadable");
  require_all(outputs_, true, manifest, "loadable");
}

void LoadedNetwork::submit(void* stream, const cudlaWaitEvents* wait,
                           cudlaSignalEvents* signal) const {
  cudlaTask task{};
  task.moduleHandle = module_.get();
  task.outputTensor = task_outputs_.data();
  task.numOutputTensors = static_cast<std::uint32_t>(task_outputs_.size());
  task.numInputTensors = static_cast<std::uint32_t>(task_inputs_.size());
  task.inputTensor = task_inputs_.data();
  task.waitEvents = wait;
  task.signalEvents = signal;
  cudla_.require("cudlaSubmitTask", cudla_.cudlaSubmitTask(device_.get(), &task, 1, stream, 0));
}

void LoadedNetwork::require_no_error() const {
  cudla_.require("cudlaGetLastError", cudla_.cudlaGetLastError(device_.get()));
}

}  // namespace unina
