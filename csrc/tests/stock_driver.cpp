// The stock under the sanitizers: several threads borrow, write, look whether it is still theirs, and give back, some of it
// another thread's; and how much waits at most.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <thread>
#include <vector>

#include "stock.h"

namespace {

std::atomic<int64_t> held{0};

void* counted(size_t bytes, size_t alignment) {
  char* const start = static_cast<char*>(std::aligned_alloc(alignment, (bytes + 2 * alignment - 1) / alignment * alignment));
  if (!start) throw std::bad_alloc();
  held += int64_t(bytes);
  std::memcpy(start, &bytes, sizeof bytes);
  return start + alignment;
}
void uncounted(void* start, size_t alignment) {
  char* const whole = static_cast<char*>(start) - alignment;
  size_t bytes;
  std::memcpy(&bytes, whole, sizeof bytes);
  held -= int64_t(bytes);
  std::free(whole);
}

}  // namespace

void* operator new(size_t bytes, std::align_val_t alignment) { return counted(bytes, size_t(alignment)); }
void operator delete(void* start, std::align_val_t alignment) noexcept { uncounted(start, size_t(alignment)); }

namespace {

constexpr int64_t MEGABYTE = 1 << 20, MOST = 128 * MEGABYTE;

struct loan {
  char* start;
  int64_t bytes;
  char mark;

  // The first and the last byte of each kilobyte.
  template <class Work>
  bool each(const Work& work) const {
    for (int64_t k = 0; k < bytes; k += 1024)
      if (!work(start[k]) || !work(start[std::min(k + 1023, bytes - 1)])) return false;
    return true;
  }
  void write() const {
    each([this](char& value) { return value = mark, true; });
  }
  bool is_own() const {
    return each([this](char& value) { return value == mark; });
  }
};

bool borrows(int thread, int times) {
  std::mt19937_64 generator(thread);
  const auto draw = [&](int64_t high) { return std::uniform_int_distribution<int64_t>(0, high)(generator); };
  std::vector<loan> open;
  bool right = true;
  for (int k = 0; k < times && right; ++k) {
    if (open.size() < 6 && draw(1)) {
      const int64_t bytes = 1 + draw(3) * 100'000 + (draw(9) ? 0 : 3 * MEGABYTE);
      open.push_back({static_cast<char*>(headgate::lend(bytes)), bytes, char(1 + thread * 16 + k % 16)});
      open.back().write();
    } else if (!open.empty()) {
      std::swap(open[draw(open.size() - 1)], open.back());
      right = open.back().is_own();
      headgate::take_back(open.back().start);
      open.pop_back();
    }
  }
  for (const loan& each : open) right = right && each.is_own(), headgate::take_back(each.start);
  return right;
}

bool all_borrow(int times) {
  bool right[4] = {};
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k) threads.emplace_back([&, k] { right[k] = borrows(k, times); });
  for (std::thread& each : threads) each.join();
  return right[0] && right[1] && right[2] && right[3];
}

// What so many blocks leave, all of them borrowed before one is given back.
int64_t left_by(int blocks, int64_t bytes) {
  std::vector<void*> open;
  for (int k = 0; k < blocks; ++k) open.push_back(headgate::lend(bytes));
  for (void* each : open) headgate::take_back(each);
  return held;
}

bool comes_back() {
  void* const first = headgate::lend(900'000);
  headgate::take_back(first);
  void* const again = headgate::lend(899'000);
  headgate::take_back(again);
  return first == again;
}

bool fails(const char* what) { return std::printf("trial: %s, %ld bytes held\n", what, long(held)), true; }

}  // namespace

int main(int argc, char** argv) {
  const int trials = argc > 1 ? std::atoi(argv[1]) : 200;
  if (!comes_back() && fails("a block did not come back")) return 1;
  if (!all_borrow(trials * 10) && fails("lent twice")) return 1;
  if (held > MOST && fails("too much waits")) return 1;
  if (left_by(5, 40 * MEGABYTE) > MOST && fails("large blocks wait")) return 1;
  if (left_by(1, 2 * MOST) > MOST && fails("one that is too large waits")) return 1;
  if (left_by(400, 1000) > MOST && fails("small blocks wait")) return 1;
  // Of as many as there are places for, those that waited longest are gone, whatever size comes next.
  if (left_by(300, 2000) > 256 * 2400 && fails("old blocks wait")) return 1;
  std::puts("all right");
}
