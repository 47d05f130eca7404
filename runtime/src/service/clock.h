// The two clocks of the service, in nanoseconds: CLOCK_MONOTONIC for differences, CLOCK_REALTIME
// for other machines.
#pragma once

#include <ctime>

#include <cstdint>

namespace unina {

inline std::int64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}
inline std::int64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }
inline std::int64_t realtime_ns() { return clock_ns(CLOCK_REALTIME); }

}  // namespace unina
