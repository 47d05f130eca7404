#include "state.h"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include "standin.h"

namespace standin {
namespace {

struct Planned {
  std::string function;
  int call = 0;  // 0: every
  Fault fault;
};

struct State {
  std::mutex mutex;
  std::condition_variable released;
  std::map<std::string, int> calls, hits, alive;
  std::vector<Planned> plan;
  std::string violations;
  int hang_generation = 0;
};

// Never destroyed: streams that were abandoned still use it when the process ends.
State& state();

void report() {
  const char* path = std::getenv("UNINA_STANDIN_REPORT");
  std::FILE* file = path != nullptr ? std::fopen(path, "w") : nullptr;
  if (file == nullptr) return;
  std::fprintf(file, "live: %s\nviolations: %s\n", standin_live_description(),
               standin_violations());
  {
    const std::lock_guard<std::mutex> lock(state().mutex);
    for (const auto& [name, count] : state().calls)
      std::fprintf(file, "%s: %d\n", name.c_str(), count);
  }
  std::fclose(file);
}

// "" or what is wrong.
std::string parse(const std::string& text, std::vector<Planned>& plan) {
  static const std::map<std::string, Fault::Kind> kinds = {{"fail", Fault::Kind::kFail},
                                                           {"late", Fault::Kind::kLate},
                                                           {"delay", Fault::Kind::kDelay},
                                                           {"hang", Fault::Kind::kHang},
                                                           {"corrupt", Fault::Kind::kCorrupt}};
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ';');) {
    if (part.empty()) continue;
    const std::size_t colon = part.find(':'), equals = part.find('=');
    if (colon == std::string::npos || equals == std::string::npos || equals < colon) {
      return "'" + part + "' is not function:n=fault";
    }
    Planned planned;
    planned.function = part.substr(0, colon);
    const std::string call = part.substr(colon + 1, equals - colon - 1);
    if (call != "*" && (planned.call = std::atoi(call.c_str())) < 1) {
      return "'" + call + "' is neither * nor the number of a call";
    }
    std::string kind = part.substr(equals + 1);
    const std::size_t value = kind.find('=');
    if (value != std::string::npos) {
      planned.fault.has_value = true;
      planned.fault.value = std::strtoll(kind.c_str() + value + 1, nullptr, 0);
      kind.resize(value);
    }
    const auto found = kinds.find(kind);
    if (found == kinds.end()) return "'" + kind + "' is no fault";
    planned.fault.kind = found->second;
    plan.push_back(planned);
  }
  return "";
}

State& state() {
  static State* const made = [] {
    auto* fresh = new State;
    const char* plan = std::getenv("UNINA_STANDIN_FAULTS");
    if (plan != nullptr) {
      const std::string wrong = parse(plan, fresh->plan);
      if (!wrong.empty()) {
        std::fprintf(stderr, "UNINA_STANDIN_FAULTS: %s\n", wrong.c_str());
        std::abort();
      }
    }
    std::atexit(report);
    return fresh;
  }();
  return *made;
}

}  // namespace

void Fault::wait() const {
  if (kind == Kind::kDelay) std::this_thread::sleep_for(std::chrono::milliseconds(value));
  if (kind != Kind::kHang) return;
  State& s = state();
  std::unique_lock<std::mutex> lock(s.mutex);
  s.released.wait(lock, [&] { return s.hang_generation != generation; });
}

std::optional<Fault> called(const char* function) {
  State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  const int call = ++s.calls[function];
  for (const Planned& planned : s.plan) {
    if (planned.function != function || (planned.call != 0 && planned.call != call)) continue;
    ++s.hits[function];
    Fault fault = planned.fault;
    fault.generation = s.hang_generation;
    return fault;
  }
  return std::nullopt;
}

void live(const char* kind, int change) {
  State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  s.alive[kind] += change;
}

void violation(const std::string& text) {
  State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  s.violations += (s.violations.empty() ? "" : "; ") + text;
}

}  // namespace standin

using standin::state;

extern "C" {

const char* standin_set_faults(const char* plan) {
  static std::string wrong;
  standin::State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  s.plan.clear();
  s.calls.clear();
  wrong = standin::parse(plan, s.plan);
  return wrong.empty() ? nullptr : wrong.c_str();
}

int standin_calls(const char* function) {
  standin::State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  return s.calls[function];
}

int standin_faults_hit(const char* function) {
  standin::State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  return s.hits[function];
}

int standin_live_objects() {
  standin::State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  int sum = 0;
  for (const auto& [kind, count] : s.alive) sum += count;
  return sum;
}

const char* standin_live_description() {
  static std::string text;
  standin::State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  text.clear();
  for (const auto& [kind, count] : s.alive) {
    if (count == 0) continue;
    text +=
        (text.empty() ? "" : ", ") + std::to_string(count) + " " + kind + (count == 1 ? "" : "s");
  }
  return text.c_str();
}

void standin_forget_objects() {
  standin::State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  s.alive.clear();
}

const char* standin_violations() {
  static std::string text;
  standin::State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  text = s.violations;
  return text.c_str();
}

void standin_clear_violations() {
  standin::State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  s.violations.clear();
}

void standin_release_hangs() {
  standin::State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  ++s.hang_generation;
  s.released.notify_all();
}

}  // extern "C"
