// The engine as a list of steps over one arena.
#include "unina/host_engine.h"

#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <new>
#include <system_error>

#include "host/conv_kernel.h"
#include "host/loadable.h"
#include "host/memory_plan.h"
#include "host/step.h"
#include "host/thread_pool.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr int kMaxThreads = 256;

std::vector<std::uint8_t> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  // The limits of a loadable's parts leave room for 2 GiB at most; a directory says 2^63 - 1.
  if (size < 0 || size > std::streamoff{1} << 31) throw Error(path + ": cannot be read as a file");
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), size);
  if (!file) throw Error(path + ": cannot be read");
  return bytes;
}

}  // namespace

struct HostEngine::Graph {
  Graph(const host::Loadable& loadable, const HostEngineOptions& options);

  hwy::AlignedFreeUniquePtr<std::int8_t[]> arena;
  std::vector<TensorView> inputs, outputs;
  std::vector<std::unique_ptr<host::Step>> steps;
  host::ThreadPool pool;
  std::vector<hwy::AlignedFreeUniquePtr<std::uint8_t[]>> scratch;  // one a thread
  host::Workspace workspace;
};

HostEngine::Graph::Graph(const host::Loadable& loadable, const HostEngineOptions& options)
    : pool(options.threads), workspace{pool, {}} {
  const Arithmetic arithmetic{options.rounding.value_or(loadable.rounding), options.pointwise};
  const host::MemoryPlan plan = host::plan_memory(loadable);
  arena = hwy::AllocateAligned<std::int8_t>(plan.bytes);
  if (!arena) throw Error("no memory for " + std::to_string(plan.bytes) + " bytes of activations");
  std::memset(arena.get(), 0, plan.bytes);

  const auto buffer = [&](int tensor) {
    const auto at = static_cast<std::size_t>(tensor);
    return host::Buffer{plan.formats[at], arena.get() + plan.offsets[at]};
  };
  const auto view = [&](int tensor) {
    const host::Buffer b = buffer(tensor);
    return TensorView{loadable.tensors[static_cast<std::size_t>(tensor)].name, b.format, b.data};
  };
  for (const int tensor : loadable.inputs) inputs.push_back(view(tensor));
  for (const int tensor : loadable.outputs) outputs.push_back(view(tensor));

  const auto make = [&](const host::Operator& op) {
    const host::Buffer out = buffer(op.output);
    const host::Buffer in = buffer(op.inputs[0]);
    switch (op.type) {
      case host::OperatorType::kConv:
        if (op.in_float16)
          return host::make_float_conv(op, in, out, arithmetic.rounding, options.threads);
        return host::make_conv(op, in, out, arithmetic, options.threads,
                               host::best_conv_target(arithmetic.pointwise));
      case host::OperatorType::kRelu:
        return host::make_relu(in, out);
      case host::OperatorType::kAdd:
        return host::make_add(op, in, buffer(op.inputs[1]), out, arithmetic);
      case host::OperatorType::kConcat: {
        std::vector<host::Buffer> parts;
        for (const int tensor : op.inputs) parts.push_back(buffer(tensor));
        return host::make_concat(parts, out);
      }
      case host::OperatorType::kMaxPool:
        return host::make_maxpool(op, in, out);
      case host::OperatorType::kResize:
        return host::make_resize(op, in, out);
      case host::OperatorType::kTable:
        return host::make_table(op, in, out);
      case host::OperatorType::kMul:
        return host::make_mul(op, in, buffer(op.inputs[1]), out, arithmetic);
      case host::OperatorType::kMax:
      case host::OperatorType::kMin:
        return host::make_extreme(op, in, buffer(op.inputs[1]), out);
      case host::OperatorType::kAvgPool:
        return host::make_avgpool(op, in, out, arithmetic.rounding);
      case host::OperatorType::kBilinear:
        return host::make_bilinear(op, in, out, arithmetic.rounding);
      case host::OperatorType::kDepthToSpace:
        return host::make_depth_to_space(op, in, out);
    }
    throw Error(op.label + ": unknown operator");
  };
  for (const host::Operator& op : loadable.operators) {
    try {
      steps.push_back(make(op));
    } catch (const Error& error) {
      throw Error(op.label + ": " + error.what());
    }
  }

  std::size_t scratch_bytes = 64;
  for (const auto& step : steps) scratch_bytes = std::max(scratch_bytes, step->scratch_bytes());
  for (int thread = 0; thread < options.threads; ++thread) {
    scratch.push_back(hwy::AllocateAligned<std::uint8_t>(scratch_bytes));
    if (!scratch.back())
      throw Error("no memory for " + std::to_string(scratch_bytes) + " bytes of scratch");
    workspace.scratch.push_back(scratch.back().get());
  }
}

HostEngine::HostEngine(std::unique_ptr<Graph> graph) : graph_(std::move(graph)) {}
HostEngine::~HostEngine() = default;

std::unique_ptr<HostEngine> HostEngine::load(const std::string& path,
                                             const HostEngineOptions& options) {
  return parse(read_file(path), path, options);
}

std::unique_ptr<HostEngine> HostEngine::parse(const std::vector<std::uint8_t>& bytes,
                                              const std::string& name,
                                              const HostEngineOptions& options) {
  if (options.threads < 1 || options.threads > kMaxThreads)
    throw Error("threads is " + std::to_string(options.threads) + "; expected 1 to " +
                std::to_string(kMaxThreads));
  const host::Loadable loadable = host::parse_loadable(bytes.data(), bytes.size(), name);
  try {
    return std::unique_ptr<HostEngine>(new HostEngine(std::make_unique<Graph>(loadable, options)));
  } catch (const Error& error) {
    throw Error(name + ": " + error.what());
  } catch (const std::bad_alloc&) {
    throw Error(name + ": not enough memory for this network");
  } catch (const std::system_error& error) {
    throw Error(name + ": cannot start " + std::to_string(options.threads) +
                " threads: " + error.what());
  }
}

const std::vector<TensorView>& HostEngine::inputs() const { return graph_->inputs; }
const std::vector<TensorView>& HostEngine::outputs() const { return graph_->outputs; }

void HostEngine::infer() {
  for (const auto& step : graph_->steps) step->run(graph_->workspace);
}

}  // namespace unina
