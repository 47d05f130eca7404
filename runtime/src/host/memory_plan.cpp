#include "host/memory_plan.h"

#include <algorithm>
#include <limits>

namespace unina::host {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr int kBlock = 32;  // channels of one CHW32 block

struct Life {
  int first = std::numeric_limits<int>::max();  // operator that writes it; -1: before all
  int last = -1;                                // last operator that touches it
};

class Planner {
 public:
  explicit Planner(const Loadable& loadable)
      : loadable_(loadable),
        host_(loadable.tensors.size(), -1),
        inside_(loadable.tensors.size(), 0) {}

  MemoryPlan plan() {
    choose_formats();
    place_concat_inputs();
    find_lives();
    assign_offsets();
    return std::move(plan_);
  }

 private:
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }

  bool is_listed(const std::vector<int>& list, int tensor) const {
    return std::find(list.begin(), list.end(), tensor) != list.end();
  }

  void choose_formats() {
    std::vector<bool> hwc4(loadable_.tensors.size(), false);
    for (const int input : loadable_.inputs)
      hwc4[at(input)] = loadable_.tensors[at(input)].channels <= 4;
    for (const int output : loadable_.outputs) hwc4[at(output)] = false;
    for (const Operator& op : loadable_.operators)
      if (op.type != OperatorType::kConv)
        for (const int input : op.inputs) hwc4[at(input)] = false;
    for (std::size_t i = 0; i < loadable_.tensors.size(); ++i) {
      const Tensor& t = loadable_.tensors[i];
      if (t.type == DataType::kFloat16) {
        plan_.formats.push_back(TensorFormat::packed(DataType::kFloat16, Layout::kChw16, t.channels,
                                                     t.height, t.width, 1.0f));
        continue;
      }
      // Rows of HWC4 are aligned as the DLA wants them.
      plan_.formats.push_back(
          TensorFormat::packed(DataType::kInt8, hwc4[i] ? Layout::kHwc4 : Layout::kChw32,
                               t.channels, t.height, t.width, t.scale, hwc4[i] ? 64 : 1));
    }
  }

  void place_concat_inputs() {
    for (const Operator& op : loadable_.operators) {
      if (op.type != OperatorType::kConcat) continue;
      int channel = 0;
      for (std::size_t i = 0; i < op.inputs.size(); ++i) {
        const int input = op.inputs[i];
        const bool whole_blocks = channel % kBlock == 0;
        const bool last_block_is_its_own =
            i + 1 == op.inputs.size() || plan_.formats[at(input)].channels % kBlock == 0;
        const bool free = host_[at(input)] < 0 && !is_listed(loadable_.inputs, input) &&
                          !is_listed(loadable_.outputs, input);
        if (whole_blocks && last_block_is_its_own && free) {
          host_[at(input)] = op.output;
          inside_[at(input)] = at(channel / kBlock) * plan_.formats[at(op.output)].channel_stride;
        }
        channel += plan_.formats[at(input)].channels;
      }
    }
  }

  // The tensor whose memory `tensor` lies in.
  int root(int tensor) const {
    while (host_[at(tensor)] >= 0) tensor = host_[at(tensor)];
    return tensor;
  }

  void find_lives() {
    lives_.resize(loadable_.tensors.size());
    const auto touch = [&](int tensor, int when) {
      Life& life = lives_[at(root(tensor))];
      life.first = std::min(life.first, when);
      life.last = std::max(life.last, when);
    };
    const int end = static_cast<int>(loadable_.operators.size());
    for (int i = 0; i < end; ++i) {
      for (const int input : loadable_.operators[at(i)].inputs) touch(input, i);
      touch(loadable_.operators[at(i)].output, i);
    }
    for (const auto* list : {&loadable_.inputs, &loadable_.outputs})
      for (const int tensor : *list) {
        touch(tensor, -1);
        touch(tensor, end);
      }
  }

  // Largest first, each at the lowest place where nobody who lives at the same time lies.
  void assign_offsets() {
    std::vector<int> order;
    for (int i = 0; i < static_cast<int>(loadable_.tensors.size()); ++i)
      if (host_[at(i)] < 0) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return plan_.formats[at(a)].bytes > plan_.formats[at(b)].bytes;
    });
    plan_.offsets.assign(loadable_.tensors.size(), 0);
    std::vector<int> placed;  // by rising offset
    for (const int tensor : order) {
      const std::size_t bytes = size(tensor);
      std::size_t offset = 0;
      for (const int other : placed) {
        if (!overlap(lives_[at(tensor)], lives_[at(other)])) continue;
        if (offset + bytes <= plan_.offsets[at(other)]) break;
        offset = std::max(offset, plan_.offsets[at(other)] + size(other));
      }
      plan_.offsets[at(tensor)] = offset;
      plan_.bytes = std::max(plan_.bytes, offset + bytes);
      placed.insert(std::upper_bound(
                        placed.begin(), placed.end(), tensor,
                        [&](int a, int b) { return plan_.offsets[at(a)] < plan_.offsets[at(b)]; }),
                    tensor);
    }
    for (int i = 0; i < static_cast<int>(loadable_.tensors.size()); ++i) {
      std::size_t offset = 0;
      int tensor = i;
      for (; host_[at(tensor)] >= 0; tensor = host_[at(tensor)]) offset += inside_[at(tensor)];
      plan_.offsets[at(i)] = offset + plan_.offsets[at(tensor)];
    }
  }

  std::size_t size(int tensor) const {
    return (plan_.formats[at(tensor)].bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  static bool overlap(const Life& a, const Life& b) {
    return a.first <= b.last && b.first <= a.last;
  }

  const Loadable& loadable_;
  MemoryPlan plan_;
  std::vector<int> host_;            // tensor that it lies in, -1: its own memory
  std::vector<std::size_t> inside_;  // bytes from the start of that tensor
  std::vector<Life> lives_;
};

}  // namespace

MemoryPlan plan_memory(const Loadable& loadable) { return Planner(loadable).plan(); }

}  // namespace unina::host
