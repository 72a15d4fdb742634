// Who does what: a thread's share of the rows or of the units, and which of the two is split.
#pragma once

#include <algorithm>
#include <vector>

#include "headgate.h"
#include "product.h"

namespace headgate {
namespace {

struct range {
  int64_t from, to;
  int64_t size() const { return std::max<int64_t>(to - from, 0); }
};

// Which rows or units are a thread's own; with rows split nothing is shared, with units all rows are everyone's.
struct share {
  bool by_units;
  int32_t thread, threads;
  range rows;

  range units(int64_t padded) const {
    const int64_t blocks = padded / HG_BLOCK, together = strip_units(blocks);
    if (!by_units) return {0, padded};
    const int64_t groups = (blocks + together - 1) / together;
    const auto edge = [&](int64_t k) { return std::min(groups * k / threads * together, blocks) * HG_BLOCK; };
    return {edge(thread), edge(thread + 1)};
  }
};

// Rows are sorted from the longest to the shortest: shares of about as many steps each.
range rows_of(const hg_run& run, int32_t thread, int32_t threads) {
  int64_t total = 0;
  for (int64_t t = 0; t < run.T; ++t) total += run.rows[t];
  std::vector<int64_t> length(run.B, 0);
  for (int64_t t = 0; t < run.T; ++t)
    if (run.rows[t]) ++length[run.rows[t] - 1];
  for (int64_t row = run.B - 1; row > 0; --row) length[row - 1] += length[row];
  const auto edge = [&](int64_t k) {
    int64_t row = 0, sum = 0;
    for (; row < run.B && (sum + length[row] / 2) * threads < total * k; ++row) sum += length[row];
    return k == threads ? run.B : row;
  };
  return {edge(thread), edge(thread + 1)};
}

enum split { AS_SEEMS_BEST, BY_ROWS, BY_UNITS };

// Rows share nothing, so they are split where their weights fit in one core's second cache and each thread has enough of
// them. Otherwise each thread keeps its own units' weights, for a meeting at every step.
int32_t best_split(const hg_run& run, int64_t enough) {
  if (run.split != AS_SEEMS_BEST) return run.split;
  const bool fits = is_near(run.weight_bytes);
  return fits && run.B >= enough * run.threads ? BY_ROWS : BY_UNITS;
}

int32_t threads_worth(const hg_run& run, int32_t split) {
  // What a core reads of its cache while threads meet, and while the others are woken for a call.
  constexpr int64_t BYTES_A_MEETING = 65536, BYTES_A_CALL = 786432;
  if (run.T == 0 || run.B == 0) return 1;
  if (split == BY_ROWS) return static_cast<int32_t>(std::min<int64_t>(run.threads, run.B));
  if (run.split == BY_UNITS) return run.threads;
  const int64_t work = run.weight_bytes * std::max<int64_t>(1, run.B / 2);
  const int64_t most = std::min<int64_t>(run.threads, 1 + run.T * work / BYTES_A_CALL);
  return static_cast<int32_t>(std::max<int64_t>(1, std::min(most, work / BYTES_A_MEETING)));
}

}  // namespace
}  // namespace headgate
