// The input's part of some steps, by tiles: products of float32, made of three pieces of each number.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "headgate.h"
#include "strips_tiles.h"
#include "sums.h"

namespace headgate {
namespace {

// Where there are no tiles.
struct no_pieces {
  static constexpr bool there = false;
  static constexpr int64_t ROWS = 0;
};

// A panel of packed weights, [k][panel][16] with so many numbers from one k to the next, and of the results: where it begins
// in a row, and what its sums begin with.
struct input_panel {
  const float* weight;
  int64_t step, result;
  const float* start;
};

template <class Tiles>
class input_pieces {
  using sides = tile_strips<Tiles, 3>;
  static constexpr int64_t DEPTH = 128;

 public:
  static constexpr bool there = true;
  // Rows results are written for, where fewer are wanted.
  static constexpr int64_t ROWS = sides::WIDTH;

  // Cutting weights costs as much as products of some tens of rows gain.
  static bool pays(int64_t rows, int64_t depth) { return rows >= 256 && depth >= TILE_DEPTH; }

  // Whether all are numbers: the lower pieces of what is infinite would be none, and so would every sum it is in.
  static bool all_finite(const float* from, int64_t count) {
    constexpr uint32_t MAGNITUDE = 0x7fffffffu, INFINITE = 0x7f800000u;
    uint32_t largest = 0;
    for (int64_t k = 0; k < count; ++k) {
      uint32_t bits;
      std::memcpy(&bits, from + k, sizeof bits);
      largest = std::max(largest, bits & MAGNITUDE);
    }
    return largest < INFINITE;
  }

  void take(std::vector<input_panel> panels, int64_t depth) {
    panels_ = std::move(panels), depth_ = depth;
    weights_ = lines<uint16_t>((depth + DEPTH - 1) / DEPTH * pairs() * sides::size(DEPTH));
    for (int64_t k = 0; k < depth; k += DEPTH)
      for (size_t p = 0; p < panels_.size(); ++p) {
        const auto row = [&](int64_t deeper) { return panels_[p].weight + (k + deeper) * panels_[p].step; };
        sides::pack_panel(row, std::min(DEPTH, depth - k), p % 2, strip(k, p / 2));
      }
  }

  // Of so many vectors, of which row(r) is one.
  template <class Row>
  void multiply(const Row& row, int64_t rows, float* result, int64_t stride) {
    if (rows > room_) vectors_ = lines<uint16_t>(sides::count(rows) * sides::size(DEPTH)), room_ = rows;
    sides::configure(tiles_);
    for (int64_t k = 0; k < depth_; k += DEPTH) {
      const int64_t depth = std::min(DEPTH, depth_ - k), size = sides::size(depth);
      sides::pack_turned([&](int64_t r) { return row(r) + k; }, depth, rows, vectors_.get());
      // A strip of weights stays in the first cache while all rows are multiplied with it.
      for (int64_t p = 0; p < pairs(); ++p)
        for (int64_t s = 0; s < sides::count(rows); ++s)
          two_panels(p, k == 0, vectors_.get() + s * size, strip(k, p), depth, result + s * ROWS * stride, stride);
    }
    tiles_.release();  // as `tile_products` does
  }

 private:
  int64_t pairs() const { return (panels_.size() + 1) / 2; }
  uint16_t* strip(int64_t k, int64_t pair) const { return weights_.get() + (k / DEPTH * pairs() + pair) * sides::size(DEPTH); }

  void two_panels(int64_t pair, bool first, const uint16_t* vectors, const uint16_t* weights, int64_t depth, float* result,
                  int64_t stride) {
    const input_panel* const panel = panels_.data() + 2 * pair;
    const bool both = 2 * pair + 1 < int64_t(panels_.size());
    float *const one = result + panel[0].result, *const other = both ? result + panel[1].result : one;
    const int64_t bytes = stride * sizeof(float), below = HG_BLOCK * stride;
    if (first) {  // every row is the same, so all of them lie 0 bytes apart
      const float *const start = panel[0].start, *const beside = both ? panel[1].start : start;
      tiles_.template load<0>(start, 0), tiles_.template load<2>(start, 0);
      tiles_.template load<1>(beside, 0), tiles_.template load<3>(beside, 0);
    } else {
      tiles_.template load<0>(one, bytes), tiles_.template load<2>(one + below, bytes);
      tiles_.template load<1>(other, bytes), tiles_.template load<3>(other + below, bytes);
    }
    sides::multiply(tiles_, vectors, weights, depth);
    tiles_.template store<0>(one, bytes), tiles_.template store<2>(one + below, bytes);
    if (both) tiles_.template store<1>(other, bytes), tiles_.template store<3>(other + below, bytes);
  }

  Tiles tiles_;
  std::vector<input_panel> panels_;
  lines<uint16_t> weights_, vectors_;
  int64_t depth_ = 0, room_ = 0;
};

}  // namespace
}  // namespace headgate
