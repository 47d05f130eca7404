// A vendor's library, opened when it is first needed: one binary runs with and without it.
#pragma once

#include <string>
#include <vector>

namespace unina {

class DynamicLibrary {
 public:
  // Opens the first of `names` that the loader finds. Throws Error saying why none could be opened.
  explicit DynamicLibrary(const std::vector<std::string>& names);
  DynamicLibrary(const DynamicLibrary&) = delete;
  DynamicLibrary& operator=(const DynamicLibrary&) = delete;
  // Never closed: a driver's library leaves threads and mappings behind.
  ~DynamicLibrary() = default;

  // Throws Error naming library and symbol.
  template <typename Function>
  void find(const char* symbol, Function& function) const {
    function = reinterpret_cast<Function>(address(symbol));
  }
  const std::string& name() const { return name_; }

 private:
  void* address(const char* symbol) const;

  std::string name_;
  void* handle_ = nullptr;
};

}  // namespace unina
