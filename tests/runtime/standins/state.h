// What the stand-ins share: the plan of faults, the counts of calls, the objects that are alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace standin {

struct Fault {
  enum class Kind { kFail, kLate, kDelay, kHang, kCorrupt };
  Kind kind = Kind::kFail;
  std::int64_t value = 0;
  bool has_value = false;
  int generation = 0;  // of the hangs, when the call was made

  std::int64_t value_or(std::int64_t other) const { return has_value ? value : other; }
  // Sleeps for a kDelay, waits for standin_release_hangs() for a kHang.
  void wait() const;
};

// Counts a call; the fault that hits it, if any.
std::optional<Fault> called(const char* function);

// An object of this kind begins (+1) or ends (-1) to live.
void live(const char* kind, int change);
void violation(const std::string& text);

// The body of a call: counts it, applies faults, else does the work. A corrupt one says success and
// gives what `corrupt` writes instead of the work; without `corrupt` there is nothing to falsify.
template <typename Status>
Status run(const char* function, Status failed, const std::function<Status()>& work,
           const std::function<void(std::int64_t)>& corrupt = {}) {
  const std::optional<Fault> fault = called(function);
  if (!fault) return work();
  const auto code = static_cast<Status>(fault->value_or(static_cast<std::int64_t>(failed)));
  if (fault->kind == Fault::Kind::kFail) return code;
  if (fault->kind == Fault::Kind::kCorrupt && corrupt) {
    corrupt(fault->value);
    return Status{};
  }
  fault->wait();
  const Status status = work();
  return fault->kind == Fault::Kind::kLate ? code : status;
}

// libcudart's, for libcudla.
// Null unless `device` + `bytes` lies in a live buffer; else where the host sees it.
void* host_address(const void* device, std::size_t bytes);
// False when there is no such stream. Work is done in order, on the stream's own thread.
bool enqueue(void* stream, std::function<void()> work);

}  // namespace standin
