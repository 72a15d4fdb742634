// Sums of products of bfloat16, made in float32 by tiles; both sides are float32 and rounded on their way into tiles.
#pragma once

#include <algorithm>
#include <cstring>

#include "headgate.h"
#include "product_tiles.h"
#include "sums.h"

namespace headgate {
namespace {

template <class Tiles>
class tile_sums {
 public:
  using number = float;
  static constexpr int64_t GROUP = 2 * HG_BLOCK, COLUMNS = 2 * HG_BLOCK;
  static constexpr int64_t DEPTH = 512, UNITS = 256, WIDTH = 512;

  tile_sums() {
    tile_shapes shapes;
    for (int t = 0; t < 8; ++t) shapes.rows[t] = HG_BLOCK, shapes.row_bytes[t] = 64;
    tiles_.configure(shapes);
  }
  tile_sums(const tile_sums&) = delete;
  ~tile_sums() { tiles_.release(); }  // as `tile_products` does

  void make_room(int64_t width) { left_ = lines<uint16_t>(DEPTH * GROUP), right_ = lines<uint16_t>(DEPTH * width); }

  // Both sides lie [16 units or columns][32 rows] in tiles; what is missing at an edge is zeros.
  void add(const hg_summing& job, const hg_block& block, const piece_of_sums& at, float* results, int64_t stride) {
    const int64_t deep = (at.depth + TILE_DEPTH - 1) / TILE_DEPTH, panels = (at.width + HG_BLOCK - 1) / HG_BLOCK;
    for (int64_t p = 0; p < panels; ++p)
      for (int64_t d = 0; d < deep; ++d) {
        half rows[TILE_DEPTH];
        for (int64_t k = 0; k < TILE_DEPTH; ++k) {
          const int64_t row = d * TILE_DEPTH + k, column = p * HG_BLOCK;
          rows[k].set(row < at.depth ? right_row<float>(*block.right, at.row + row) + at.column + column : nullptr, at.width - column);
        }
        in_pairs(rows, right_.get() + (p * deep + d) * TILE_VALUES);
      }
    for (int64_t unit = 0; unit < at.units; unit += GROUP) {
      const int64_t sides = std::min<int64_t>(2, (at.units - unit + HG_BLOCK - 1) / HG_BLOCK);
      for (int64_t side = 0; side < sides; ++side)
        for (int64_t d = 0; d < deep; ++d) {
          half rows[TILE_DEPTH];
          const int64_t first = unit + side * HG_BLOCK;
          for (int64_t k = 0; k < TILE_DEPTH; ++k) {
            const int64_t row = d * TILE_DEPTH + k;
            rows[k].set(row < at.depth ? left_row<float>(job, at.row + row) + block.from + at.unit + first : nullptr, at.units - first);
          }
          turned(rows, left_.get() + (side * deep + d) * TILE_VALUES);
        }
      for (int64_t p = 0; p < panels; p += 2) {
        float* const result = results + unit * stride + p * HG_BLOCK;
        const uint16_t* const right = right_.get() + p * deep * TILE_VALUES;
        if (sides == 2)
          p + 1 < panels ? multiply<2, 2>(right, deep, result, stride) : multiply<2, 1>(right, deep, result, stride);
        else
          p + 1 < panels ? multiply<1, 2>(right, deep, result, stride) : multiply<1, 1>(right, deep, result, stride);
      }
    }
  }

 private:
  // Up to 16 values of one row.
  struct half {
    alignas(32) uint16_t value[HG_BLOCK];

    void set(const float* from, int64_t valid) {
      if (!from || valid < HG_BLOCK) std::fill_n(value, HG_BLOCK, uint16_t(0));
      if (from) round_to_bf16(from, std::min<int64_t>(valid, HG_BLOCK), value);
    }
  };

  // As the right side of a product: two rows' values side by side.
  static void in_pairs(const half* rows, uint16_t* to) {
    for (int64_t k = 0; k < TILE_DEPTH; k += 2, to += 2 * HG_BLOCK)
      for (int64_t c = 0; c < HG_BLOCK; ++c) to[2 * c] = rows[k].value[c], to[2 * c + 1] = rows[k + 1].value[c];
  }

  // As the left one: a unit's values of all rows.
  static void turned(const half* rows, uint16_t* to) {
    alignas(64) uint32_t pairs[TILE_DEPTH / 2][HG_BLOCK], there[HG_BLOCK][TILE_DEPTH / 2];
    in_pairs(rows, reinterpret_cast<uint16_t*>(pairs));
    for (int64_t u = 0; u < HG_BLOCK; ++u)
      for (int64_t k = 0; k < TILE_DEPTH / 2; ++k) there[u][k] = pairs[k][u];
    std::memcpy(to, there, sizeof there);
  }

  // Tiles 0 to 3 are results, 4 and 5 of the left side, 6 and 7 of the right one.
  template <int SIDES, int PANELS>
  void multiply(const uint16_t* right, int64_t deep, float* result, int64_t stride) {
    const uint16_t* left = left_.get();
    const int64_t apart = deep * TILE_VALUES, bytes = stride * sizeof(float);
    float* const below = result + HG_BLOCK * stride;
    tiles_.template load<0>(result, bytes);
    if constexpr (PANELS == 2) tiles_.template load<1>(result + HG_BLOCK, bytes);
    if constexpr (SIDES == 2) tiles_.template load<2>(below, bytes);
    if constexpr (SIDES == 2 && PANELS == 2) tiles_.template load<3>(below + HG_BLOCK, bytes);
    for (int64_t d = 0; d < deep; ++d, left += TILE_VALUES, right += TILE_VALUES) {
      tiles_.template load<4>(left, 64);
      if constexpr (SIDES == 2) tiles_.template load<5>(left + apart, 64);
      tiles_.template load<6>(right, 64);
      tiles_.template multiply<0, 4, 6>();
      if constexpr (SIDES == 2) tiles_.template multiply<2, 5, 6>();
      if constexpr (PANELS == 2) {
        tiles_.template load<7>(right + apart, 64);
        tiles_.template multiply<1, 4, 7>();
        if constexpr (SIDES == 2) tiles_.template multiply<3, 5, 7>();
      }
    }
    tiles_.template store<0>(result, bytes);
    if constexpr (PANELS == 2) tiles_.template store<1>(result + HG_BLOCK, bytes);
    if constexpr (SIDES == 2) tiles_.template store<2>(below, bytes);
    if constexpr (SIDES == 2 && PANELS == 2) tiles_.template store<3>(below + HG_BLOCK, bytes);
  }

  Tiles tiles_;
  lines<uint16_t> left_, right_;
};

}  // namespace
}  // namespace headgate
