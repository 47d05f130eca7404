// The stand-in of libcudla: tasks, on a stream in hybrid mode, on the core's own queue in
// standalone mode, there between the events that they wait for and signal.
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "cudla_state.h"
#include "nvsci.h"
#include "state.h"

namespace standin {
namespace {

using Kind = cudlaDevHandle_t::Kind;
using Wait = std::function<void(const std::atomic<bool>&)>;

constexpr std::size_t kMostFences = 29;  // of each kind

struct Task {
  std::shared_ptr<Engine> engine;
  std::vector<std::byte*> in, out;
  std::vector<Wait> waits;
  std::vector<std::function<void()>> signals;
};

std::byte* memory_of(cudlaDevHandle device, const uint64_t* name, std::size_t bytes) {
  const auto found = device->mappings.find(name);
  if (found == device->mappings.end()) return nullptr;
  const auto [kind, what] = found->second;
  if (kind == Kind::kSciBuffer) return sci_device_memory(what, bytes);
  return kind == Kind::kCudaMemory ? static_cast<std::byte*>(host_address(what, bytes)) : nullptr;
}

// False when one of them is not such a signal; those before it are promised all the same.
bool add_signals(cudlaDevHandle device, const cudlaSignalEvents& events, Task& task) {
  if (events.numEvents > kMostFences || events.devPtrs == nullptr || events.eofFences == nullptr) {
    return false;
  }
  for (uint32_t i = 0; i < events.numEvents; ++i) {
    const auto found = device->mappings.find(events.devPtrs[i]);
    if (found == device->mappings.end() || found->second.kind != Kind::kSciSync ||
        events.eofFences[i].type != CUDLA_NVSCISYNC_FENCE) {
      return false;
    }
    auto signal = sci_signaller(found->second.what, events.eofFences[i].fence);
    if (!signal) return false;
    task.signals.push_back(std::move(signal));
  }
  return true;
}

bool add_waits(const cudlaWaitEvents& events, Task& task) {
  if (events.numEvents > kMostFences || events.preFences == nullptr) return false;
  for (uint32_t i = 0; i < events.numEvents; ++i) {
    const CudlaFence& fence = events.preFences[i];
    if (fence.fence == nullptr || fence.type != CUDLA_NVSCISYNC_FENCE) return false;
    auto wait = sci_waiter(fence.fence);
    if (!wait) return false;
    task.waits.push_back(std::move(wait));
  }
  return true;
}

cudlaStatus read(cudlaDevHandle device, const cudlaTask& given, void* stream, Task& task) {
  if (cudla().modules.count(given.moduleHandle) == 0 || device->module != given.moduleHandle) {
    return cudlaErrorInvalidModule;
  }
  task.engine = given.moduleHandle->engine;
  if (given.numInputTensors != task.engine->inputs.size() ||
      given.numOutputTensors != task.engine->outputs.size()) {
    return cudlaErrorInvalidParam;
  }
  for (std::size_t i = 0; i < task.engine->inputs.size(); ++i) {
    task.in.push_back(memory_of(device, given.inputTensor[i], task.engine->inputs[i].bytes));
    if (task.in.back() == nullptr) return cudlaErrorInvalidAddress;
  }
  for (std::size_t i = 0; i < task.engine->outputs.size(); ++i) {
    task.out.push_back(memory_of(device, given.outputTensor[i], task.engine->outputs[i].bytes));
    if (task.out.back() == nullptr) return cudlaErrorInvalidAddress;
  }
  if (!device->core) {
    const bool events = given.waitEvents != nullptr || given.signalEvents != nullptr;
    return events ? cudlaErrorUnsupportedOperation : cudlaSuccess;
  }
  if (stream != nullptr) return cudlaErrorInvalidParam;
  if (given.waitEvents != nullptr && !add_waits(*given.waitEvents, task)) {
    return cudlaErrorInvalidParam;
  }
  if (given.signalEvents != nullptr && !add_signals(device, *given.signalEvents, task)) {
    return cudlaErrorInvalidParam;
  }
  return cudlaSuccess;
}

}  // namespace
}  // namespace standin

using standin::cudla;
using standin::Fault;

extern "C" {

cudlaStatus cudlaSubmitTask(cudlaDevHandle device, const cudlaTask* given, uint32_t count,
                            void* stream, uint32_t flags) {
  const auto fault = standin::called("cudlaSubmitTask");
  if (fault && fault->kind == Fault::Kind::kFail) {
    return static_cast<cudlaStatus>(fault->value_or(cudlaErrorUmd));
  }
  const std::lock_guard<std::mutex> lock(cudla().mutex);
  if (!standin::is_device(device)) return cudlaErrorInvalidDevice;
  if (given == nullptr || count != 1 || flags != 0) return cudlaErrorInvalidParam;
  standin::Task task;
  const cudlaStatus status = standin::read(device, *given, stream, task);
  if (status != cudlaSuccess) return status;
  if (device->tasks->load() != 0) standin::violation("two tasks at a time on one set of buffers");
  ++*device->tasks;
  auto work = [task, fault, tasks = device->tasks, last_error = device->last_error,
               stopping = device->stopping] {
    for (const standin::Wait& wait : task.waits) wait(*stopping);
    if (*stopping) return;
    if (fault) fault->wait();
    task.engine->run(task.in, task.out);
    if (fault && fault->kind == Fault::Kind::kCorrupt) {
      for (std::byte* output : task.out) output[0] ^= std::byte{0xff};
    }
    *last_error = fault && fault->kind == Fault::Kind::kLate
                      ? static_cast<int>(fault->value_or(cudlaErrorDlaErrDataMismatch))
                      : 0;
    --*tasks;
    for (const std::function<void()>& signal : task.signals) signal();
  };
  if (device->core) {
    device->core->push(std::move(work));
    return cudlaSuccess;
  }
  if (standin::enqueue(stream, std::move(work))) return cudlaSuccess;
  --*device->tasks;
  return cudlaErrorCuda;
}

}  // extern "C"
