// A DLA core by cuDLA in standalone mode, without a GPU: NvSciBuf's memory, and NvSciSync's fences
// between CPU and core (cuDLA's programming guide, "standalone mode").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "unina/accelerator.h"
#include "unina/dla_options.h"
#include "unina/manifest.h"

namespace unina {

class CudlaStandalone final : public Accelerator {
 public:
  // create, load, attributes, import. Throws Error naming the loadable and the vendor's call; what
  // had been made is released again, in reverse order.
  static std::unique_ptr<CudlaStandalone> load(const DlaOptions& options, const Manifest& manifest);
  // close(), with failures written to stderr.
  ~CudlaStandalone() override;

  std::string name() const override { return "cudla-standalone"; }
  const std::vector<TensorView>& inputs() const override { return inputs_; }
  const std::vector<TensorView>& outputs() const override { return outputs_; }

  // submit, signal, wait. Throws Error. After a timeout every call throws: the DLA may still write
  // into the buffers, and only a new process gets a core that is known to be idle.
  void infer() override;

  // unregister, unload, destroy. Throws Error naming the calls that failed, after all were made.
  // Once; after it only the destructor may be called.
  void close();

 private:
  struct Session;
  CudlaStandalone(const DlaOptions& options, const Manifest& manifest,
                  const std::vector<std::uint8_t>& loadable);

  DlaOptions options_;
  std::unique_ptr<Session> session_;
  std::vector<TensorView> inputs_, outputs_;
};

}  // namespace unina
