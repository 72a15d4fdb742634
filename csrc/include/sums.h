// Sums over all steps and rows of products, left^T right, and of left: what is shared by the kinds of numbers of which
// products are made.
#pragma once

#include <algorithm>
#include <vector>

#include "headgate.h"
#include "room.h"

namespace headgate {
namespace {

// Some columns of one right side, and where they begin in a row of results.
struct part_of_right {
  const hg_right* right;
  int64_t column, width, at;
};

// What a kernel is given: some rows of both sides, some of the left one's units and what they are multiplied with.
struct piece_of_sums {
  int64_t row, depth, from, units;
  const std::vector<part_of_right>& parts;
  int64_t width;  // of all parts, each a multiple of the kernel's columns
  int64_t across;  // where the rows lie in a unit of a turned left side
};

// Rows of both sides, and the first of a turned one's units.
template <class T>
const T* left_row(const hg_summing& job, int64_t row) {
  return static_cast<const T*>(job.left) + row * job.stride;
}
template <class T>
const T* left_turned(const hg_summing& job, const piece_of_sums& at) {
  return static_cast<const T*>(job.left) + at.from * job.stride + at.across;
}
template <class T>
const T* right_row(const hg_right& right, int64_t row) {
  const int k = row >= right.first;
  return static_cast<const T*>(right.part[k]) + (row - (k ? right.first : 0)) * right.stride[k];
}


// All sums of one thread. A `Kernel` adds the products of some rows to results; its constants are how many rows, units and
// columns it is given at once, whose results stay in the second cache until all rows are summed, and how many units it
// takes together.
template <class Kernel>
class summing {
  using T = typename Kernel::number;
  static constexpr int64_t GROUP = Kernel::GROUP, COLUMNS = Kernel::COLUMNS;
  static constexpr int64_t DEPTH = Kernel::DEPTH, UNITS = Kernel::UNITS, WIDTH = Kernel::WIDTH;

 public:
  explicit summing(const hg_summing& job) : job_(job) {
    int64_t units = 0, width = 0;
    each_stretch(job, [&](const stretch& blocks) {
      units = std::max(units, std::min(blocks.groups() * GROUP, UNITS));
      width = std::max(width, std::min(blocks.columns(), WIDTH));
    });
    // A block more than needed: rows a power of two apart would drive each other out of the cache.
    stride_ = width + HG_BLOCK;
    results_ = lines<T>(units * stride_);
    kernel_.make_room(width);
  }

  // What all groups take, in columns.
  static int64_t total(const hg_summing& job) {
    int64_t sum = 0;
    each_stretch(job, [&](const stretch& blocks) { sum += blocks.groups() * blocks.cost(); });
    return sum;
  }

  // The group of all stretches, counted through, before which so much is done.
  static int64_t group_at(const hg_summing& job, int64_t done) {
    int64_t group = 0;
    each_stretch(job, [&](const stretch& blocks) {
      const int64_t own = std::min(done / blocks.cost(), blocks.groups());
      group += own;
      done -= own < blocks.groups() ? done : own * blocks.cost();
    });
    return group;
  }

  // Some groups of all stretches, counted through.
  void all(int64_t from, int64_t to) {
    each_stretch(job_, [&](const stretch& blocks) {
      const int64_t first = std::max<int64_t>(from, 0) * GROUP, last = std::min(to * GROUP, blocks.begin->units);
      constexpr int64_t TOGETHER = UNITS / GROUP * GROUP;
      for (int64_t unit = first; unit < last; unit += TOGETHER) some_units(blocks, unit, std::min(TOGETHER, last - unit));
      from -= blocks.groups(), to -= blocks.groups();
    });
  }

 private:
  static int64_t whole(int64_t columns) { return (columns + COLUMNS - 1) / COLUMNS * COLUMNS; }

  // Blocks of the same left columns, which are read once for all their right sides.
  struct stretch {
    const hg_block *begin, *end;

    // Groups of units, which are what threads share.
    int64_t groups() const { return (begin->units + GROUP - 1) / GROUP; }
    int64_t columns() const {
      int64_t sum = 0;
      for (const hg_block* block = begin; block < end; ++block) sum += block->result ? whole(block->right->columns) : 0;
      return sum;
    }
    // What a group takes, in columns: its products, and what is read and added up beside them.
    int64_t cost() const { return columns() + 32; }
  };

  template <class Work>
  static void each_stretch(const hg_summing& job, const Work& work) {
    const hg_block* const end = job.blocks + job.n_blocks;
    for (const hg_block* block = job.blocks; block < end;) {
      stretch same{block, block + 1};
      while (same.end < end && same.end->from == block->from && same.end->units == block->units) ++same.end;
      work(same);
      block = same.end;
    }
  }

  void some_units(const stretch& blocks, int64_t unit, int64_t units) {
    const auto is_summed = [](const hg_block& block) { return block.sum != nullptr; };
    const hg_block *const summed = std::find_if(blocks.begin, blocks.end, is_summed), *block = blocks.begin;
    T* sum = summed == blocks.end ? nullptr : static_cast<T*>(summed->sum) + unit;
    std::vector<part_of_right> parts;
    std::vector<T*> to;
    int64_t column = 0;
    do {
      // As many columns as are taken at once, of one right side after the other.
      parts.clear(), to.clear();
      int64_t width = 0;
      for (; block < blocks.end && width < WIDTH; ++block, column = 0) {
        if (!block->result) continue;
        const int64_t columns = block->right->columns, some = std::min(WIDTH - width, columns - column);
        parts.push_back({block->right, column, some, width});
        to.push_back(static_cast<T*>(block->result) + unit * columns + column);
        width += whole(some), column += some;
        if (column < columns) break;
      }
      all_rows({0, 0, blocks.begin->from + unit, units, parts, width, 0}, sum);
      sum = nullptr;
      for (size_t k = 0; k < parts.size(); ++k)
        for (int64_t u = 0; u < units; ++u)
          std::copy_n(results_.get() + u * stride_ + parts[k].at, parts[k].width, to[k] + u * parts[k].right->columns);
    } while (block < blocks.end);
    for (const hg_block* other = summed; other < blocks.end; ++other)
      if (other->sum && other != summed) std::copy_n(static_cast<T*>(summed->sum) + unit, units, static_cast<T*>(other->sum) + unit);
  }

  void all_rows(piece_of_sums at, T* sum) {
    std::fill_n(results_.get(), (at.units + GROUP - 1) / GROUP * GROUP * stride_, T(0));
    if (sum) std::fill_n(sum, at.units, T(0));
    for (int32_t s = 0; s < std::max(job_.segments, 1); ++s) {
      const int64_t rows = job_.segments ? job_.length[s] : job_.rows;
      for (int64_t done = 0; done < rows; done += at.depth, at.row += at.depth) {
        at.depth = std::min(DEPTH, rows - done);
        at.across = job_.segments ? job_.start[s] + done : 0;
        if (at.width) kernel_.add(job_, at, results_.get(), stride_);
        if (sum) add_up(at, sum);
      }
    }
  }

  // From zero, and onto the sum at the end: a piece's sum is then rounded against itself, not against all before it.
  void add_up(const piece_of_sums& at, T* sum) const {
    T piece[UNITS] = {};
    const T* from = left_row<T>(job_, at.row) + at.from;
    for (int64_t k = 0; k < at.depth; ++k, from += job_.stride)
      for (int64_t u = 0; u < at.units; ++u) piece[u] += from[u];
    for (int64_t u = 0; u < at.units; ++u) sum[u] += piece[u];
  }

  const hg_summing& job_;
  int64_t stride_;
  block<T> results_;
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
