// Weights in the order in which products read them. Compiled once for each instruction set.
#include <algorithm>
#include <cstring>

#include "headgate.h"
#include "lanes.h"
#include "product.h"
#include "product_tiles.h"
#include "step.h"

namespace headgate {
namespace {

// The order in which products of numbers as they are read weights: [k][panel][16].
template <class T>
struct plain_order {
  using weight = T;
  using packed_weight = T;
  using bias = T;

  static constexpr int64_t panel_step = HG_BLOCK;  // from one panel of a strip to the next
  static int64_t depth(int64_t K) { return K; }
  static T bias_of(T value) { return value; }

  // One panel: 16 units of block b, lying `panels` apart in its strip.
  static void panel(const hg_packing& job, int64_t K, int64_t block, int64_t unit, int64_t valid, T* to, int64_t panels) {
    const T* weight = static_cast<const T*>(job.weight);
    const int64_t step = panels * HG_BLOCK;
    if (job.back) {
      for (int64_t k = 0; k < K; ++k, to += step) {
        std::copy_n(weight + k * job.columns + unit, valid, to);
        std::fill(to + valid, to + HG_BLOCK, T(0));
      }
      return;
    }
    const T* from = weight + (block * job.rows + unit) * job.columns;
    // By square pieces, which are turned in the first cache.
    T piece[HG_BLOCK][HG_BLOCK] = {};
    for (int64_t k0 = 0; k0 < K; k0 += HG_BLOCK) {
      const int64_t count = std::min<int64_t>(HG_BLOCK, K - k0);
      for (int64_t u = 0; u < valid; ++u) std::copy_n(from + u * job.columns + k0, count, piece[u]);
      for (int64_t k = 0; k < count; ++k, to += step)
        for (int64_t u = 0; u < HG_BLOCK; ++u) to[u] = piece[u][k];
    }
  }
};

// The order in which tiles of bfloat16 do: [k / 32][panel][16 pairs][16][2], zeros beyond K. Weights are bfloat16, or float32
// and rounded here.
template <class T>
struct tile_order {
  using weight = T;
  using packed_weight = uint16_t;
  using bias = float;

  static constexpr int64_t panel_step = TILE_VALUES;
  static int64_t depth(int64_t K) { return tiled_depth(K); }
  static float bias_of(T given) {
    uint16_t half[HG_BLOCK];
    halves(&given, 1, half);
    const uint32_t bits = uint32_t(half[0]) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  // Up to 16 values; whole vectors are written.
  static void halves(const uint16_t* from, int64_t count, uint16_t* to) { std::copy_n(from, count, to); }
  static void halves(const float* from, int64_t count, uint16_t* to) { round_to_bf16(from, count, to); }

  static void panel(const hg_packing& job, int64_t K, int64_t block, int64_t unit, int64_t valid, uint16_t* to, int64_t panels) {
    const T* weight = static_cast<const T*>(job.weight);
    for (int64_t k0 = 0; k0 < K; k0 += TILE_DEPTH, to += panels * TILE_VALUES) {
      const int64_t count = std::min(TILE_DEPTH, K - k0);
      uint16_t piece[TILE_DEPTH][HG_BLOCK] = {};
      if (job.back) {
        for (int64_t k = 0; k < count; ++k) halves(weight + (k0 + k) * job.columns + unit, valid, piece[k]);
      } else {
        const T* from = weight + (block * job.rows + unit) * job.columns + k0;
        uint16_t row[TILE_DEPTH];
        for (int64_t u = 0; u < valid; ++u) {
          halves(from + u * job.columns, count, row);
          for (int64_t k = 0; k < count; ++k) piece[k][u] = row[k];
        }
      }
      for (int64_t k = 0; k < TILE_DEPTH; ++k)
        for (int64_t u = 0; u < HG_BLOCK; ++u) to[(k / 2 * HG_BLOCK + u) * 2 + k % 2] = piece[k][u];
    }
  }
};

template <class Order>
struct packer {
  using weight = typename Order::weight;
  using packed_weight = typename Order::packed_weight;
  const hg_packing& job;
  packed_weight* packed = static_cast<packed_weight*>(job.packed);

  // Result units and the length of the products.
  int64_t units() const { return job.back ? job.columns : job.rows; }
  int64_t K() const { return job.back ? job.blocks * job.rows : job.columns; }
  int64_t blocks() const { return job.back ? 1 : job.blocks; }

  void panel(int64_t block, int64_t unit, packed_weight* to, int64_t panels) const {
    Order::panel(job, K(), block, unit, std::clamp<int64_t>(units() - unit, 0, HG_BLOCK), to, panels);
  }

  void strips(int64_t from, int64_t to) const {
    const int64_t n = (units() + HG_BLOCK - 1) / HG_BLOCK, step = blocks() == 1 ? strip_units(n) : 1;
    const int64_t strips = (n + step - 1) / step;
    for (int64_t s = from; s < std::min(to, strips); ++s) {
      const int64_t j = s * step;
      for (int64_t b = 0; b < blocks(); b += STRIP) {
        const bool alone = blocks() == 1;
        const int64_t panels = alone ? std::min(step, n - j) : std::min<int64_t>(STRIP, blocks() - b);
        packed_weight* strip = packed + (j * blocks() + b) * HG_BLOCK * Order::depth(K());
        for (int64_t p = 0; p < panels; ++p)
          panel(alone ? 0 : b + p, (alone ? j + p : j) * HG_BLOCK, strip + p * Order::panel_step, panels);
      }
      if (job.bias) biases(j, std::min(j + step, n));
    }
  }
  int64_t count() const {
    const int64_t n = (units() + HG_BLOCK - 1) / HG_BLOCK, step = blocks() == 1 ? strip_units(n) : 1;
    return (n + step - 1) / step;
  }

  void biases(int64_t from, int64_t to) const {
    const weight* bias = static_cast<const weight*>(job.bias);
    auto* out = static_cast<typename Order::bias*>(job.packed_bias);
    for (int64_t j = from; j < to; ++j)
      for (int64_t b = 0; b < job.blocks; ++b)
        for (int64_t u = 0; u < HG_BLOCK; ++u) {
          const int64_t unit = j * HG_BLOCK + u;
          out[(j * job.blocks + b) * HG_BLOCK + u] = unit < job.rows ? Order::bias_of(bias[b * job.rows + unit]) : 0;
        }
  }
};

template <class Order>
void pack(const hg_packing& job) {
  packer<Order> all{job};
  const auto work = [](void* argument, int32_t thread, int32_t threads) {
    const packer<Order>& all = *static_cast<packer<Order>*>(argument);
    all.strips(all.count() * thread / threads, all.count() * (thread + 1) / threads);
  };
  constexpr int64_t WORTH_A_THREAD = 1 << 16;
  const int64_t worth = all.K() * all.units() * all.blocks() / WORTH_A_THREAD;
  const int32_t threads = static_cast<int32_t>(std::max<int64_t>(1, std::min<int64_t>(job.threads, worth)));
  threads == 1 ? work(&all, 0, 1) : hg_parallel(work, &all, threads);
}

}  // namespace
}  // namespace headgate

#if defined(HG_TILES)
extern "C" HG_PUBLIC void HG_JOIN(hg_pack, HG_ISA, bf16)(const hg_packing* job) {
  job->wide ? headgate::pack<headgate::tile_order<float>>(*job) : headgate::pack<headgate::tile_order<uint16_t>>(*job);
}
#else
extern "C" HG_PUBLIC void HG_JOIN(hg_pack, HG_ISA, f32)(const hg_packing* job) { headgate::pack<headgate::plain_order<float>>(*job); }
extern "C" HG_PUBLIC void HG_JOIN(hg_pack, HG_ISA, f64)(const hg_packing* job) { headgate::pack<headgate::plain_order<double>>(*job); }
#endif
