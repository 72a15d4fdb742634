// Gradients of weights: products that sum over all steps and rows. Compiled once for each instruction set.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "headgate.h"
#include "lanes.h"
#include "product.h"
#include "step.h"

namespace headgate {
namespace {

// Rows summed in one go; units and columns of the results, which stay in the second cache until all rows are summed.
constexpr int64_t DEPTH = 128, UNITS = 512, WIDTH = 256;

template <class T>
struct sum_shape {
  static constexpr int per_panel = kernel_shape<T>::per_panel;
  static constexpr int panels = per_panel >= 2 ? 1 : 2;
  static constexpr int units = kernel_shape<T>::accumulators / (panels * per_panel);  // of a group
};

template <class T>
class summing {
  static constexpr int64_t STRIP_WIDTH = sum_shape<T>::panels * HG_BLOCK, GROUP = sum_shape<T>::units;

 public:
  explicit summing(const hg_summing& job) : job_(job), left_(allocate(DEPTH * GROUP)) {
    int64_t units = 0, width = 0;
    for (int32_t b = 0; b < job.n_blocks; ++b) {
      units = std::max(units, std::min(groups(job.blocks[b]) * GROUP, UNITS));
      if (job.blocks[b].result) width = std::max(width, std::min(job.blocks[b].right->columns, WIDTH));
    }
    width = (width + STRIP_WIDTH - 1) / STRIP_WIDTH * STRIP_WIDTH;
    // A block more than needed: rows a power of two apart would drive each other out of the cache.
    stride_ = width + HG_BLOCK;
    right_ = allocate(DEPTH * width), results_ = allocate(units * stride_);
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
  struct release {
    void operator()(T* memory) const { ::operator delete(memory, std::align_val_t(64)); }
  };
  using memory = std::unique_ptr<T, release>;
  static memory allocate(int64_t count) { return memory(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64)))); }

  void some_units(const hg_block& block, int64_t unit, int64_t units) {
    if (block.sum) std::fill_n(static_cast<T*>(block.sum) + unit, units, T(0));
    const int64_t columns = block.result ? block.right->columns : 1;
    for (int64_t column = 0; column < columns; column += WIDTH) {
      const int64_t width = std::min(WIDTH, columns - column);
      std::fill_n(results_.get(), units * stride_, T(0));
      for (int64_t row = 0; row < job_.rows; row += DEPTH) {
        const int64_t depth = std::min(DEPTH, job_.rows - row);
        if (block.sum && column == 0) add_up(block, row, depth, unit, units);
        if (block.result) piece(block, row, depth, unit, units, column, width);
      }
      if (!block.result) continue;
      T* to = static_cast<T*>(block.result) + unit * columns + column;
      for (int64_t u = 0; u < units; ++u) std::copy_n(results_.get() + u * stride_, width, to + u * columns);
    }
  }

  // From zero, and onto the sum at the end: a piece's sum is then rounded against itself, not against all before it.
  void add_up(const hg_block& block, int64_t row, int64_t depth, int64_t unit, int64_t units) const {
    T piece[UNITS] = {};
    const T* from = left_row(row) + block.from + unit;
    for (int64_t k = 0; k < depth; ++k, from += job_.stride)
      for (int64_t u = 0; u < units; ++u) piece[u] += from[u];
    for (int64_t u = 0; u < units; ++u) static_cast<T*>(block.sum)[unit + u] += piece[u];
  }

  // Some rows of both sides, some units and columns.
  void piece(const hg_block& block, int64_t row, int64_t depth, int64_t unit, int64_t units, int64_t column, int64_t width) {
    const int64_t strips = (width + STRIP_WIDTH - 1) / STRIP_WIDTH, groups = (units + GROUP - 1) / GROUP;
    for (int64_t k = 0; k < depth; ++k) {
      const T* from = right_row(*block.right, row + k) + column;
      for (int64_t s = 0; s < strips; ++s)
        copy<STRIP_WIDTH>(from + s * STRIP_WIDTH, right_.get() + (s * depth + k) * STRIP_WIDTH, width - s * STRIP_WIDTH);
    }
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t count = std::min(GROUP, units - g * GROUP);
      // Into the first cache, where it stays while all columns are multiplied with it.
      const T* from = left_row(row) + block.from + unit + g * GROUP;
      for (int64_t k = 0; k < depth; ++k, from += job_.stride) copy<GROUP>(from, left_.get() + k * GROUP, count);
      for (int64_t s = 0; s < strips; ++s) {
        const T* const right = right_.get() + s * depth * STRIP_WIDTH;
        product_task<T> task{left_.get(), 1, GROUP, right, STRIP_WIDTH, depth, nullptr, {}, stride_, nullptr, false};
        for (int p = 0; p < sum_shape<T>::panels; ++p) task.result[p] = results_.get() + g * GROUP * stride_ + s * STRIP_WIDTH + p * HG_BLOCK;
        multiply_rows<T, sum_shape<T>::panels, false, GROUP>(task, 0, static_cast<int>(count), 0, {});
      }
    }
  }

  const T* left_row(int64_t row) const { return static_cast<const T*>(job_.left) + row * job_.stride; }
  static const T* right_row(const hg_right& right, int64_t row) {
    const int k = row >= right.first;
    return static_cast<const T*>(right.part[k]) + (row - (k ? right.first : 0)) * right.stride[k];
  }

  // The number of values is known to the compiler where all are there, which then calls no function: `std::copy_n` would,
  // since it allows for the two to overlap.
  template <int64_t COUNT>
  static void copy(const T* from, T* to, int64_t valid) {
    if (valid >= COUNT) {
      std::memcpy(to, from, COUNT * sizeof(T));
    } else {
      std::fill(std::copy_n(from, valid, to), to + COUNT, T(0));
    }
  }

  const hg_summing& job_;
  int64_t stride_;
  memory left_, right_, results_;
};

template <class T>
void sum(const hg_summing& job) {
  constexpr int64_t WORTH_A_THREAD = 1 << 21;
  int64_t work = 0;
  for (int32_t b = 0; b < job.n_blocks; ++b) {
    const hg_block& block = job.blocks[b];
    work += job.rows * block.units * (block.result ? block.right->columns : 1);
  }
  const auto some = [](void* argument, int32_t thread, int32_t threads) {
    const hg_summing& job = *static_cast<const hg_summing*>(argument);
    const int64_t total = summing<T>::total(job);
    const auto edge = [&](int64_t k) { return summing<T>::group_at(job, total * k / threads); };
    summing<T>(job).all(edge(thread), edge(thread + 1));
  };
  const int32_t threads = static_cast<int32_t>(std::clamp<int64_t>(work / WORTH_A_THREAD, 1, std::max(job.threads, 1)));
  hg_parallel(some, const_cast<hg_summing*>(&job), threads);
}

}  // namespace
}  // namespace headgate

extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, f32)(const hg_summing* job) { headgate::sum<float>(*job); }
extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, f64)(const hg_summing* job) { headgate::sum<double>(*job); }
