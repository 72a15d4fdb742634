// Weights in the order in which products read them. Compiled once for each instruction set.
#include <algorithm>
#include <cstring>

#include "headgate.h"
#include "lanes.h"
#include "product.h"
#include "product_tiles.h"
#include "step.h"
#include "turn.h"

namespace headgate {
namespace {

// The order in which products of numbers as they are read weights: [k][panel][16].
template <class T>
struct plain_order {
  using weight = T;
  using packed_weight = T;
  using bias = T;

  static constexpr int64_t panel_step = HG_BLOCK;  // from one panel of a strip to the next
  static constexpr int64_t rows_at_once = 16;      // of the transposed matrix
  static int64_t depth(int64_t K) { return K; }
  static T bias_of(T value) { return value; }

  // K steps of one panel from the first on: 16 units of block b, lying `panels` apart in its strip.
  static void panel(const hg_packing& job, int64_t first, int64_t K, int64_t block, int64_t unit, int64_t valid, T* to, int64_t panels) {
    const T* weight = static_cast<const T*>(job.weight) + first * (job.back ? job.columns : 1);
    const int64_t step = panels * HG_BLOCK;
    if (job.back) {
      for (int64_t k = 0; k < K; ++k, to += step) some<HG_BLOCK>(weight + k * job.columns + unit, valid, to);
      return;
    }
    // By squares of vectors, which are turned in registers.
    using V = lanes_of<T>;
    const T* from = weight + (block * job.rows + unit) * job.columns;
    for (int64_t k0 = 0; k0 < K; k0 += lanes<V>, to += lanes<V> * step)
      for (int64_t u = 0; u < HG_BLOCK; u += lanes<V>) {
        V square[lanes<V>] = {};
        for (int64_t row = 0; row < std::min<int64_t>(lanes<V>, valid - u); ++row)
          some<lanes<V>>(from + (u + row) * job.columns + k0, K - k0, reinterpret_cast<T*>(square + row));
        turn(square);
        for (int64_t k = 0; k < std::min<int64_t>(lanes<V>, K - k0); ++k) std::memcpy(to + k * step + u, square + k, sizeof(V));
      }
  }

  // WIDTH values of which so many are there, zeros after them.
  template <int WIDTH>
  static void some(const T* from, int64_t there, T* to) {
    if (there >= WIDTH) {
      std::memcpy(to, from, WIDTH * sizeof(T));
    } else {
      std::copy_n(from, there, to);
      std::fill(to + there, to + WIDTH, T(0));
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
  static constexpr int64_t rows_at_once = TILE_DEPTH;
  static int64_t depth(int64_t K) { return tiled_depth(K); }
  static float bias_of(T given) {
    uint16_t half[HG_BLOCK];
    halves(&given, 1, half);
    const uint32_t bits = uint32_t(half[0]) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  static void panel(const hg_packing& job, int64_t first, int64_t K, int64_t block, int64_t unit, int64_t valid, uint16_t* to,
                    int64_t panels) {
    const T* weight = static_cast<const T*>(job.weight) + first * (job.back ? job.columns : 1);
    for (int64_t k0 = 0; k0 < K; k0 += TILE_DEPTH, to += panels * TILE_VALUES) {
      const int64_t count = std::min(TILE_DEPTH, K - k0);
      pairs tile[HG_BLOCK] = {};
      if (job.back) {
        const T* from = weight + k0 * job.columns + unit;
        for (int64_t k = 0; k < count; k += 2, from += 2 * job.columns)
          beside(from, k + 1 < count ? from + job.columns : nullptr, valid, reinterpret_cast<uint16_t*>(tile + k / 2));
      } else {
        const T* from = weight + (block * job.rows + unit) * job.columns + k0;
        for (int64_t u = 0; u < valid; ++u) halves(from + u * job.columns, count, reinterpret_cast<uint16_t*>(tile + u));
        turn(tile);
      }
      std::memcpy(to, tile, sizeof tile);
    }
  }

 private:
  typedef uint32_t pairs __attribute__((vector_size(2 * TILE_DEPTH), may_alias));

  // Up to 32 values of a row; whole vectors are written.
  static void halves(const uint16_t* from, int64_t count, uint16_t* to) { std::copy_n(from, count, to); }
  static void halves(const float* from, int64_t count, uint16_t* to) { round_to_bf16(from, count, to); }

  // Up to 16 values of two rows, one beside the other; zeros for a row that is null.
  static void beside(const uint16_t* first, const uint16_t* second, int64_t count, uint16_t* to) {
    for (int64_t u = 0; u < count; ++u) to[2 * u] = first[u], to[2 * u + 1] = second ? second[u] : 0;
  }
  static void beside(const float* first, const float* second, int64_t count, uint16_t* to) {
    round_in_pairs(first, second, count, to);
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

  // A row of the transposed matrix has a little of every strip: some rows at a time, so that they are read in one stream.
  void strips(int64_t from, int64_t to) const {
    const int64_t piece = job.back ? Order::rows_at_once : std::max<int64_t>(K(), 1);
    for (int64_t k = 0; k < K(); k += piece) some_steps(from, to, k, std::min(piece, K() - k));
    if (job.bias) biases(std::min(from * together(), across()), std::min(to * together(), across()));
  }

  void some_steps(int64_t from, int64_t to, int64_t first, int64_t count) const {
    const bool alone = blocks() == 1;
    for (int64_t s = from; s < to; ++s) {
      const int64_t j = s * together();
      for (int64_t b = 0; b < blocks(); b += STRIP) {
        const int64_t panels = alone ? std::min(together(), across() - j) : std::min<int64_t>(STRIP, blocks() - b);
        packed_weight* strip = packed + (j * blocks() + b) * HG_BLOCK * Order::depth(K());
        for (int64_t p = 0; p < panels; ++p) {
          const int64_t unit = (alone ? j + p : j) * HG_BLOCK, valid = std::clamp<int64_t>(units() - unit, 0, HG_BLOCK);
          packed_weight* const to = strip + first * panels * HG_BLOCK + p * Order::panel_step;
          Order::panel(job, first, count, alone ? 0 : b + p, unit, valid, to, panels);
        }
      }
    }
  }
  // Panels of a block, how many of them a strip holds if it holds but one block's, and strips.
  int64_t across() const { return (units() + HG_BLOCK - 1) / HG_BLOCK; }
  int64_t together() const { return blocks() == 1 ? strip_units(across()) : 1; }
  int64_t count() const { return (across() + together() - 1) / together(); }

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
