#include "cuda/dynamic_library.h"

#include <dlfcn.h>

#include "unina/error.h"

namespace unina {

DynamicLibrary::DynamicLibrary(const std::vector<std::string>& names) {
  std::string reasons;
  for (const std::string& name : names) {
    handle_ = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) {
      name_ = name;
      return;
    }
    const char* reason = ::dlerror();
    reasons += (reasons.empty() ? "" : "; ") + (reason != nullptr ? std::string(reason) : name);
  }
  throw Error(reasons);
}

void* DynamicLibrary::address(const char* symbol) const {
  void* found = ::dlsym(handle_, symbol);
  if (found == nullptr) {
    throw Error(name_ + " has no " + symbol + "; it is of another release than this program needs");
  }
  return found;
}

}  // namespace unina
