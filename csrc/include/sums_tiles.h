// Sums of products of bfloat16, made in float32 by tiles; both sides are float32 and rounded on their way into tiles.
#pragma once

#include <algorithm>
#include <cstring>

#include "headgate.h"
#include "product_tiles.h"
#include "sums.h"
#include "turn.h"

namespace headgate {
namespace {

template <class Tiles>
class tile_sums {
 public:
  using number = float;
  static constexpr int64_t GROUP = 2 * HG_BLOCK, COLUMNS = 2 * HG_BLOCK;
  static constexpr int64_t DEPTH = 256, UNITS = 512, WIDTH = 512;

  tile_sums() = default;
  tile_sums(const tile_sums&) = delete;
  ~tile_sums() { tiles_.release(); }  // as `tile_products` does

  void make_room(int64_t width) { left_ = lines<uint16_t>(DEPTH * UNITS), right_ = lines<uint16_t>(DEPTH * width); }

  // Both sides lie [32 rows][16 units or columns] in tiles, an even number of them for each 32 rows; what is missing at an
  // edge is zeros.
  void add(const hg_summing& job, const piece_of_sums& at, float* results, int64_t stride) {
    const int64_t deep = (at.depth + TILE_DEPTH - 1) / TILE_DEPTH;
    const int64_t right = at.width * TILE_DEPTH, left = (at.units + GROUP - 1) / GROUP * GROUP * TILE_DEPTH;
    const auto right_at = [&](const part_of_right& part, int64_t k) {
      return k < at.depth ? right_row<float>(*part.right, at.row + k) + part.column : nullptr;
    };
    const auto left_at = [&](int64_t k) { return k < at.depth ? left_row<float>(job, at.row + k) + at.from : nullptr; };
    for (int64_t k = 0; k < deep * TILE_DEPTH; k += 2) {
      const int64_t d = k / TILE_DEPTH, in_tile = k % TILE_DEPTH * HG_BLOCK;
      for (const part_of_right& part : at.parts)
        in_pairs(right_at(part, k), right_at(part, k + 1), part.width, right_.get() + d * right + part.at * TILE_DEPTH + in_tile);
      in_pairs(left_at(k), left_at(k + 1), at.units, left_.get() + d * left + in_tile);
    }
    for (int64_t tile = 0; tile < deep * left; tile += TILE_VALUES) turn_tile(left_.get() + tile);
    tile_shapes shapes;
    for (int t = 0; t < 8; ++t) shapes.rows[t] = HG_BLOCK, shapes.row_bytes[t] = 64;
    tiles_.configure(shapes);  // for every piece, as `tile_products` does
    for (int64_t unit = 0; unit < at.units; unit += GROUP)
      for (int64_t column = 0; column < at.width; column += COLUMNS)
        multiply(left_.get() + unit * TILE_DEPTH, left, right_.get() + column * TILE_DEPTH, right, deep,
                 results + unit * stride + column, stride);
  }

 private:
  // Two rows, value beside value, rounded, 16 of each in every tile of a row of tiles; zeros for a row that is not there.
  static void in_pairs(const float* first, const float* second, int64_t values, uint16_t* to) {
    const int64_t end = (values + GROUP - 1) / GROUP * GROUP;
    for (int64_t v = 0; v < end; v += HG_BLOCK, to += TILE_VALUES) {
      const int64_t count = std::clamp<int64_t>(values - v, 0, HG_BLOCK);
      round_in_pairs(first ? first + v : nullptr, second ? second + v : nullptr, count, to);
    }
  }

  typedef uint32_t pairs __attribute__((vector_size(64), may_alias));

  // A tile as the left side of a product: a unit's values of all rows.
  static void turn_tile(uint16_t* tile) {
    pairs rows[HG_BLOCK];
    std::memcpy(rows, tile, sizeof rows);
    turn(rows);
    std::memcpy(tile, rows, sizeof rows);
  }

  // Two tiles of units by two of columns. Tiles 0 to 3 are results, 4 and 5 of the left side, 6 and 7 of the right one.
  void multiply(const uint16_t* left, int64_t left_step, const uint16_t* right, int64_t right_step, int64_t deep, float* result,
                int64_t stride) {
    const int64_t bytes = stride * sizeof(float);
    float* const below = result + HG_BLOCK * stride;
    tiles_.template load<0>(result, bytes);
    tiles_.template load<1>(result + HG_BLOCK, bytes);
    tiles_.template load<2>(below, bytes);
    tiles_.template load<3>(below + HG_BLOCK, bytes);
    for (int64_t d = 0; d < deep; ++d, left += left_step, right += right_step) {
      tiles_.template load<4>(left, 64);
      tiles_.template load<5>(left + TILE_VALUES, 64);
      tiles_.template load<6>(right, 64);
      tiles_.template load<7>(right + TILE_VALUES, 64);
      tiles_.template multiply<0, 4, 6>();
      tiles_.template multiply<2, 5, 6>();
      tiles_.template multiply<1, 4, 7>();
      tiles_.template multiply<3, 5, 7>();
    }
    tiles_.template store<0>(result, bytes);
    tiles_.template store<1>(result + HG_BLOCK, bytes);
    tiles_.template store<2>(below, bytes);
    tiles_.template store<3>(below + HG_BLOCK, bytes);
  }

  Tiles tiles_;
  lines<uint16_t> left_, right_;
};

}  // namespace
}  // namespace headgate
