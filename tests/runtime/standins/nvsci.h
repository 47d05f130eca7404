// What the stand-in of libcudla sees of NvSci's objects in standalone mode.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

namespace standin {

// libnvscibuf's. Null unless `object` is a live buffer of at least `bytes`; else what a device sees
// of it, which is not what the CPU sees before it flushed its caches.
std::byte* sci_device_memory(const void* object, std::size_t bytes);
// A core begins (+1) or ends (-1) to reach the buffer. False when there is no such buffer.
bool sci_buffer_imported(const void* object, int change);

// libnvscisync's. Makes an attribute list that of a DLA which waits or signals.
bool sci_fill_dla_attributes(void* list, bool waits, bool signals);
bool sci_sync_imported(const void* object, int change);
// A function that waits until the fence is reached or `stopping` is true. Empty when it is no fence
// that an imported object's DLA may wait for.
std::function<void(const std::atomic<bool>& stopping)> sci_waiter(const void* fence);
// A function that signals the object, whose fence is written; without one the object must be
// deterministic. Empty when the DLA may not signal it.
std::function<void()> sci_signaller(const void* object, void* fence);

}  // namespace standin
