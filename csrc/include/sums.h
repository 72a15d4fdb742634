// Sums over all steps and rows of products, left^T right, and of left: what is shared by the kinds of numbers of which
// products are made.
#pragma once

#include <algorithm>
#include <memory>
#include <new>

#include "headgate.h"

namespace headgate {
namespace {

// Memory of a thread's own, on a cache line.
template <class T>
class lines {
 public:
  lines() = default;
  explicit lines(int64_t count) : memory_(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64)))) {}
  T* get() const { return memory_.get(); }

 private:
  struct release {
    void operator()(T* memory) const { ::operator delete(memory, std::align_val_t(64)); }
  };
  std::unique_ptr<T, release> memory_;
};

// Rows of both sides.
template <class T>
const T* left_row(const hg_summing& job, int64_t row) {
  return static_cast<const T*>(job.left) + row * job.stride;
}
template <class T>
const T* right_row(const hg_right& right, int64_t row) {
  const int k = row >= right.first;
  return static_cast<const T*>(right.part[k]) + (row - (k ? right.first : 0)) * right.stride[k];
}

// What a kernel is given: some rows of both sides, some units of a block and columns of its right side.
struct piece_of_sums {
  int64_t row, depth, unit, units, column, width;
};

// All sums of one thread. A `Kernel` adds the products of some rows to results; its constants are how many rows, units and
// columns it is given at once, whose results stay in the second cache until all rows are summed, and how many units it
// takes together.
template <class Kernel>
class summing {
  using T = typename Kernel::number;
  static constexpr int64_t GROUP = Kernel::GROUP, DEPTH = Kernel::DEPTH, UNITS = Kernel::UNITS, WIDTH = Kernel::WIDTH;

 public:
  explicit summing(const hg_summing& job) : job_(job) {
    int64_t units = 0, width = 0;
    for (int32_t b = 0; b < job.n_blocks; ++b) {
      units = std::max(units, std::min(groups(job.blocks[b]) * GROUP, UNITS));
      if (job.blocks[b].result) width = std::max(width, std::min(job.blocks[b].right->columns, WIDTH));
    }
    width = (width + Kernel::COLUMNS - 1) / Kernel::COLUMNS * Kernel::COLUMNS;
    // A block more than needed: rows a power of two apart would drive each other out of the cache.
    stride_ = width + HG_BLOCK;
    results_ = lines<T>(units * stride_);
    kernel_.make_room(width);
  }

  // Groups of units, which are what threads share.
  static int64_t groups(const hg_block& block) { return (block.units + GROUP - 1) / GROUP; }

  // What a group takes, in columns: its product, and what is read and added up beside it.
  static int64_t cost(const hg_block& block) { return (block.result ? block.right->columns : 0) + 32; }

  static int64_t total(const hg_summing& job) {
    int64_t sum = 0;
    for (int32_t b = 0; b < job.n_blocks; ++b) sum += groups(job.blocks[b]) * cost(job.blocks[b]);
    return sum;
  }

  // The group of all blocks, counted through, before which so much is done.
  static int64_t group_at(const hg_summing& job, int64_t done) {
    int64_t group = 0;
    for (int32_t b = 0; b < job.n_blocks; ++b) {
      const int64_t own = groups(job.blocks[b]), each = cost(job.blocks[b]);
      if (done < own * each) return group + done / each;
      group += own, done -= own * each;
    }
    return group;
  }

  // Some groups of all blocks, counted through.
  void all(int64_t from, int64_t to) {
    for (int32_t b = 0; b < job_.n_blocks; from -= groups(job_.blocks[b]), to -= groups(job_.blocks[b]), ++b) {
      const hg_block& block = job_.blocks[b];
      const int64_t first = std::max<int64_t>(from, 0) * GROUP, last = std::min(to * GROUP, block.units);
      constexpr int64_t TOGETHER = UNITS / GROUP * GROUP;
      for (int64_t unit = first; unit < last; unit += TOGETHER) some_units(block, unit, std::min(TOGETHER, last - unit));
    }
  }

 private:
  void some_units(const hg_block& block, int64_t unit, int64_t units) {
    if (block.sum) std::fill_n(static_cast<T*>(block.sum) + unit, units, T(0));
    const int64_t columns = block.result ? block.right->columns : 1, whole = (units + GROUP - 1) / GROUP * GROUP;
    for (int64_t column = 0; column < columns; column += WIDTH) {
      const int64_t width = std::min(WIDTH, columns - column);
      std::fill_n(results_.get(), whole * stride_, T(0));
      for (int64_t row = 0; row < job_.rows; row += DEPTH) {
        const int64_t depth = std::min(DEPTH, job_.rows - row);
        if (block.result) kernel_.add(job_, block, {row, depth, unit, units, column, width}, results_.get(), stride_);
        if (block.sum && column == 0) add_up(block, row, depth, unit, units);
      }
      if (!block.result) continue;
      T* to = static_cast<T*>(block.result) + unit * columns + column;
      for (int64_t u = 0; u < units; ++u) std::copy_n(results_.get() + u * stride_, width, to + u * columns);
    }
  }

  // From zero, and onto the sum at the end: a piece's sum is then rounded against itself, not against all before it.
  void add_up(const hg_block& block, int64_t row, int64_t depth, int64_t unit, int64_t units) const {
    T piece[UNITS] = {};
    const T* from = left_row<T>(job_, row) + block.from + unit;
    for (int64_t k = 0; k < depth; ++k, from += job_.stride)
      for (int64_t u = 0; u < units; ++u) piece[u] += from[u];
    for (int64_t u = 0; u < units; ++u) static_cast<T*>(block.sum)[unit + u] += piece[u];
  }

  const hg_summing& job_;
  int64_t stride_;
  lines<T> results_;
  Kernel kernel_;
};

template <class Kernel>
void sum(const hg_summing& job) {
  constexpr int64_t WORTH_A_THREAD = 1 << 21;
  int64_t work = 0;
  for (int32_t b = 0; b < job.n_blocks; ++b) {
    const hg_block& block = job.blocks[b];
    work += job.rows * block.units * (block.result ? block.right->columns : 1);
  }
  const auto some = [](void* argument, int32_t thread, int32_t threads) {
    const hg_summing& job = *static_cast<const hg_summing*>(argument);
    const int64_t total = summing<Kernel>::total(job);
    const auto edge = [&](int64_t k) { return summing<Kernel>::group_at(job, total * k / threads); };
    summing<Kernel>(job).all(edge(thread), edge(thread + 1));
  };
  const int32_t threads = static_cast<int32_t>(std::clamp<int64_t>(work / WORTH_A_THREAD, 1, std::max(job.threads, 1)));
  hg_parallel(some, const_cast<hg_summing*>(&job), threads);
}

}  // namespace
}  // namespace headgate
