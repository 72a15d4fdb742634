// Threads to run a piece of work on: those of the OpenMP runtime that the host program uses already, where it lends them,
// so that its idle threads do not spin on the cores that ours want; else threads of our own.
#include <atomic>
#include <thread>
#include <vector>

#include <pthread.h>
#include <unistd.h>

#include "core.h"
#include "headgate.h"

namespace {

struct lent {
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
  int (*number)() = nullptr;
  int (*count)() = nullptr;
};
lent runtime;

// After a fork the child has one thread, and the runtime's notes of the others are stale.
std::atomic<bool> forked{false};
void after_fork() { forked = true; }
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, after_fork);

struct job {
  hg_work work;
  void* argument;
  const int32_t core = headgate::core();
  std::atomic<int32_t> begun{1};

  void run(int32_t thread, int32_t threads) {
    if (thread == 0)
      let_begin(threads);
    else
      begin(threads);
    work(argument, thread, threads);
  }

  // The others begin at once where they spin. Who is late was asleep, and may have been woken on the caller's core.
  void let_begin(int32_t threads) {
    const bool late = !headgate::comes_soon([&] { return begun.load(std::memory_order_relaxed) == threads; });
    if (late && headgate::enough_cores(threads)) sched_yield();
  }
  void begin(int32_t threads) {
    begun.fetch_add(1, std::memory_order_relaxed);
    const bool on_callers = core != headgate::NO_CORE && headgate::core() == core;
    if (on_callers && headgate::enough_cores(threads)) headgate::leave(core);
  }
};

void run_lent(void* argument) { static_cast<job*>(argument)->run(runtime.number(), runtime.count()); }

void run_own(job& mine, int32_t threads) {
  std::vector<std::thread> others;
  for (int32_t k = 1; k < threads; ++k) others.emplace_back(&job::run, &mine, k, threads);
  mine.run(0, threads);
  for (std::thread& other : others) other.join();
}

}  // namespace

extern "C" {

int32_t hg_interface(void) { return HG_INTERFACE; }

int32_t hg_instructions(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

void hg_lend_threads(void* parallel, void* thread_number, void* thread_count) {
  runtime.parallel = reinterpret_cast<decltype(runtime.parallel)>(parallel);
  runtime.number = reinterpret_cast<decltype(runtime.number)>(thread_number);
  runtime.count = reinterpret_cast<decltype(runtime.count)>(thread_count);
}

void hg_parallel(hg_work work, void* argument, int32_t threads) {
  if (threads <= 1) return work(argument, 0, 1);
  job mine{work, argument};
  if (!runtime.parallel || forked) return run_own(mine, threads);
  runtime.parallel(run_lent, &mine, static_cast<unsigned>(threads), 0);
}
}
