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

// Rows summed in one go, and columns of the right side whose rows then stay in the second cache.
constexpr int64_t DEPTH = 128, WIDTH = 256, STRIP_WIDTH = STRIP * HG_BLOCK;

template <class T>
class summing {
 public:
  summing(const hg_summing& job, int64_t from, int64_t to)
      : job_(job), from_(from), to_(to), right_(allocate(DEPTH * WIDTH)), left_(allocate(DEPTH * HG_BLOCK)) {}

  void all() {
    if (job_.sum) std::fill(static_cast<T*>(job_.sum) + from_, static_cast<T*>(job_.sum) + to_, T(0));
    for (int r = 0; r < job_.n_right; ++r) {
      const int64_t padded = width_of(job_.right[r]);
      std::fill(static_cast<T*>(job_.right[r].result) + from_ * padded, static_cast<T*>(job_.right[r].result) + to_ * padded, T(0));
    }
    for (int64_t row = 0; row < job_.rows; row += DEPTH) {
      const int64_t depth = std::min(DEPTH, job_.rows - row);
      for (int r = 0; r < job_.n_right; ++r)
        for (int64_t column = 0; column < job_.right[r].columns; column += WIDTH)
          piece(job_.right[r], row, depth, column, r == 0 && column == 0);
    }
  }

 private:
  struct release {
    void operator()(T* memory) const { ::operator delete(memory, std::align_val_t(64)); }
  };
  static T* allocate(int64_t count) { return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64))); }
  static int64_t width_of(const hg_right& right) { return (right.columns + HG_BLOCK - 1) / HG_BLOCK * HG_BLOCK; }

  static const T* row_of(const hg_right& right, int64_t row) {
    const int k = row >= right.first;
    return static_cast<const T*>(right.part[k]) + (row - (k ? right.first : 0)) * right.stride[k];
  }

  // Some rows of both sides, some columns of the right one.
  void piece(const hg_right& right, int64_t row, int64_t depth, int64_t column, bool first) {
    const int64_t width = std::min(WIDTH, right.columns - column), padded = (width + HG_BLOCK - 1) / HG_BLOCK * HG_BLOCK;
    for (int64_t k = 0; k < depth; ++k) {
      const T* from = row_of(right, row + k) + column;
      for (int64_t c = 0; c < padded; c += STRIP_WIDTH) {
        const int64_t panels = std::min(STRIP_WIDTH, padded - c), valid = std::clamp<int64_t>(width - c, 0, panels);
        copy(from + c, right_.get() + c * depth + k * panels, valid, panels);
      }
    }
    for (int64_t unit = from_; unit < to_; unit += HG_BLOCK) {
      const int64_t units = std::min<int64_t>(HG_BLOCK, to_ - unit);
      pack_left(row, depth, unit, units, first);
      const int64_t stride = width_of(right);
      T* result = static_cast<T*>(right.result) + unit * stride + column;
      for (int64_t c = 0; c < padded; c += STRIP_WIDTH) {
        const int panels = static_cast<int>(std::min(STRIP_WIDTH, padded - c) / HG_BLOCK);
        product_task<T> task{left_.get(), 1, HG_BLOCK, right_.get() + c * depth, panels * HG_BLOCK, depth, nullptr, {}, stride};
        for (int p = 0; p < panels; ++p) task.result[p] = result + c + p * HG_BLOCK;
        multiply_strip<T>(task, units, panels);
      }
    }
  }

  void pack_left(int64_t row, int64_t depth, int64_t unit, int64_t units, bool sum) {
    using V = lanes_of<T>;
    constexpr int VECTORS = HG_BLOCK / lanes<V>;
    const T* from = static_cast<const T*>(job_.left) + row * job_.stride + unit;
    T* to = left_.get();
    V total[VECTORS] = {};
    for (int64_t k = 0; k < depth; ++k, from += job_.stride, to += HG_BLOCK) {
      copy(from, to, units, HG_BLOCK);
      for (int v = 0; v < VECTORS; ++v) total[v] += load<V>(to + v * lanes<V>);
    }
    if (sum && job_.sum)
      for (int64_t u = 0; u < units; ++u) static_cast<T*>(job_.sum)[unit + u] += total[u / lanes<V>][u % lanes<V>];
  }

  // Whole vectors where there are enough values, which a call of memcpy for each few would cost more than.
  static void copy(const T* from, T* to, int64_t valid, int64_t width) {
    using V = lanes_of<T>;
    int64_t u = 0;
    for (; u + lanes<V> <= valid; u += lanes<V>) store<V>(to + u, load<V>(from + u));
    for (; u < width; ++u) to[u] = u < valid ? from[u] : T(0);
  }

  const hg_summing& job_;
  const int64_t from_, to_;
  std::unique_ptr<T, release> right_, left_;
};

template <class T>
void sum(const hg_summing& job) {
  const auto work = [](void* argument, int32_t thread, int32_t threads) {
    const hg_summing& job = *static_cast<const hg_summing*>(argument);
    const int64_t blocks = (job.columns + HG_BLOCK - 1) / HG_BLOCK;
    const auto edge = [&](int64_t k) { return std::min(blocks * k / threads * HG_BLOCK, job.columns); };
    if (edge(thread) < edge(thread + 1)) summing<T>(job, edge(thread), edge(thread + 1)).all();
  };
  constexpr int64_t WORTH_A_THREAD = 1 << 18;
  int64_t columns = 1;
  for (int r = 0; r < job.n_right; ++r) columns += job.right[r].columns;
  const int64_t worth = job.rows * job.columns * columns / WORTH_A_THREAD;
  const int32_t threads = static_cast<int32_t>(std::clamp<int64_t>(worth, 1, std::max(job.threads, 1)));
  hg_parallel(work, const_cast<hg_summing*>(&job), threads);
}

}  // namespace
}  // namespace headgate

extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, f32)(const hg_summing* job) { headgate::sum<float>(*job); }
extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, f64)(const hg_summing* job) { headgate::sum<double>(*job); }
