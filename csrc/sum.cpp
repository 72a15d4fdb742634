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
  static constexpr int64_t DEPTH = 192, UNITS = 384, WIDTH = 256;

  void make_room(int64_t width) { left_ = lines<T>(DEPTH * UNITS), right_ = lines<T>(DEPTH * width); }

  void add(const hg_summing& job, const piece_of_sums& at, T* results, int64_t stride) const {
    const int64_t depth = at.depth, strips = at.width / COLUMNS, groups = (at.units + GROUP - 1) / GROUP;
    for (const part_of_right& part : at.parts) {
      const auto row = [&](int64_t k) { return right_row<T>(*part.right, at.row + k) + part.column; };
      pack<COLUMNS>(row, depth, part.width, right_.get() + part.at * depth);
    }
    const bool turned = job.segments > 0;  // units' values then lie as a product reads them
    const auto left_at = [&](int64_t k) { return left_row<T>(job, at.row + k) + at.from; };
    if (!turned) pack<GROUP>(left_at, depth, at.units, left_.get());
    for (int64_t s = 0; s < strips; ++s) {
      // Stays in the first cache while all units are multiplied with it.
      const T* const right = right_.get() + s * depth * COLUMNS;
      for (int64_t g = 0; g < groups; ++g) {
        const int count = static_cast<int>(std::min(GROUP, at.units - g * GROUP));
        product_task<T> task{left_.get() + g * depth * GROUP, 1, GROUP, right, COLUMNS, depth, nullptr, {}, stride, nullptr, false};
        if (turned) {
          task.vector = left_turned<T>(job, at) + g * GROUP * job.stride;
          task.vector_stride = job.stride, task.vector_step = 1;
        }
        for (int p = 0; p < panels; ++p) task.result[p] = results + g * GROUP * stride + s * COLUMNS + p * HG_BLOCK;
        multiply_rows<T, panels, false, GROUP>(task, 0, count, 0, {});
      }
    }
  }

 private:
  // Rows into panels of so many values each, [panel][row][COUNT], zeros for what is missing at an edge. Some rows at a
  // time, each read in one stream: panel by panel, their rows, a power of two apart, would meet in one set of the cache.
  template <int64_t COUNT, class Row>
  static void pack(const Row& row, int64_t depth, int64_t values, T* to) {
    constexpr int64_t TOGETHER = 8;
    for (int64_t first = 0; first < depth; first += TOGETHER) {
      const int64_t rows = std::min(TOGETHER, depth - first);
      const T* from[TOGETHER];
      for (int64_t k = 0; k < rows; ++k) from[k] = row(first + k);
      for (int64_t value = 0; value < values; value += COUNT)
        for (int64_t k = 0; k < rows; ++k) copy<COUNT>(from[k] + value, to + value * depth + (first + k) * COUNT, values - value);
    }
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

  block<T> left_, right_;
};

}  // namespace
}  // namespace headgate

#if defined(HG_TILES)
extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, bf16)(const hg_summing* job) {
  headgate::sum<headgate::tile_sums<headgate::HG_TILES, 1>>(*job);
}
extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, f32)(const hg_summing* job) {
  headgate::sum<headgate::tile_sums<headgate::HG_TILES, 3>>(*job);
}
#else
extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, f32)(const hg_summing* job) { headgate::sum<headgate::plain_sums<float>>(*job); }
extern "C" HG_PUBLIC void HG_JOIN(hg_sum, HG_ISA, f64)(const hg_summing* job) { headgate::sum<headgate::plain_sums<double>>(*job); }
#endif
