#include "decode_plan.h"

namespace unina::plugin {
namespace {

constexpr std::size_t kAlignment = 256;

// Hands out parts of one piece of memory; counts only, where there is none yet.
class Parts {
 public:
  explicit Parts(void* memory) : memory_(static_cast<unsigned char*>(memory)) {}

  template <typename T>
  T* take(std::size_t count) {
    const std::size_t begin = used_;
    used_ = (begin + count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + begin);
  }
  std::size_t used() const { return used_; }

 private:
  unsigned char* memory_;
  std::size_t used_ = 0;
};

Workspace place(const DecodePlan& plan, Parts& parts) {
  const auto pictures = static_cast<std::size_t>(plan.pictures);
  Workspace made{};
  made.counts = parts.take<std::int32_t>(pictures);
  made.candidates = parts.take<Candidate>(pictures * static_cast<std::size_t>(plan.cells));
  if (!has_nms(plan)) return made;
  const std::size_t slots = pictures * kNmsCandidates;
  made.sorted.most = kNmsCandidates;
  made.sorted.count = parts.take<std::int32_t>(pictures);
  made.sorted.boxes = parts.take<float>(4 * slots);
  made.sorted.scores = parts.take<float>(slots);
  made.sorted.classes = parts.take<std::int32_t>(slots);
  return made;
}

}  // namespace

std::size_t workspace_bytes(const DecodePlan& plan) {
  Parts parts(nullptr);
  place(plan, parts);
  return parts.used();
}

Workspace workspace_in(const DecodePlan& plan, void* memory) {
  Parts parts(memory);
  return place(plan, parts);
}

}  // namespace unina::plugin
