// Large pages; and the memory in which threads compute, which one call leaves to the next. The system clears every page that it
// gives anew, which took a twentieth of a call at H = 1024.
#include "stock.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "headgate.h"

namespace headgate {
namespace {

constexpr int64_t PAGE = int64_t{1} << 21, IDLE = int64_t{1} << 27;
constexpr uint32_t PLACES = 256;

// What stands before a block.
struct alignas(64) header {
  int64_t bytes;  // of both
};

// Where blocks wait, a ring. Every change is one exchange, so that it works after a fork, too, whatever another thread was at.
struct place {
  std::atomic<header*> block{nullptr};
  std::atomic<int64_t> bytes{0};  // most likely
};
place ring[PLACES];
std::atomic<uint32_t> next_place{0};
std::atomic<int64_t> idle{0};

// Up to a size that others come to as well, so that few sizes wait: an eighth more at most, or whole pages.
int64_t rounded(int64_t bytes) {
  int64_t step = sizeof(header);
  while (16 * step < bytes) step *= 2;
  if (2 * bytes > PAGE) step = std::max(step, PAGE);
  return (bytes + step - 1) / step * step;
}

std::align_val_t alignment(int64_t bytes) { return std::align_val_t(bytes % PAGE ? sizeof(header) : PAGE); }

header* made(int64_t bytes) {
  void* const start = ::operator new(bytes, alignment(bytes));
  if (bytes % PAGE == 0) hg_large_pages(start, bytes);
  return new (start) header{bytes};
}

void give_up(header* block) { ::operator delete(block, alignment(block->bytes)); }

// What waits at a place waits no more.
header* taken(place& from) {
  header* const block = from.block.exchange(nullptr, std::memory_order_acquire);
  if (block) idle.fetch_sub(block->bytes, std::memory_order_relaxed);
  return block;
}

// The block that has waited longest makes room, and so do others as long as there are too many bytes.
void wait_for_use(header* block) {
  const int64_t bytes = block->bytes;
  if (bytes > IDLE) return give_up(block);
  const uint32_t at = next_place.fetch_add(1, std::memory_order_relaxed);
  for (uint32_t k = 0; k < PLACES && idle.load(std::memory_order_relaxed) + bytes > IDLE; ++k)
    if (header* const old = taken(ring[(at + k) % PLACES])) give_up(old);
  ring[at % PLACES].bytes.store(bytes, std::memory_order_relaxed);
  idle.fetch_add(bytes, std::memory_order_relaxed);
  if (header* const oldest = ring[at % PLACES].block.exchange(block, std::memory_order_acq_rel)) {
    idle.fetch_sub(oldest->bytes, std::memory_order_relaxed);
    give_up(oldest);
  }
}

}  // namespace

void* lend(int64_t bytes) {
  const int64_t whole = rounded(bytes + sizeof(header));
  for (place& each : ring) {
    if (each.bytes.load(std::memory_order_relaxed) != whole || !each.block.load(std::memory_order_relaxed)) continue;
    header* const block = taken(each);
    if (block && block->bytes == whole) return block + 1;
    if (block) wait_for_use(block);
  }
  return made(whole) + 1;
}

void take_back(void* start) { wait_for_use(static_cast<header*>(start) - 1); }

}  // namespace headgate

extern "C" void hg_large_pages(void* start, int64_t bytes) {
#if defined(__linux__)
  // Only pages that lie within, so that nothing beyond is ever filled; a refusal changes nothing.
  const uintptr_t size = headgate::PAGE;
  const uintptr_t from = (reinterpret_cast<uintptr_t>(start) + size - 1) / size * size;
  const uintptr_t to = (reinterpret_cast<uintptr_t>(start) + static_cast<uintptr_t>(bytes)) / size * size;
  if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#else
  static_cast<void>(start), static_cast<void>(bytes);
#endif
}
