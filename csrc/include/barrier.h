// Where threads that share a step meet.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include <sched.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core.h"

namespace headgate {
namespace {

// A thread that waits spins for some microseconds, then as long as patience lasts, and then sleeps. Sleep is what a busy
// machine needs, since the thread waited for may be the one that needs this core; but whoever sleeps gives a core away that
// it gets back only at the system's next tick or, on a borrowed core, when its lender likes. So waits that last may spin for
// PATIENCE a call, all of them together; where that was not enough, none spins on again for the length of a REST.
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
    if (spin(round) || spin_on(round, threads)) return;
    asleep_.fetch_add(1);
    while (round_.load() == round) sleep(round);
    asleep_.fetch_sub(1);
  }

 private:
  using clock = std::chrono::steady_clock;
  static constexpr clock::duration PATIENCE = std::chrono::milliseconds(10), REST = 10 * PATIENCE;

  bool spin(uint32_t round) const {
    return comes_soon([&] { return round_.load(std::memory_order_acquire) != round; });
  }
  bool spin_on(uint32_t round, int32_t threads) {
    if (!enough_cores(threads)) return false;
    const clock::rep start = now();
    if (start < rest_until_.load(std::memory_order_relaxed)) return false;
    const clock::rep spent = spent_.load(std::memory_order_relaxed);
    clock::rep passed = 0;
    while (spent + passed < PATIENCE.count()) {
      const bool ended = spin(round);
      passed = now() - start;
      if (!ended) continue;
      spent_.fetch_add(passed, std::memory_order_relaxed);
      return true;
    }
    rest_until_.store(start + passed + REST.count(), std::memory_order_relaxed);
    return false;
  }
  static clock::rep now() { return clock::now().time_since_epoch().count(); }

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
  std::atomic<clock::rep> spent_{0};
  // Of all calls: what a machine is like does not change between two of them.
  inline static std::atomic<clock::rep> rest_until_{0};
};

}  // namespace
}  // namespace headgate
