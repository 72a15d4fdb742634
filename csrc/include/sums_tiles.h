// Sums of products of float32 by tiles. Both sides are rounded to bfloat16 on their way into tiles, or, where results are to
// have float32's precision, taken apart into three numbers of bfloat16 whose sum they are.
#pragma once

#include <algorithm>
#include <cstring>

#include "headgate.h"
#include "product_tiles.h"
#include "sums.h"
#include "turn.h"

namespace headgate {
namespace {

// Numbers of two vectors, each beside that of the other one, rounded; or cut into three pieces of eight bits each, the
// highest first, which lie so far apart.
template <int PIECES>
inline void put_pairs(lanes_of<float> first, lanes_of<float> second, uint16_t* to, int64_t apart) {
  if constexpr (PIECES == 1) {
    const pairs_of_bf16 both = rounded_in_pairs(first, second);
    std::memcpy(to, &both, sizeof both);
  } else {
    constexpr uint32_t HIGH = 0xffff0000u;
    for (int piece = 0; piece < PIECES; ++piece, to += apart) {
      pairs_of_bf16 a, b;
      std::memcpy(&a, &first, sizeof a), std::memcpy(&b, &second, sizeof b);
      a &= HIGH, b &= HIGH;
      const pairs_of_bf16 both = a >> 16 | b;
      std::memcpy(to, &both, sizeof both);
      lanes_of<float> cut;
      std::memcpy(&cut, &a, sizeof cut), first -= cut;
      std::memcpy(&cut, &b, sizeof cut), second -= cut;
    }
  }
}

// `PIECES` is 1 for rounded numbers, or 3: six of the nine products of two numbers' pieces are made, and what the others
// would add is less than what rounding a product to float32 takes away.
template <class Tiles, int PIECES>
class tile_sums {
 public:
  using number = float;
  static constexpr int64_t GROUP = 2 * HG_BLOCK, COLUMNS = 2 * HG_BLOCK;
  static constexpr int64_t DEPTH = PIECES == 1 ? 256 : 96, UNITS = 512, WIDTH = 512;

  tile_sums() = default;
  tile_sums(const tile_sums&) = delete;
  ~tile_sums() { tiles_.release(); }  // as `tile_products` does

  void make_room(int64_t width) {
    left_ = lines<uint16_t>(UNITS / GROUP * strip_size(DEPTH / TILE_DEPTH));
    right_ = lines<uint16_t>((width / COLUMNS) * strip_size(DEPTH / TILE_DEPTH));
  }

  // Both sides lie in strips two tiles wide, [32 rows][piece][tile]; what is missing at an edge is zeros. Row k of a tile is
  // beside row k + 16.
  void add(const hg_summing& job, const piece_of_sums& at, float* results, int64_t stride) {
    const int64_t deep = (at.depth + TILE_DEPTH - 1) / TILE_DEPTH, size = strip_size(deep);
    for (const part_of_right& part : at.parts) {
      const auto row = [&](int64_t k) { return right_row<float>(*part.right, at.row + k) + part.column; };
      pack_rows(row, at.depth, part.width, right_.get() + part.at / COLUMNS * size, size);
    }
    const int64_t strips = (at.units + GROUP - 1) / GROUP;
    if (job.segments) {
      pack_turned(left_turned<float>(job, at), job.stride, at.depth, at.units, left_.get(), size);
    } else {
      pack_rows([&](int64_t k) { return left_row<float>(job, at.row + k) + at.from; }, at.depth, at.units, left_.get(), size);
      for (int64_t s = 0; s < strips; ++s)
        for (int64_t tile = 0; tile < 2 * PIECES * deep; ++tile) turn_tile(left_.get() + s * size + tile * TILE_VALUES);
    }
    tile_shapes shapes;
    for (int t = 0; t < 8; ++t) shapes.rows[t] = HG_BLOCK, shapes.row_bytes[t] = 64;
    tiles_.configure(shapes);  // for every piece, as `tile_products` does
    for (int64_t s = 0; s < strips; ++s)
      for (int64_t c = 0; c < at.width / COLUMNS; ++c)
        multiply(left_.get() + s * size, right_.get() + c * size, deep, results + s * GROUP * stride + c * COLUMNS, stride);
  }

 private:
  static constexpr int64_t PIECE = 2 * TILE_VALUES, STEP = PIECES * PIECE;

  // A line more than needed: strips a power of two apart would drive each other out of the cache.
  static int64_t strip_size(int64_t deep) { return deep * STEP + TILE_DEPTH; }

  // Where 16 values of rows k and k + 16 of each 32 begin.
  static uint16_t* place(uint16_t* to, int64_t size, int64_t value, int64_t k) {
    return to + value / COLUMNS * size + k / TILE_DEPTH * STEP + value / HG_BLOCK % 2 * TILE_VALUES + k % HG_BLOCK * TILE_DEPTH;
  }

  // Up to 16 values of two rows; zeros beyond, and for a row that is not there.
  static void put(const float* first, int64_t firsts, const float* second, int64_t seconds, uint16_t* to) {
    using V = lanes_of<float>;
    for (int64_t v = 0; v < HG_BLOCK; v += lanes<V>) {
      const V a = v < firsts ? some_lanes(first + v, firsts - v) : V{}, b = v < seconds ? some_lanes(second + v, seconds - v) : V{};
      put_pairs<PIECES>(a, b, to + 2 * v, PIECE);
    }
  }

  // Rows of values, as a right side lies in tiles.
  template <class Row>
  static void pack_rows(const Row& row, int64_t depth, int64_t values, uint16_t* to, int64_t size) {
    for (int64_t deep = 0; deep < depth; deep += TILE_DEPTH)
      for (int64_t k = deep; k < deep + HG_BLOCK; ++k) {
        const int64_t firsts = k < depth ? values : 0, seconds = k + HG_BLOCK < depth ? values : 0;
        const float *const first = row(firsts ? k : 0), *const second = row(seconds ? k + HG_BLOCK : 0);
        for (int64_t v = 0; v < (values + COLUMNS - 1) / COLUMNS * COLUMNS; v += HG_BLOCK)
          put(first + v, firsts - v, second + v, seconds - v, place(to, size, v, k));
      }
  }

  // Units, whose values of all rows lie one after the other, as a left side lies in tiles.
  static void pack_turned(const float* from, int64_t stride, int64_t depth, int64_t units, uint16_t* to, int64_t size) {
    for (int64_t u = 0; u < (units + GROUP - 1) / GROUP * GROUP; ++u, from += stride)
      for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
        const int64_t there = u < units ? depth - k : 0;
        put(from + k, there, from + k + HG_BLOCK, there - HG_BLOCK, place(to, size, u, k) + u % HG_BLOCK * TILE_DEPTH);
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
  void multiply(const uint16_t* left, const uint16_t* right, int64_t deep, float* result, int64_t stride) {
    if constexpr (PIECES == 1) {
      load_results(result, stride);
      for (int64_t d = 0; d < deep; ++d, left += STEP, right += STEP) {
        load_left<0>(left), load_right<0>(right);
        four_products();
      }
      store_results(result, stride);
    } else {
      tiles_.template clear<0>(), tiles_.template clear<1>(), tiles_.template clear<2>(), tiles_.template clear<3>();
      // The order needs few loads.
      for (int64_t d = 0; d < deep; ++d, left += STEP, right += STEP) {
        load_left<0>(left), load_right<2>(right);
        four_products();
        load_right<1>(right);
        four_products();
        load_left<1>(left);
        four_products();
        load_right<0>(right);
        four_products();
        load_left<2>(left);
        four_products();
        load_left<0>(left);
        four_products();
      }
      add_results(result, stride);
    }
  }

  template <int PART>
  void load_left(const uint16_t* left) {
    tiles_.template load<4>(left + PART * PIECE, 64);
    tiles_.template load<5>(left + PART * PIECE + TILE_VALUES, 64);
  }
  template <int PART>
  void load_right(const uint16_t* right) {
    tiles_.template load<6>(right + PART * PIECE, 64);
    tiles_.template load<7>(right + PART * PIECE + TILE_VALUES, 64);
  }
  void four_products() {
    tiles_.template multiply<0, 4, 6>();
    tiles_.template multiply<2, 5, 6>();
    tiles_.template multiply<1, 4, 7>();
    tiles_.template multiply<3, 5, 7>();
  }

  void load_results(const float* from, int64_t stride) {
    const int64_t bytes = stride * sizeof(float);
    tiles_.template load<0>(from, bytes);
    tiles_.template load<1>(from + HG_BLOCK, bytes);
    tiles_.template load<2>(from + HG_BLOCK * stride, bytes);
    tiles_.template load<3>(from + HG_BLOCK * stride + HG_BLOCK, bytes);
  }
  void store_results(float* to, int64_t stride) {
    const int64_t bytes = stride * sizeof(float);
    tiles_.template store<0>(to, bytes);
    tiles_.template store<1>(to + HG_BLOCK, bytes);
    tiles_.template store<2>(to + HG_BLOCK * stride, bytes);
    tiles_.template store<3>(to + HG_BLOCK * stride + HG_BLOCK, bytes);
  }
  // A piece's sum is rounded against itself, not against all before it.
  void add_results(float* to, int64_t stride) {
    using V = lanes_of<float>;
    alignas(64) float own[GROUP * COLUMNS];
    store_results(own, COLUMNS);
    for (int64_t r = 0; r < GROUP; ++r)
      for (int64_t c = 0; c < COLUMNS; c += lanes<V>) store<V>(to + r * stride + c, load<V>(to + r * stride + c) + load<V>(own + r * COLUMNS + c));
  }

  Tiles tiles_;
  lines<uint16_t> left_, right_;
};

}  // namespace
}  // namespace headgate
