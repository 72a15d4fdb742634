// Products of all rows at once with packed weights: the gradient of the input. Compiled once for each instruction set.
#include <algorithm>

#include "headgate.h"
#include "lanes.h"
#include "product.h"
#include "product_tiles.h"
#include "step.h"

namespace headgate {
namespace {

// Rows that stay in the second cache while they are multiplied with all weights.
constexpr int64_t ROWS = 96;

template <class T, class Products>
class multiplying {
  using operand = typename Products::operand;

 public:
  explicit multiplying(const hg_multiplying& job) : job_(job), panels_((job.units + HG_BLOCK - 1) / HG_BLOCK) {
    product_.segments = job.segments, product_.start = job.start, product_.length = job.length;
    depth_ = products_.depth(product_);
    products_.begin(task_, panels_ * HG_BLOCK * depth_ * sizeof(operand));
    products_.make_room(INPUT_SLOT, ROWS, product_);
  }

  void all(int64_t from, int64_t to) {
    const int64_t groups = (to - from + ROWS - 1) / ROWS, step = strip_units(panels_);
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t row = from + (to - from) * g / groups, end = from + (to - from) * (g + 1) / groups;
      const vectors_of<T> given{static_cast<const T*>(job_.vector) + row * job_.stride, job_.stride};
      const auto vectors = products_.vectors(INPUT_SLOT, 0, given, end - row, product_);
      task_.vector = vectors.first, task_.vector_stride = vectors.stride;
      for (int64_t first = 0; first < panels_; first += step) some(row, end - row, first, std::min(step, panels_ - first));
    }
  }

 private:
  // Some rows with one strip; by way of memory of our own where its last panel is not whole.
  void some(int64_t row, int64_t rows, int64_t first, int64_t panels) {
    alignas(64) T own[ROWS * STRIP * HG_BLOCK];
    const int64_t width = std::min(panels * HG_BLOCK, job_.units - first * HG_BLOCK);
    const bool whole = width == panels * HG_BLOCK;
    T* const result = static_cast<T*>(job_.result) + row * job_.units + first * HG_BLOCK;
    task_.result_stride = whole ? job_.units : panels * HG_BLOCK;
    for (int64_t p = 0; p < panels; ++p) task_.result[p] = (whole ? result : own) + p * HG_BLOCK;
    task_.start = products_.nothing();
    const auto weight = [&](int64_t panel) {
      return static_cast<const operand*>(job_.packed) + panel % panels_ * HG_BLOCK * depth_;
    };
    products_.announce(task_, weight(first + panels));
    products_.strip(product_, task_, weight(first), static_cast<int>(panels), rows);
    for (int64_t r = 0; !whole && r < rows; ++r) std::copy_n(own + r * panels * HG_BLOCK, width, result + r * job_.units);
  }

  const hg_multiplying& job_;
  const int64_t panels_;
  hg_product product_{};
  Products products_;
  typename Products::task task_{};
  int64_t depth_ = 0;
};

template <class T, class Products = plain_products<T>>
void multiply_all(const hg_multiplying& job) {
  constexpr int64_t WORTH_A_THREAD = 1 << 21;
  int64_t depth = 0;
  for (int32_t s = 0; s < job.segments; ++s) depth += job.length[s];
  const int64_t work = job.rows * job.units * depth;
  const auto some = [](void* argument, int32_t thread, int32_t threads) {
    const hg_multiplying& job = *static_cast<const hg_multiplying*>(argument);
    multiplying<T, Products>(job).all(job.rows * thread / threads, job.rows * (thread + 1) / threads);
  };
  const int32_t threads = static_cast<int32_t>(std::clamp<int64_t>(work / WORTH_A_THREAD, 1, std::max(job.threads, 1)));
  hg_parallel(some, const_cast<hg_multiplying*>(&job), threads);
}

}  // namespace
}  // namespace headgate

#if defined(HG_TILES)
extern "C" HG_PUBLIC void HG_JOIN(hg_multiply, HG_ISA, bf16)(const hg_multiplying* job) {
  headgate::multiply_all<float, headgate::tile_products<headgate::HG_TILES>>(*job);
}
#else
extern "C" HG_PUBLIC void HG_JOIN(hg_multiply, HG_ISA, f32)(const hg_multiplying* job) { headgate::multiply_all<float>(*job); }
extern "C" HG_PUBLIC void HG_JOIN(hg_multiply, HG_ISA, f64)(const hg_multiplying* job) { headgate::multiply_all<double>(*job); }
#endif
