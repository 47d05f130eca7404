// The handles of the stand-in of libcudla.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "cudla/cudla_abi.h"
#include "loadable.h"
#include "worker.h"

// NVIDIA's names for what its handles point to.
struct cudlaModule_t {
  cudlaDevHandle device = nullptr;
  std::shared_ptr<standin::Engine> engine;
};

struct cudlaDevHandle_t {
  enum class Kind { kCudaMemory, kSciBuffer, kSciSync };
  struct Mapping {
    Kind kind;
    const void* what;  // the device address, or NvSci's object
  };

  cudlaModule module = nullptr;
  std::set<const void*> registered;
  std::map<const std::uint64_t*, Mapping> mappings;  // by what tasks name
  std::shared_ptr<std::atomic<int>> tasks = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<int>> last_error = std::make_shared<std::atomic<int>>(0);
  // In standalone mode the core's own queue; in hybrid mode work is queued on streams.
  std::shared_ptr<std::atomic<bool>> stopping = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<standin::Worker> core;
};

namespace standin {

struct Cudla {
  std::mutex mutex;
  std::set<cudlaDevHandle> devices;
  std::set<cudlaModule> modules;
};

Cudla& cudla();
inline bool is_device(cudlaDevHandle device) { return cudla().devices.count(device) != 0; }

// Under the mutex: gives what tasks name, or says that it is registered already.
cudlaStatus add_mapping(cudlaDevHandle device, cudlaDevHandle_t::Mapping mapping,
                        std::uint64_t** registered);

}  // namespace standin
