// Weights in the order in which products read them. Compiled once for each instruction set.
#include <algorithm>
#include <cstring>

#include "headgate.h"
#include "lanes.h"
#include "product.h"
#include "step.h"

namespace headgate {
namespace {

template <class T>
struct packer {
  const hg_packing& job;
  const T* weight = static_cast<const T*>(job.weight);
  T* packed = static_cast<T*>(job.packed);

  // Result units and the length of the products.
  int64_t units() const { return job.back ? job.columns : job.rows; }
  int64_t K() const { return job.back ? job.blocks * job.rows : job.columns; }
  int64_t blocks() const { return job.back ? 1 : job.blocks; }

  // One panel: 16 units of block b, lying `panels` apart in its strip.
  void panel(int64_t block, int64_t unit, T* to, int64_t panels) const {
    const int64_t valid = std::clamp<int64_t>(units() - unit, 0, HG_BLOCK), step = panels * HG_BLOCK;
    if (job.back) {
      for (int64_t k = 0; k < K(); ++k, to += step) {
        std::copy_n(weight + k * job.columns + unit, valid, to);
        std::fill(to + valid, to + HG_BLOCK, T(0));
      }
      return;
    }
    const T* from = weight + (block * job.rows + unit) * job.columns;
    // By square pieces, which are turned in the first cache.
    T piece[HG_BLOCK][HG_BLOCK] = {};
    for (int64_t k0 = 0; k0 < K(); k0 += HG_BLOCK) {
      const int64_t count = std::min<int64_t>(HG_BLOCK, K() - k0);
      for (int64_t u = 0; u < valid; ++u) std::copy_n(from + u * job.columns + k0, count, piece[u]);
      for (int64_t k = 0; k < count; ++k, to += step)
        for (int64_t u = 0; u < HG_BLOCK; ++u) to[u] = piece[u][k];
    }
  }

  void strips(int64_t from, int64_t to) const {
    const int64_t n = (units() + HG_BLOCK - 1) / HG_BLOCK, step = blocks() == 1 ? strip_units(n) : 1;
    const int64_t strips = (n + step - 1) / step;
    for (int64_t s = from; s < std::min(to, strips); ++s) {
      const int64_t j = s * step;
      for (int64_t b = 0; b < blocks(); b += STRIP) {
        const bool alone = blocks() == 1;
        const int64_t panels = alone ? std::min(step, n - j) : std::min<int64_t>(STRIP, blocks() - b);
        T* strip = packed + (j * blocks() + b) * HG_BLOCK * K();
        for (int64_t p = 0; p < panels; ++p)
          panel(alone ? 0 : b + p, (alone ? j + p : j) * HG_BLOCK, strip + p * HG_BLOCK, panels);
      }
      if (job.bias) biases(j, std::min(j + step, n));
    }
  }
  int64_t count() const {
    const int64_t n = (units() + HG_BLOCK - 1) / HG_BLOCK, step = blocks() == 1 ? strip_units(n) : 1;
    return (n + step - 1) / step;
  }

  void biases(int64_t from, int64_t to) const {
    const T* bias = static_cast<const T*>(job.bias);
    T* out = static_cast<T*>(job.packed_bias);
    for (int64_t j = from; j < to; ++j)
      for (int64_t b = 0; b < job.blocks; ++b)
        for (int64_t u = 0; u < HG_BLOCK; ++u) {
          const int64_t unit = j * HG_BLOCK + u;
          out[(j * job.blocks + b) * HG_BLOCK + u] = unit < job.rows ? bias[b * job.rows + unit] : T(0);
        }
  }
};

template <class T>
void pack(const hg_packing& job) {
  packer<T> all{job};
  const auto work = [](void* argument, int32_t thread, int32_t threads) {
    const packer<T>& all = *static_cast<packer<T>*>(argument);
    all.strips(all.count() * thread / threads, all.count() * (thread + 1) / threads);
  };
  constexpr int64_t WORTH_A_THREAD = 1 << 16;
  const int64_t worth = all.K() * all.units() * all.blocks() / WORTH_A_THREAD;
  const int32_t threads = static_cast<int32_t>(std::max<int64_t>(1, std::min<int64_t>(job.threads, worth)));
  threads == 1 ? work(&all, 0, 1) : hg_parallel(work, &all, threads);
}

}  // namespace
}  // namespace headgate

extern "C" HG_PUBLIC void HG_JOIN(hg_pack, HG_ISA, f32)(const hg_packing* job) { headgate::pack<float>(*job); }
extern "C" HG_PUBLIC void HG_JOIN(hg_pack, HG_ISA, f64)(const hg_packing* job) { headgate::pack<double>(*job); }
