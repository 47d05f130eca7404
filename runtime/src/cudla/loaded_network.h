// A loadable on a DLA core, in either mode: its file, its tensors, and the tasks that run it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cudla/cudla_module.h"
#include "network_tensors.h"
#include "unina/dla_options.h"

namespace unina {

// The loadable's bytes, after all checks that need no driver. Throws Error naming the file.
std::vector<std::uint8_t> read_loadable(const std::string& accelerator, const DlaOptions& options);

// "" when libcudla finds its driver and a core of that number, else what is missing.
std::string why_no_dla(int core);

// Creates the device and loads, unloads and destroys.
class LoadedNetwork {
 public:
  // `mode` is a cudlaMode. Throws Error naming the vendor's call or what contradicts the manifest.
  // `failures` outlives it.
  LoadedNetwork(const CudlaLibrary& cudla, int core, std::uint32_t mode,
                const std::vector<std::uint8_t>& loadable, const Manifest& manifest,
                ReleaseFailures& failures);

  const CudlaDevice& device() const { return device_; }
  // In the order in which a task names its buffers.
  const std::vector<NetworkTensor>& inputs() const { return inputs_; }
  const std::vector<NetworkTensor>& outputs() const { return outputs_; }

  // Registered buffers, one a tensor and in that order, before the first submit().
  void add_input(std::uint64_t* registered) { task_inputs_.push_back(registered); }
  void add_output(std::uint64_t* registered) { task_outputs_.push_back(registered); }

  // Puts one task behind those on the core, or on the stream in hybrid mode. Throws Error.
  void submit(void* stream, const cudlaWaitEvents* wait, cudlaSignalEvents* signal) const;
  // Errors of the hardware come after the fact. Throws Error.
  void require_no_error() const;

 private:
  const CudlaLibrary& cudla_;
  CudlaDevice device_;
  CudlaModule module_;
  std::vector<NetworkTensor> inputs_, outputs_;
  std::vector<std::uint64_t*> task_inputs_, task_outputs_;
};

}  // namespace unina
