// What the stand-ins of NvSci's two libraries do alike: handles that are given out and taken back,
// modules with the attribute lists that are made of them, values of attributes.
#pragma once

#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <type_traits>

#include "cudla/nvsci_abi.h"
#include "state.h"

namespace standin {

// The caller holds a mutex.
template <typename Handle>
class Handles {
 public:
  explicit Handles(const char* kind) : kind_(kind) {}

  bool has(Handle handle) const { return known_.count(handle) != 0; }
  Handle add(Handle made) {
    known_.insert(made);
    live(kind_, +1);
    return made;
  }
  // False, and a violation, when `function` is asked to take back what was not given out.
  bool take(const char* function, Handle handle) {
    if (known_.erase(handle) == 0) {
      violation(std::string(function) + " of what is no " + kind_);
      return false;
    }
    live(kind_, -1);
    return true;
  }

 private:
  const char* kind_;
  std::set<Handle> known_;
};

// A call that gives nothing back, not even an error.
inline void run_mute(const char* function, const std::function<void()>& work) {
  run<int>(function, 1, [&] {
    work();
    return 0;
  });
}

// The modules of a library, whose records count the `objects` that were made of them, and its
// attribute lists, whose records know their `module` and whether they are `reconciled`.
template <typename Module, typename List>
struct SciLists {
  using ModuleRecord = std::remove_pointer_t<Module>;
  using ListRecord = std::remove_pointer_t<List>;

  explicit SciLists(const char* module_kind) : modules(module_kind) {}

  NvSciError open_module(const char* function, Module* module) {
    return run<NvSciError>(
        function, NvSciError_InsufficientMemory,
        [&] {
          const std::lock_guard<std::mutex> lock(mutex);
          *module = modules.add(new ModuleRecord);
          return NvSciError_Success;
        },
        [&](std::int64_t) { *module = nullptr; });
  }

  void close_module(const char* function, Module module) {
    run_mute(function, [&] {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!modules.take(function, module)) return;
      if (module->objects == 0) delete module;  // else what was made of it still points there
    });
  }

  NvSciError create_list(const char* function, Module module, List* list) {
    return run<NvSciError>(
        function, NvSciError_InsufficientMemory,
        [&] {
          const std::lock_guard<std::mutex> lock(mutex);
          if (!modules.has(module)) return NvSciError_BadParameter;
          ListRecord made;
          made.module = module;
          *list = keep_list(made);
          return NvSciError_Success;
        },
        [&](std::int64_t) { *list = nullptr; });
  }

  // `set` writes one pair into a list's record; false when there is no such attribute.
  template <typename Pair, typename Set>
  NvSciError set_attributes(const char* function, List list, const Pair* pairs, std::size_t count,
                            Set&& set) {
    return run<NvSciError>(
        function, NvSciError_BadParameter,
        [&] {
          const std::lock_guard<std::mutex> lock(mutex);
          if (!lists.has(list) || list->reconciled) return NvSciError_BadParameter;
          for (std::size_t i = 0; i < count; ++i) {
            if (!set(*list, pairs[i])) return NvSciError_BadParameter;
          }
          return NvSciError_Success;
        },
        [](std::int64_t) {});
  }

  void free_list(const char* function, List list) {
    run_mute(function, [&] {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!lists.take(function, list)) return;
      --list->module->objects;
      delete list;
    });
  }

  // The caller holds the mutex.
  List keep_list(const ListRecord& list) {
    ++list.module->objects;
    return lists.add(new ListRecord(list));
  }

  std::mutex mutex;  // for all below, and what they point to
  Handles<Module> modules;
  Handles<List> lists{"attribute list"};
};

// False when the attribute's value is not of the type that the key has.
template <typename Pair, typename Value>
bool read(const Pair& pair, Value& value) {
  if (pair.len != sizeof value || pair.value == nullptr) return false;
  std::memcpy(&value, pair.value, sizeof value);
  return true;
}

}  // namespace standin
