// Where threads that share a step meet.
#pragma once

#include <atomic>
#include <cstdint>

#include <sched.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace headgate {
namespace {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A thread that waits spins for some microseconds and then sleeps: on a busy machine the one it waits for may be the one
// that needs its core, and whoever wakes from sleep is given a core before those that never rest.
class barrier {
 public:
  void wait(int32_t threads) {
    const uint32_t round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
      arrived_.store(0, std::memory_order_relaxed);
      // In one order with `asleep_`: either a sleeper is seen here, or it sees the new round before it sleeps.
      round_.store(round + 1);
      if (asleep_.load()) wake();
      return;
    }
    for (int look = 0; look < SPINS; ++look) {
      if (round_.load(std::memory_order_acquire) != round) return;
      pause_briefly();
    }
    asleep_.fetch_add(1);
    while (round_.load() == round) sleep(round);
    asleep_.fetch_sub(1);
  }

 private:
  static constexpr int SPINS = 400;

#if defined(__linux__)
  void sleep(uint32_t round) { syscall(SYS_futex, &round_, FUTEX_WAIT_PRIVATE, round, nullptr, nullptr, 0); }
  void wake() { syscall(SYS_futex, &round_, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0); }
#else
  void sleep(uint32_t) { sched_yield(); }
  void wake() {}
#endif

  alignas(64) std::atomic<int32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> round_{0};
  alignas(64) std::atomic<int32_t> asleep_{0};
};

}  // namespace
}  // namespace headgate
