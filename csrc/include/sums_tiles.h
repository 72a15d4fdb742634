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
  static constexpr int64_t DEPTH = 256, UNITS = 256, WIDTH = 512;

  tile_sums() {
    tile_shapes shapes;
    for (int t = 0; t < 8; ++t) shapes.rows[t] = HG_BLOCK, shapes.row_bytes[t] = 64;
    tiles_.configure(shapes);
  }
  tile_sums(const tile_sums&) = delete;
  ~tile_sums() { tiles_.release(); }  // as `tile_products` does

  void make_room(int64_t width) {
    left_ = lines<uint16_t>(DEPTH * UNITS), right_ = lines<uint16_t>(DEPTH * width);
    rows_ = lines<uint16_t>(TILE_DEPTH * APART);
  }

  // Both sides lie [16 units or columns][32 rows] in tiles; what is missing at an edge is zeros.
  void add(const hg_summing& job, const hg_block& block, const piece_of_sums& at, float* results, int64_t stride) {
    const int64_t deep = (at.depth + TILE_DEPTH - 1) / TILE_DEPTH;
    const int64_t panels = panels_of(at.width), sides = panels_of(at.units);
    for (int64_t d = 0; d < deep; ++d) {
      const int64_t first = d * TILE_DEPTH;
      const auto row = [&](int64_t k) { return first + k < at.depth; };
      round([&](int64_t k) { return row(k) ? right_row<float>(*block.right, at.row + first + k) + at.column : nullptr; }, at.width);
      for (int64_t p = 0; p < panels; ++p) in_pairs(p, right_.get() + (p * deep + d) * TILE_VALUES);
      const int64_t from = block.from + at.unit;
      round([&](int64_t k) { return row(k) ? left_row<float>(job, at.row + first + k) + from : nullptr; }, at.units);
      for (int64_t p = 0; p < sides; ++p) turned(p, left_.get() + (p * deep + d) * TILE_VALUES);
    }
    for (int64_t side = 0; side < sides; side += 2) {
      const uint16_t* const left = left_.get() + side * deep * TILE_VALUES;
      for (int64_t p = 0; p < panels; p += 2) {
        float* const result = results + (side * stride + p) * HG_BLOCK;
        const uint16_t* const right = right_.get() + p * deep * TILE_VALUES;
        if (side + 1 < sides)
          p + 1 < panels ? multiply<2, 2>(left, right, deep, result, stride) : multiply<2, 1>(left, right, deep, result, stride);
        else
          p + 1 < panels ? multiply<1, 2>(left, right, deep, result, stride) : multiply<1, 1>(left, right, deep, result, stride);
      }
    }
  }

 private:
  // From one rounded row to the next: no power of two, so that a tile's rows do not meet in one set of the first cache.
  static constexpr int64_t APART = std::max(UNITS, WIDTH) + 2 * HG_BLOCK;

  static int64_t panels_of(int64_t values) { return (values + HG_BLOCK - 1) / HG_BLOCK; }

  // A tile's depth of rows, of so many values each, rounded; zeros for a row that is not there.
  template <class Row>
  void round(const Row& row, int64_t values) {
    for (int64_t k = 0; k < TILE_DEPTH; ++k) {
      uint16_t* const to = rows_.get() + k * APART;
      const float* const from = row(k);
      if (from) round_to_bf16(from, values, to);
      std::fill(to + (from ? values : 0), to + panels_of(values) * HG_BLOCK, uint16_t(0));
    }
  }

  // A panel of these as the right side of a product: two rows' values side by side.
  void in_pairs(int64_t panel, uint16_t* to) const {
    const uint16_t* __restrict from = rows_.get() + panel * HG_BLOCK;
    for (int64_t k = 0; k < TILE_DEPTH / 2; ++k, from += 2 * APART) {
      alignas(64) uint32_t both[HG_BLOCK];
      for (int64_t c = 0; c < HG_BLOCK; ++c) both[c] = from[c] | uint32_t(from[c + APART]) << 16;
      std::memcpy(to + k * 2 * HG_BLOCK, both, sizeof both);
    }
  }

  // As the left one: a unit's values of all rows.
  void turned(int64_t panel, uint16_t* to) const {
    pairs rows[HG_BLOCK];
    in_pairs(panel, reinterpret_cast<uint16_t*>(rows));
    turn<1>(rows), turn<2>(rows), turn<4>(rows), turn<8>(rows);
    std::memcpy(to, rows, sizeof rows);
  }

  typedef uint32_t pairs __attribute__((vector_size(64), may_alias));

  // One step of turning a square of 16 by 16: squares of STEP by STEP change places across the diagonal.
  template <int STEP>
  static void turn(pairs* rows) {
    pairs upper, lower;
    for (int k = 0; k < HG_BLOCK; ++k) upper[k] = k & STEP ? HG_BLOCK + k - STEP : k, lower[k] = k & STEP ? HG_BLOCK + k : k + STEP;
#pragma GCC unroll 16
    for (int k = 0; k < HG_BLOCK; ++k)
      if (!(k & STEP)) {
        const pairs above = rows[k], below = rows[k + STEP];
        rows[k] = __builtin_shuffle(above, below, upper), rows[k + STEP] = __builtin_shuffle(above, below, lower);
      }
  }

  // Tiles 0 to 3 are results, 4 and 5 of the left side, 6 and 7 of the right one.
  template <int SIDES, int PANELS>
  void multiply(const uint16_t* left, const uint16_t* right, int64_t deep, float* result, int64_t stride) {
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
  lines<uint16_t> left_, right_, rows_;
};

}  // namespace
}  // namespace headgate
