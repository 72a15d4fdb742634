// Plays a tape: for training, where many structures have to be filled in before any work is done.
#include "tape.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace {

template <class T>
void copy(const hg_copying& job) {
  const auto* from = static_cast<const T*>(job.from);
  auto* to = static_cast<T*>(job.to);
  for (int64_t row = 0; row < job.rows; ++row, from += job.from_stride, to += job.to_stride) {
    if (job.parts) std::copy_n(from, job.columns, to);
    for (int64_t part = 1; part < job.parts; ++part)
      for (int64_t k = 0; k < job.columns; ++k) to[k] += from[part * job.apart + k];
    std::fill(to + (job.parts ? job.columns : 0), to + job.width, T(0));
  }
}

}  // namespace

extern "C" {

void hg_play(const hg_tape* tape, void* const* bases) {
  // Any number of threads may play a tape at once, each on a copy.
  std::vector<uint64_t> memory(tape->bytes / sizeof(uint64_t) + 1);
  char* const block = reinterpret_cast<char*>(memory.data());
  std::memcpy(block, tape->block, tape->bytes);
  for (int32_t k = 0; k < tape->n_addresses; ++k) {
    const hg_address& address = tape->addresses[k];
    char* const base = address.base ? static_cast<char*>(bases[address.base]) : block;
    char* const value = base ? base + address.offset : nullptr;
    std::memcpy(block + address.at, &value, sizeof value);
  }
  for (int32_t k = 0; k < tape->n_tasks; ++k) tape->tasks[k].work(block + tape->tasks[k].at);
}

void hg_copy_f32(const hg_copying* job) { copy<float>(*job); }
void hg_copy_f64(const hg_copying* job) { copy<double>(*job); }

}
