#include "allocation_counter.h"

#include <dlfcn.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

std::atomic<bool> counting{false};
std::atomic<std::uint64_t> of_ours{0}, of_opencv{0};

// Whose code asks: libopencv_*.so, or anything else.
bool is_opencv(const void* caller) {
  Dl_info library{};
  return dladdr(caller, &library) != 0 && library.dli_fname != nullptr &&
         std::strstr(library.dli_fname, "libopencv_") != nullptr;
}

// Null where there is none left.
void* try_allocate(std::size_t bytes, std::size_t alignment, const void* caller) noexcept {
  if (counting.load(std::memory_order_relaxed)) ++(is_opencv(caller) ? of_opencv : of_ours);
  const std::size_t whole = (bytes + alignment) / alignment * alignment;  // a multiple, not 0
  return std::aligned_alloc(alignment, whole);
}

void* allocate(std::size_t bytes, std::size_t alignment, const void* caller) {
  if (void* memory = try_allocate(bytes, alignment, caller)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// Every form, those that do not throw, too: a sanitizer brings its own for what is left out, and
// then finds that another one takes the memory back.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  return allocate(bytes, alignof(std::max_align_t), __builtin_return_address(0));
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) {
  return allocate(bytes, alignof(std::max_align_t), __builtin_return_address(0));
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
[[gnu::noinline]] void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return try_allocate(bytes, alignof(std::max_align_t), __builtin_return_address(0));
}
[[gnu::noinline]] void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return try_allocate(bytes, alignof(std::max_align_t), __builtin_return_address(0));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace unina_test {

AllocationCounter::AllocationCounter() {
  of_ours = of_opencv = 0;
  counting = true;
}
AllocationCounter::~AllocationCounter() { counting = false; }
std::uint64_t AllocationCounter::ours() const { return of_ours; }
std::uint64_t AllocationCounter::opencv() const { return of_opencv; }

}  // namespace unina_test
