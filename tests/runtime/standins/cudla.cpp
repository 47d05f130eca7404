// A stand-in of libcudla: runs a host.loadable behind cuDLA's C interface and is stricter than the
// real one about handles and lifetimes. For tests only; its speed means nothing.
#include "cudla/cudla_abi.h"

#include <mutex>
#include <optional>
#include <vector>

#include "cudla_state.h"
#include "nvsci.h"
#include "state.h"

namespace standin {
namespace {

constexpr std::uint64_t kCores = 2;  // as AGX Orin

// False when it is not there any more.
bool let_go(cudlaDevHandle_t::Kind kind, const void* what) {
  switch (kind) {
    case cudlaDevHandle_t::Kind::kCudaMemory:
      return host_address(what, 1) != nullptr;
    case cudlaDevHandle_t::Kind::kSciBuffer:
      return sci_buffer_imported(what, -1);
    case cudlaDevHandle_t::Kind::kSciSync:
      return sci_sync_imported(what, -1);
  }
  return false;
}

// With a `lie` the counts are that number, and the descriptors wrong in the way that it numbers.
cudlaStatus get_attributes(cudlaModule module, cudlaModuleAttributeType type,
                           cudlaModuleAttribute* attribute, std::optional<std::int64_t> lie) {
  const std::lock_guard<std::mutex> lock(cudla().mutex);
  if (cudla().modules.count(module) == 0) return cudlaErrorInvalidModule;
  if (attribute == nullptr) return cudlaErrorInvalidParam;
  const Engine& engine = *module->engine;
  const auto count = [&](std::size_t tensors) {
    return static_cast<uint32_t>(lie.value_or(static_cast<std::int64_t>(tensors)));
  };
  const auto fill = [&](const std::vector<unina::TensorView>& views,
                        const std::vector<unina::TensorFormat>& formats,
                        cudlaModuleTensorDescriptor* out) {
    for (std::size_t i = 0; i < views.size(); ++i) {
      out[i] = descriptor(views[i], formats[i]);
      if (lie) corrupt(out[i], *lie);
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

}  // namespace

Cudla& cudla() {
  static auto* const made = new Cudla;
  return *made;
}

cudlaStatus add_mapping(cudlaDevHandle device, cudlaDevHandle_t::Mapping mapping,
                        std::uint64_t** registered) {
  if (!device->registered.insert(mapping.what).second) return cudlaErrorMemoryRegistered;
  *registered = new uint64_t{0};  // an address of its own, that nobody may read through
  device->mappings[*registered] = mapping;
  live("registration", +1);
  return cudlaSuccess;
}

}  // namespace standin

using standin::cudla;
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
        if (core >= standin::kCores || device == nullptr || flags > CUDLA_STANDALONE) {
          return cudlaErrorInvalidParam;
        }
        const std::lock_guard<std::mutex> lock(cudla().mutex);
        *device = new cudlaDevHandle_t;
        if (flags == CUDLA_STANDALONE) (*device)->core = std::make_unique<standin::Worker>();
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
  return run<cudlaStatus>(
      "cudlaModuleGetAttributes", cudlaErrorUmd,
      [&] { return standin::get_attributes(module, type, attribute, std::nullopt); },
      [&](std::int64_t way) { standin::get_attributes(module, type, attribute, way); });
}

cudlaStatus cudlaMemRegister(cudlaDevHandle device, const uint64_t* pointer, std::size_t bytes,
                             uint64_t** registered, uint32_t flags) {
  return run<cudlaStatus>(
      "cudlaMemRegister", cudlaErrorUmd,
      [&] {
        const std::lock_guard<std::mutex> lock(cudla().mutex);
        if (!standin::is_device(device)) return cudlaErrorInvalidDevice;
        if (registered == nullptr || flags != 0) return cudlaErrorInvalidParam;
        if (device->core) return cudlaErrorUnsupportedOperation;
        if (standin::host_address(pointer, bytes) == nullptr) return cudlaErrorInvalidAddress;
        if (reinterpret_cast<std::uintptr_t>(pointer) % 32 != 0) {
          standin::violation("cudlaMemRegister of an address that is not a multiple of 32");
        }
        return standin::add_mapping(device, {cudlaDevHandle_t::Kind::kCudaMemory, pointer},
                                    registered);
      },
      [&](std::int64_t) { *registered = nullptr; });
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
    const auto [kind, what] = mapping->second;
    if (!standin::let_go(kind, what)) {
      standin::violation("cudlaMemUnregister after what it named was freed");
    }
    device->registered.erase(what);
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
    if (device->tasks->load() != 0) standin::violation("cudlaDestroyDevice under a running task");
    *device->stopping = true;  // a task that waits for a signal would never end
    cudla().devices.erase(device);
    delete device;
    standin::live("device", -1);
    return cudlaSuccess;
  });
}

}  // extern "C"
