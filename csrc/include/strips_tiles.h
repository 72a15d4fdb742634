// Both sides of a product of float32 in tiles. Numbers are rounded to bfloat16 on their way, or, where results are to have
// float32's precision, cut into three numbers of bfloat16 whose sum they are.
#pragma once

#include <algorithm>
#include <cstring>

#include "headgate.h"
#include "product_tiles.h"
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

// A side lies in strips two tiles wide, [k / 32][piece][tile], where k and k + 16 are one pair; what is missing at an edge is
// zeros. `PIECES` is 1 for rounded numbers, or 3: six of the nine products of two numbers' pieces are made, and what the
// others would add is less than what rounding a product to float32 takes away.
template <class Tiles, int PIECES>
class tile_strips {
  static constexpr int64_t PIECE = 2 * TILE_VALUES, STEP = PIECES * PIECE;

 public:
  static constexpr int64_t WIDTH = 2 * HG_BLOCK;

  static int64_t count(int64_t values) { return (values + WIDTH - 1) / WIDTH; }
  // A line more than needed: strips a power of two apart would drive each other out of the cache.
  static int64_t size(int64_t depth) { return tiled_depth(depth) * PIECES * WIDTH + TILE_DEPTH; }

  // A right side, of whose row k row(k) are the values.
  template <class Row>
  static void pack_right(const Row& row, int64_t depth, int64_t values, uint16_t* to) {
    for (int64_t first = 0; first < depth; first += TILE_DEPTH)
      for (int64_t k = first; k < first + HG_BLOCK; ++k) {
        const int64_t firsts = k < depth ? values : 0, seconds = k + HG_BLOCK < depth ? values : 0;
        const float *const a = row(firsts ? k : 0), *const b = row(seconds ? k + HG_BLOCK : 0);
        for (int64_t v = 0; v < count(values) * WIDTH; v += HG_BLOCK)
          put(a + v, firsts - v, b + v, seconds - v, tile(to, size(depth), v, k) + k % HG_BLOCK * TILE_DEPTH);
      }
  }

  // One tile column of a strip of a right side, all of its values there.
  template <class Row>
  static void pack_panel(const Row& row, int64_t depth, int panel, uint16_t* to) {
    for (int64_t first = 0; first < depth; first += TILE_DEPTH)
      for (int64_t k = first; k < first + HG_BLOCK; ++k) {
        const int64_t firsts = k < depth ? HG_BLOCK : 0, seconds = k + HG_BLOCK < depth ? HG_BLOCK : 0;
        put(row(firsts ? k : 0), firsts, row(seconds ? k + HG_BLOCK : 0), seconds,
            tile(to, 0, panel * HG_BLOCK, k) + k % HG_BLOCK * TILE_DEPTH);
      }
  }

  // A left side, of whose units row(k) has the values at k.
  template <class Row>
  static void pack_left(const Row& row, int64_t depth, int64_t units, uint16_t* to) {
    pack_right(row, depth, units, to);
    for (int64_t s = 0; s < count(units); ++s)
      for (int64_t at = 0; at < tiled_depth(depth) * PIECES * WIDTH; at += TILE_VALUES) turn_tile(to + s * size(depth) + at);
  }

  // A left side, of whose unit u values_of(u) are the values at all k.
  template <class Unit>
  static void pack_turned(const Unit& values_of, int64_t depth, int64_t units, uint16_t* to) {
    for (int64_t u = 0; u < count(units) * WIDTH; ++u) {
      const float* const from = values_of(std::min(u, units - 1));
      for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
        const int64_t there = u < units ? depth - k : 0;
        put(from + k, there, from + k + HG_BLOCK, there - HG_BLOCK, tile(to, size(depth), u, k) + u % HG_BLOCK * TILE_DEPTH);
      }
    }
  }

  // Two tiles of units by two of columns: tiles 0 to 3 are results, 4 and 5 of the left side, 6 and 7 of the right one.
  // Result 2 u + c is of unit tile u and column tile c. Products are added to them.
  static void multiply(Tiles& tiles, const uint16_t* left, const uint16_t* right, int64_t depth) {
    for (int64_t k = 0; k < depth; k += TILE_DEPTH, left += STEP, right += STEP) {
      if constexpr (PIECES == 1) {
        load<4, 0>(tiles, left), load<6, 0>(tiles, right), four(tiles);
      } else {
        // In an order that needs few loads.
        load<4, 0>(tiles, left), load<6, 2>(tiles, right), four(tiles);
        load<6, 1>(tiles, right), four(tiles);
        load<4, 1>(tiles, left), four(tiles);
        load<6, 0>(tiles, right), four(tiles);
        load<4, 2>(tiles, left), four(tiles);
        load<4, 0>(tiles, left), four(tiles);
      }
    }
  }

  // For every piece of work, as `tile_products` does.
  static void configure(Tiles& tiles) {
    tile_shapes shapes;
    for (int t = 0; t < 8; ++t) shapes.rows[t] = HG_BLOCK, shapes.row_bytes[t] = 64;
    tiles.configure(shapes);
  }

 private:
  static uint16_t* tile(uint16_t* to, int64_t size, int64_t value, int64_t k) {
    return to + value / WIDTH * size + k / TILE_DEPTH * STEP + value / HG_BLOCK % 2 * TILE_VALUES;
  }

  // Up to 16 values of two rows; zeros beyond.
  static void put(const float* first, int64_t firsts, const float* second, int64_t seconds, uint16_t* to) {
    using V = lanes_of<float>;
    for (int64_t v = 0; v < HG_BLOCK; v += lanes<V>) {
      const V a = v < firsts ? some_lanes(first + v, firsts - v) : V{}, b = v < seconds ? some_lanes(second + v, seconds - v) : V{};
      put_pairs<PIECES>(a, b, to + 2 * v, PIECE);
    }
  }

  typedef uint32_t pairs __attribute__((vector_size(64), may_alias));

  // Of a left side, a unit's values of all k.
  static void turn_tile(uint16_t* tile) {
    pairs rows[HG_BLOCK];
    std::memcpy(rows, tile, sizeof rows);
    turn(rows);
    std::memcpy(tile, rows, sizeof rows);
  }

  template <int FIRST, int PART>
  static void load(Tiles& tiles, const uint16_t* side) {
    tiles.template load<FIRST>(side + PART * PIECE, 64);
    tiles.template load<FIRST + 1>(side + PART * PIECE + TILE_VALUES, 64);
  }
  static void four(Tiles& tiles) {
    tiles.template multiply<0, 4, 6>();
    tiles.template multiply<2, 5, 6>();
    tiles.template multiply<1, 4, 7>();
    tiles.template multiply<3, 5, 7>();
  }
};

}  // namespace
}  // namespace headgate
