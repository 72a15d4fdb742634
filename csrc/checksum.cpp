// A number for what a stretch of memory holds, as fast as it can be read: whether weights are what they were is asked
// before every call, since not every write to a tensor is counted by it.
#include <cstring>

#include "stack.h"

namespace headgate {
namespace {

constexpr int64_t LANES = 8, CHAINS = 8;
typedef uint64_t lanes __attribute__((vector_size(LANES * sizeof(uint64_t))));
constexpr int64_t BLOCK = CHAINS * sizeof(lanes);
// Into the next page at least: the processor itself fetches ahead within one alone.
constexpr int64_t AHEAD = 8192;
constexpr uint64_t ODD = 0x9e3779b97f4a7c15;

// Each step can be undone, so that a change of one word always shows; the turn carries the high bits, where signs are, to
// where the next multiplication spreads them.
template <class N>
N next(N sum, N word) {
  sum = (sum + word) * ODD;
  return (sum << 29) | (sum >> 35);
}

struct checksum {
  lanes sum[CHAINS] = {};

  void add(const char* block) {
    for (int64_t k = 0; k < CHAINS; ++k) {
      lanes word;
      std::memcpy(&word, block + k * sizeof word, sizeof word);
      sum[k] = next(sum[k], word);
      __builtin_prefetch(block + k * sizeof word + AHEAD);
    }
  }

  // By halves, since one lane after the other would take as long as 2 KB of memory.
  uint64_t whole(uint64_t all) {
    for (int64_t half = CHAINS / 2; half; half /= 2)
      for (int64_t k = 0; k < half; ++k) sum[k] = next(sum[k], sum[k + half]);
    for (int64_t k = 0; k < LANES; ++k) all = next<uint64_t>(all, sum[0][k]);
    return all;
  }
};

}  // namespace
}  // namespace headgate

extern "C" HG_PUBLIC void HG_JOIN(hg_checksum, HG_ISA, u64)(hg_stretch* stretch) {
  using namespace headgate;
  const char* start = static_cast<const char*>(stretch->start);
  checksum found;
  int64_t at = 0;
  for (; at + BLOCK <= stretch->bytes; at += BLOCK) found.add(start + at);
  char rest[BLOCK] = {};
  std::memcpy(rest, start + at, static_cast<size_t>(stretch->bytes - at));
  found.add(rest);
  stretch->sum = found.whole(static_cast<uint64_t>(stretch->bytes));
}
