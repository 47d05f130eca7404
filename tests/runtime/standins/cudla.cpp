// A stand-in of libcudla, hybrid mode: runs a host.loadable behind cuDLA's C interface and is
// stricter than the real one about handles and lifetimes. For tests only; its speed means nothing.
#include "cudla/cudla_abi.h"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "cuda/cudart_abi.h"
#include "loadable.h"
#include "state.h"

namespace standin {
namespace {

constexpr std::uint64_t kCores = 2;  // as AGX Orin

}  // namespace
}  // namespace standin

// NVIDIA's names for what its handles point to.
struct cudlaModule_t {
  cudlaDevHandle device = nullptr;
  std::shared_ptr<standin::Engine> engine;
};

struct cudlaDevHandle_t {
  cudlaModule module = nullptr;
  std::map<const void*, std::size_t> registered;    // device address -> bytes
  std::map<const uint64_t*, const void*> mappings;  // what tasks name -> device address
  std::shared_ptr<std::atomic<int>> tasks = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<int>> last_error = std::make_shared<std::atomic<int>>(0);
};

namespace standin {
namespace {

struct Cudla {
  std::mutex mutex;
  std::set<cudlaDevHandle> devices;
  std::set<cudlaModule> modules;
};

Cudla& cudla() {
  static auto* const made = new Cudla;
  return *made;
}

bool is_device(cudlaDevHandle device) { return cudla().devices.count(device) != 0; }

}  // namespace
}  // namespace standin

using standin::cudla;
using standin::Fault;
using standin::run;

extern "C" {

cudlaStatus cudlaGetVersion(uint64_t* version) {
  return run<cudlaStatus>(
      "cudlaGetVersion", cudlaErrorDriverNotFound,
      [&] {
        *version = 1003000;
        return cudlaSuccess;
      },
      [&](std::int64_t value) { *version = static_cast<uint64_t>(value); });
}

cudlaStatus cudlaDeviceGetCount(uint64_t* devices) {
  return run<cudlaStatus>(
      "cudlaDeviceGetCount", cudlaErrorUmd,
      [&] {
        *devices = standin::kCores;
        return cudlaSuccess;
      },
      [&](std::int64_t value) { *devices = static_cast<uint64_t>(value); });
}

cudlaStatus cudlaCreateDevice(uint64_t core, cudlaDevHandle* device, uint32_t flags) {
  return run<cudlaStatus>(
      "cudlaCreateDevice", cudlaErrorCreationFailed,
      [&] {
        if (core >= standin::kCores || device == nullptr || flags != CUDLA_CUDA_DLA) {
          return cudlaErrorInvalidParam;
        }
        const std::lock_guard<std::mutex> lock(cudla().mutex);
        *device = new cudlaDevHandle_t;
        cudla().devices.insert(*device);
        standin::live("device", +1);
        return cudlaSuccess;
      },
      [&](std::int64_t) { *device = nullptr; });
}

cudlaStatus cudlaModuleLoadFromMemory(cudlaDevHandle device, const uint8_t* loadable,
                                      std::size_t bytes, cudlaModule* module, uint32_t flags) {
  return run<cudlaStatus>(
      "cudlaModuleLoadFromMemory", cudlaErrorUmd,
      [&] {
        const std::lock_guard<std::mutex> lock(cudla().mutex);
        if (!standin::is_device(device)) return cudlaErrorInvalidDevice;
        if (loadable == nullptr || module == nullptr || flags != 0) return cudlaErrorInvalidParam;
        if (device->module != nullptr) return cudlaErrorOutOfResources;
        auto engine = standin::load_engine(loadable, bytes);
        if (!engine) return cudlaErrorUmd;
        *module = device->module = new cudlaModule_t{device, std::move(engine)};
        cudla().modules.insert(*module);
        standin::live("module", +1);
        return cudlaSuccess;
      },
      [&](std::int64_t) { *module = nullptr; });
}

cudlaStatus cudlaModuleGetAttributes(cudlaModule module, cudlaModuleAttributeType type,
                                     cudlaModuleAttribute* attribute) {
  const auto fault = standin::called("cudlaModuleGetAttributes");
  if (fault && fault->kind == Fault::Kind::kFail) {
    return static_cast<cudlaStatus>(fault->value_or(cudlaErrorUmd));
  }
  if (fault) fault->wait();
  const std::lock_guard<std::mutex> lock(cudla().mutex);
  if (cudla().modules.count(module) == 0) return cudlaErrorInvalidModule;
  if (attribute == nullptr) return cudlaErrorInvalidParam;
  const standin::Engine& engine = *module->engine;
  const bool corrupt = fault && fault->kind == Fault::Kind::kCorrupt;
  const auto count = [&](std::size_t tensors) {
    return corrupt ? static_cast<uint32_t>(fault->value) : static_cast<uint32_t>(tensors);
  };
  const auto fill = [&](const std::vector<unina::TensorView>& views,
                        const std::vector<unina::TensorFormat>& formats,
                        cudlaModuleTensorDescriptor* out) {
    for (std::size_t i = 0; i < views.size(); ++i) {
      out[i] = standin::descriptor(views[i], formats[i]);
      if (corrupt) standin::corrupt(out[i], fault->value);
    }
  };
  switch (static_cast<int>(type)) {
    case CUDLA_NUM_INPUT_TENSORS:
      attribute->numInputTensors = count(engine.inputs.size());
      return cudlaSuccess;
    case CUDLA_NUM_OUTPUT_TENSORS:
      attribute->numOutputTensors = count(engine.outputs.size());
      return cudlaSuccess;
    case CUDLA_INPUT_TENSOR_DESCRIPTORS:
      fill(engine.host->inputs(), engine.inputs, attribute->inputTensorDesc);
      return cudlaSuccess;
    case CUDLA_OUTPUT_TENSOR_DESCRIPTORS:
      fill(engine.host->outputs(), engine.outputs, attribute->outputTensorDesc);
      return cudlaSuccess;
  }
  return cudlaErrorInvalidAttribute;
}

cudlaStatus cudlaMemRegister(cudlaDevHandle device, const uint64_t* pointer, std::size_t bytes,
                             uint64_t** registered, uint32_t flags) {
  return run<cudlaStatus>(
      "cudlaMemRegister", cudlaErrorUmd,
      [&] {
        const std::lock_guard<std::mutex> lock(cudla().mutex);
        if (!standin::is_device(device)) return cudlaErrorInvalidDevice;
        if (registered == nullptr || flags != 0) return cudlaErrorInvalidParam;
        if (standin::host_address(pointer, bytes) == nullptr) return cudlaErrorInvalidAddress;
        if (reinterpret_cast<std::uintptr_t>(pointer) % 32 != 0) {
          standin::violation("cudlaMemRegister of an address that is not a multiple of 32");
        }
        if (!device->registered.emplace(pointer, bytes).second) return cudlaErrorMemoryRegistered;
        *registered = new uint64_t{0};  // an address of its own, that nobody may read through
        device->mappings[*registered] = pointer;
        standin::live("registration", +1);
        return cudlaSuccess;
      },
      [&](std::int64_t) { *registered = nullptr; });
}

cudlaStatus cudlaSubmitTask(cudlaDevHandle device, const cudlaTask* task, uint32_t count,
                            void* stream, uint32_t flags) {
  const auto fault = standin::called("cudlaSubmitTask");
  if (fault && fault->kind == Fault::Kind::kFail) {
    return static_cast<cudlaStatus>(fault->value_or(cudlaErrorUmd));
  }
  const std::lock_guard<std::mutex> lock(cudla().mutex);
  if (!standin::is_device(device)) return cudlaErrorInvalidDevice;
  if (task == nullptr || count != 1 || flags != 0) return cudlaErrorInvalidParam;
  if (cudla().modules.count(task->moduleHandle) == 0 || device->module != task->moduleHandle) {
    return cudlaErrorInvalidModule;
  }
  if (task->waitEvents != nullptr || task->signalEvents != nullptr) {
    return cudlaErrorUnsupportedOperation;
  }
  const std::shared_ptr<standin::Engine> engine = task->moduleHandle->engine;
  if (task->numInputTensors != engine->inputs.size() ||
      task->numOutputTensors != engine->outputs.size()) {
    return cudlaErrorInvalidParam;
  }
  std::vector<std::byte*> in, out;
  const auto resolve = [&](const uint64_t* name, const unina::TensorFormat& format,
                           std::vector<std::byte*>& hosts) {
    const auto mapping = device->mappings.find(name);
    if (mapping == device->mappings.end()) return false;
    hosts.push_back(static_cast<std::byte*>(standin::host_address(mapping->second, format.bytes)));
    return hosts.back() != nullptr;
  };
  for (std::size_t i = 0; i < engine->inputs.size(); ++i) {
    if (!resolve(task->inputTensor[i], engine->inputs[i], in)) return cudlaErrorInvalidAddress;
  }
  for (std::size_t i = 0; i < engine->outputs.size(); ++i) {
    if (!resolve(task->outputTensor[i], engine->outputs[i], out)) return cudlaErrorInvalidAddress;
  }
  if (device->tasks->load() != 0) standin::violation("two tasks at a time on one set of buffers");
  ++*device->tasks;
  const bool queued = standin::enqueue(
      stream, [engine, in, out, fault, tasks = device->tasks, last_error = device->last_error] {
        if (fault) fault->wait();
        engine->run(in, out);
        if (fault && fault->kind == Fault::Kind::kCorrupt) {
          for (std::byte* output : out) output[0] ^= std::byte{0xff};
        }
        *last_error = fault && fault->kind == Fault::Kind::kLate
                          ? static_cast<int>(fault->value_or(cudlaErrorDlaErrDataMismatch))
                          : 0;
        --*tasks;
      });
  if (queued) return cudlaSuccess;
  --*device->tasks;
  return cudlaErrorCuda;
}

cudlaStatus cudlaGetLastError(cudlaDevHandle device) {
  return run<cudlaStatus>("cudlaGetLastError", cudlaErrorUnknown, [&] {
    const std::lock_guard<std::mutex> lock(cudla().mutex);
    if (!standin::is_device(device)) return cudlaErrorInvalidDevice;
    return static_cast<cudlaStatus>(device->last_error->load());
  });
}

cudlaStatus cudlaMemUnregister(cudlaDevHandle device, const uint64_t* registered) {
  return run<cudlaStatus>("cudlaMemUnregister", cudlaErrorUmd, [&] {
    const std::lock_guard<std::mutex> lock(cudla().mutex);
    if (!standin::is_device(device)) return cudlaErrorInvalidDevice;
    const auto mapping = device->mappings.find(registered);
    if (mapping == device->mappings.end()) return cudlaErrorInvalidAddress;
    if (device->tasks->load() != 0) standin::violation("cudlaMemUnregister under a running task");
    if (device->module == nullptr) standin::violation("cudlaMemUnregister after the unload");
    if (standin::host_address(mapping->second, 1) == nullptr) {
      standin::violation("cudlaMemUnregister after the memory was freed");
    }
    device->registered.erase(mapping->second);
    device->mappings.erase(mapping);
    delete registered;
    standin::live("registration", -1);
    return cudlaSuccess;
  });
}

cudlaStatus cudlaModuleUnload(cudlaModule module, uint32_t flags) {
  return run<cudlaStatus>("cudlaModuleUnload", cudlaErrorUmd, [&] {
    const std::lock_guard<std::mutex> lock(cudla().mutex);
    if (flags != 0) return cudlaErrorInvalidParam;
    if (cudla().modules.erase(module) == 0) {
      standin::violation("cudlaModuleUnload of what is no module");
      return cudlaErrorInvalidModule;
    }
    if (!standin::is_device(module->device)) {
      standin::violation("cudlaModuleUnload after cudlaDestroyDevice");
    } else {
      if (module->device->tasks->load() != 0) {
        standin::violation("cudlaModuleUnload under a running task");
      }
      module->device->module = nullptr;
    }
    delete module;
    standin::live("module", -1);
    return cudlaSuccess;
  });
}

cudlaStatus cudlaDestroyDevice(cudlaDevHandle device) {
  return run<cudlaStatus>("cudlaDestroyDevice", cudlaErrorUmd, [&] {
    const std::lock_guard<std::mutex> lock(cudla().mutex);
    if (!standin::is_device(device)) {
      standin::violation("cudlaDestroyDevice of what is no device");
      return cudlaErrorInvalidDevice;
    }
    // The real one leaves this open; here it is refused, so that a forgotten release is seen.
    if (device->module != nullptr || !device->mappings.empty()) return cudlaErrorUmd;
    cudla().devices.erase(device);
    delete device;
    standin::live("device", -1);
    return cudlaSuccess;
  });
}

}  // extern "C"
