// Which core a thread is on, how it waits there for a moment, and how it leaves it to another thread.
#pragma once

#include <cstdint>

#include <sched.h>

namespace headgate {
namespace {

constexpr int32_t NO_CORE = -1;

#if defined(__linux__)
inline int32_t core() { return sched_getcpu(); }

// Whether this thread may use as many cores as there are threads.
inline bool enough_cores(int32_t threads) {
  cpu_set_t cores;
  return !sched_getaffinity(0, sizeof cores, &cores) && CPU_COUNT(&cores) >= threads;
}

// A thread that is woken may be put on its waker's core though another is idle (on a virtual machine a core that was halted
// does not pass for idle), and the system mends that only at one of its next ticks of 4 ms. So one of the two leaves, for
// any other core that it may use.
inline void leave(int32_t core) {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores)) return;
  cpu_set_t others = cores;
  CPU_CLR(core, &others);
  if (!sched_setaffinity(0, sizeof others, &others)) sched_setaffinity(0, sizeof cores, &cores);
}
#else
inline int32_t core() { return NO_CORE; }
inline bool enough_cores(int32_t) { return true; }
inline void leave(int32_t) {}
#endif

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Looks for some microseconds whether something has come to pass; whether it has.
template <class Passed>
bool comes_soon(Passed passed) {
  for (int look = 0; look < 400; ++look) {
    if (passed()) return true;
    pause_briefly();
  }
  return false;
}

}  // namespace
}  // namespace headgate
