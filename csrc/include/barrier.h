// Where threads that share a step meet.
#pragma once

#include <atomic>
#include <cstdint>

#include <sched.h>

namespace headgate {
namespace {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A thread that waits spins for some microseconds and then gives its core away at every look: were the machine busy, the
// one it waits for might be the one that needs it.
class barrier {
 public:
  void wait(int32_t threads) {
    const uint32_t round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int look = 0; round_.load(std::memory_order_acquire) == round; ++look) look < SPINS ? pause_briefly() : yield();
  }

 private:
  static constexpr int SPINS = 400;
  static void yield() { sched_yield(); }

  alignas(64) std::atomic<int32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> round_{0};
};

}  // namespace
}  // namespace headgate
