// The integer engine, with FP16 where a layer is promoted: plays on a PC, or an ARM board without a
// DLA, the role that the DLA loadable plays on Orin. docs/integer-semantics.md defines every number
// it produces.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "unina/accelerator.h"

namespace unina {

enum class Rounding { kHalfAway, kHalfEven };

// In what the engine computes between the int32 accumulator and the rounding to int8.
enum class Pointwise {
  kFp32,  // one float32 multiplication: the definition that bundles are made and judged with
  kFp19,  // FP19 (1 + 8 + 10 bits) at every step: emulates what is known of the DLA
};

struct Arithmetic {
  Rounding rounding = Rounding::kHalfAway;
  Pointwise pointwise = Pointwise::kFp32;
};

struct HostEngineOptions {
  int threads = 1;                   // 1 = the caller's thread only
  std::optional<Rounding> rounding;  // overrides the loadable's
  Pointwise pointwise = Pointwise::kFp32;
};

class HostEngine final : public Accelerator {
 public:
  // Reads a host.loadable (docs/bundle.md). Throws Error naming `path` and what is wrong.
  static std::unique_ptr<HostEngine> load(const std::string& path,
                                          const HostEngineOptions& options = {});
  // The same from memory; `name` stands in messages.
  static std::unique_ptr<HostEngine> parse(const std::vector<std::uint8_t>& bytes,
                                           const std::string& name,
                                           const HostEngineOptions& options = {});
  ~HostEngine() override;

  std::string name() const override { return "host"; }
  // int8; HWC4 where a tensor has at most four channels and feeds convolutions only, else CHW32.
  const std::vector<TensorView>& inputs() const override;
  // int8 CHW32, or float16 CHW16.
  const std::vector<TensorView>& outputs() const override;
  void infer() override;

 private:
  struct Graph;
  explicit HostEngine(std::unique_ptr<Graph> graph);
  std::unique_ptr<Graph> graph_;
};

}  // namespace unina
