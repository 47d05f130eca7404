// TensorRT's part of the seam, played by the host engine on the stand-in's streams: writes down
// what is asked of it in which order, and refuses what it is told to.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cudla_network.h"
#include "loadable.h"
#include "state.h"
#include "tensorrt/tensorrt_seam.h"
#include "unina/host_engine.h"

namespace unina::test {

// Outlives the objects, as the test does.
struct TrtPlan {
  std::vector<std::string> calls;
  std::string refuse;  // the call that does not do what it should
  int cores = 2;
  int after = 0;  // uses of it that still work
  std::vector<TrtTensor> tensors;
  int live = 0;
  int delay_ms = 0;

  bool refuses(const std::string& call) {
    calls.push_back(call);
    return call == refuse && after-- <= 0;
  }
  int count(const std::string& call) const {
    return static_cast<int>(std::count(calls.begin(), calls.end(), call));
  }
};

class Counted {
 public:
  Counted(TrtPlan& plan, std::string kind) : plan_(plan), kind_(std::move(kind)) { ++plan_.live; }
  ~Counted() {
    --plan_.live;
    plan_.calls.push_back("~" + kind_);
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  TrtPlan& plan_;
  std::string kind_;
};

class FakeContext final : public TrtContext {
 public:
  FakeContext(TrtPlan& plan, std::shared_ptr<standin::Engine> engine)
      : counted_(plan, "context"), plan_(plan), engine_(std::move(engine)) {}

  bool set_tensor_address(const std::string& tensor, void* device) override {
    if (plan_.refuses("setTensorAddress")) return false;
    addresses_.emplace_back(tensor, device);
    return true;
  }
  bool enqueue(cudaStream_t stream) override {
    if (plan_.refuses("enqueueV3")) return false;
    const auto hosts = [&](const std::vector<TensorView>& views,
                           const std::vector<TensorFormat>& formats) {
      std::vector<std::byte*> found;
      for (std::size_t i = 0; i < views.size(); ++i)
        for (const auto& [name, device] : addresses_)
          if (name == views[i].name)
            found.push_back(
                static_cast<std::byte*>(standin::host_address(device, formats[i].bytes)));
      return found;
    };
    const auto in = hosts(engine_->host->inputs(), engine_->inputs);
    const auto out = hosts(engine_->host->outputs(), engine_->outputs);
    standin::Fault delay;
    delay.kind = standin::Fault::Kind::kDelay;
    delay.value = std::exchange(plan_.delay_ms, 0);
    return standin::enqueue(stream, [engine = engine_, in, out, delay] {
      delay.wait();
      engine->run(in, out);
    });
  }

 private:
  Counted counted_;
  TrtPlan& plan_;
  std::shared_ptr<standin::Engine> engine_;
  std::vector<std::pair<std::string, void*>> addresses_;
};

class FakeEngine final : public TrtEngine {
 public:
  explicit FakeEngine(TrtPlan& plan)
      : counted_(plan, "engine"), plan_(plan), engine_(std::make_shared<standin::Engine>()) {
    engine_->host = HostEngine::parse(host_loadable(), "host.loadable");
    const auto formats = [&](const std::vector<TensorView>& views) {
      std::vector<TensorFormat> made;
      for (const TensorView& view : views) {
        const TensorFormat& f = view.format;
        for (const TrtTensor& t : plan_.tensors) {
          if (t.name != view.name) continue;
          made.push_back(TensorFormat::packed(f.type, t.layout, f.channels, f.height, f.width,
                                              f.scale, t.row_alignment));
        }
      }
      return made;
    };
    engine_->inputs = formats(engine_->host->inputs());
    engine_->outputs = formats(engine_->host->outputs());
  }
  std::vector<TrtTensor> tensors() const override { return plan_.tensors; }
  std::unique_ptr<TrtContext> create_context() override {
    if (plan_.refuses("createExecutionContext")) return nullptr;
    return std::make_unique<FakeContext>(plan_, engine_);
  }

 private:
  Counted counted_;
  TrtPlan& plan_;
  std::shared_ptr<standin::Engine> engine_;
};

class FakeRuntime final : public TrtRuntime {
 public:
  explicit FakeRuntime(TrtPlan& plan) : counted_(plan, "runtime"), plan_(plan) {}
  int dla_cores() const override { return plan_.cores; }
  void set_dla_core(int core) override {
    if (!plan_.refuses("setDLACore")) core_ = core;
  }
  int dla_core() const override { return core_; }
  std::unique_ptr<TrtEngine> deserialize(const std::vector<std::uint8_t>&) override {
    if (plan_.refuses("deserializeCudaEngine")) return nullptr;
    plan_.calls.push_back("on core " + std::to_string(core_));
    return std::make_unique<FakeEngine>(plan_);
  }
  std::string last_error() const override { return "the log says why"; }

 private:
  Counted counted_;
  TrtPlan& plan_;
  int core_ = 0;
};

inline std::vector<TrtTensor> trt_tensors(Layout input_layout, std::size_t row_alignment) {
  const auto tensor = [](const char* name, bool is_output, std::vector<std::int64_t> shape,
                         Layout layout, std::size_t alignment) {
    TrtTensor t;
    t.name = name;
    t.is_output = is_output;
    t.shape = std::move(shape);
    t.known_type = t.known_layout = true;
    t.layout = layout;
    t.row_alignment = alignment;
    return t;
  };
  return {tensor("images", false, {1, 3, 16, 40}, input_layout, row_alignment),
          tensor("c8", true, {1, 2, 2, 5}, Layout::kChw32, 1),
          tensor("b8", true, {1, 8, 2, 5}, Layout::kLinear, 1)};
}

}  // namespace unina::test
