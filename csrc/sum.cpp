// Gradients of weights: products that sum over all steps and rows. Compiled once for each instruction set.
#include <algorithm>
#include <cstring>

#include "headgate.h"
#include "lanes.h"
#include "product.h"
#include "step.h"
#include "sums.h"
#include "sums_tiles.h"

namespace headgate {
namespace {

// Products of numbers as they come.
template <class T>
class plain_sums {
  static constexpr int per_panel = kernel_shape<T>::per_panel, panels = per_panel >= 2 ? 1 : 2;

 public:
  using number = T;
  static constexpr int64_t GROUP = kernel_shape<T>::accumulators / (panels * per_panel), COLUMNS = panels * HG_BLOCK;
  static constexpr int64_t DEPTH = 128, UNITS = 512, WIDTH = 256;

  void make_room(int64_t width) { left_ = lines<T>(DEPTH * GROUP), right_ = lines<T>(DEPTH * width); }

  void add(const hg_summing& job, const hg_block& block, const piece_of_sums& at, T* results, int64_t stride) const {
    const int64_t depth = at.depth, strips = (at.width + COLUMNS - 1) / COLUMNS, groups = (at.units + GROUP - 1) / GROUP;
    for (int64_t k = 0; k < depth; ++k) {
      const T* from = right_row<T>(*block.right, at.row + k) + at.column;
      for (int64_t s = 0; s < strips; ++s)
        copy<COLUMNS>(from + s * COLUMNS, right_.get() + (s * depth + k) * COLUMNS, at.width - s * COLUMNS);
    }
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t count = std::min(GROUP, at.units - g * GROUP);
      // Into the first cache, where it stays while all columns are multiplied with it.
      const T* from = left_row<T>(job, at.row) + block.from + at.unit + g * GROUP;
      for (int64_t k = 0; k < depth; ++k, from += job.stride) copy<GROUP>(from, left_.get() + k * GROUP, count);
      for (int64_t s = 0; s < strips; ++s) {
        const T* const right = right_.get() + s * depth * COLUMNS;
        product_task<T> task{left_.get(), 1, GROUP, right, COLUMNS, depth, nullptr, {}, stride, nullptr, false};
        for (int p = 0; p < panels; ++p) task.result[p] = results + g * GROUP * stride + s * COLUMNS + p * HG_BLOCK;
        multiply_rows<T, panels, false, GROUP>(task, 0, static_cast<int>(count), 0, {});
      }
    }
  }

 private:
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

  lines<T> left_, right_;
};

}  // namespace
}  // namespace headgate

#if defined(HG_TILES)
extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, bf16)(const hg_summing* job) {
  headgate::sum<headgate::tile_sums<headgate::HG_TILES>>(*job);
}
#else
extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, f32)(const hg_summing* job) { headgate::sum<headgate::plain_sums<float>>(*job); }
extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, f64)(const hg_summing* job) { headgate::sum<headgate::plain_sums<double>>(*job); }
#endif
