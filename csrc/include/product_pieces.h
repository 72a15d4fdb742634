// A run's products of float32 by tiles, made of three pieces of each number.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "headgate.h"
#include "product.h"
#include "strips_tiles.h"
#include "sums.h"

namespace headgate {
namespace {

// Where there are no tiles.
struct no_pieces {
  static constexpr bool there = false;
  static constexpr int64_t ROWS = 0;
  static int64_t enough_rows(const hg_run&, int64_t few) { return few; }
};

// A panel of packed weights, [k][panel][16] with so many numbers from one k to the next, and of the results: where it begins
// in a row, and what its sums begin with.
struct panel_of_weights {
  const float* weight;
  int64_t step, result;
  const float* start;
};

// Which of its packed weights each value of a product's vector meets, from the first one on, and -1 in the padding between
// segments; empty where they do not follow each other closely.
inline std::vector<int64_t> order_of(const hg_product& product) {
  std::vector<int64_t> order;
  int64_t next = 0;
  for (int s = 0; s < product.segments; ++s) {
    const int64_t missing = product.start[s] - product.start[0] - static_cast<int64_t>(order.size());
    if (missing < 0 || missing >= HG_BLOCK) return {};
    order.insert(order.end(), missing, -1);
    for (int64_t k = 0; k < product.length[s]; ++k) order.push_back(next++);
  }
  return order;
}

template <class Tiles>
class piece_products {
  using sides = tile_strips<Tiles, 3>;

 public:
  static constexpr bool there = true;
  // Rows that are made together: so many results are written, where fewer are wanted.
  static constexpr int64_t ROWS = sides::WIDTH;
  // So much of a sum is made at once: of many rows, what stays in the first cache; of few, what needs few results read again.
  static constexpr int64_t AHEAD_DEPTH = 128, STEP_DEPTH = 512;

  // Cutting weights costs as much as products of some tens of rows gain.
  static bool pays(int64_t rows, int64_t depth) { return rows >= 256 && depth >= TILE_DEPTH; }
  // In a step nearly as many rows have to be there as are made.
  static bool pays_in_step(int64_t rows) { return rows >= ROWS && 4 * ROWS * sides::count(rows) <= 5 * rows; }
  // For a thread, if rows are split: more than there are, if all together pay and those of one do not, and threads have to
  // meet for many weights.
  static int64_t enough_rows(const hg_run& run, int64_t few) {
    const bool many = 2 * run.weight_bytes >= second_cache();
    return many && pays_in_step(run.B) && !pays_in_step(run.B / std::max(run.threads, 1)) ? run.B : few;
  }

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

  bool is_cut() const { return at_once_ > 0; }
  int64_t depth() const { return depth_; }

  // Weights, in the order of the vectors' values.
  void cut(std::vector<panel_of_weights> panels, const std::vector<int64_t>& order, int64_t at_once) {
    alignas(64) static constexpr float nothing[HG_BLOCK] = {};
    panels_ = std::move(panels), depth_ = order.size(), at_once_ = at_once;
    weights_ = lines<uint16_t>((depth_ + at_once - 1) / at_once * pairs() * sides::size(at_once));
    for (int64_t k = 0; k < depth_; k += at_once)
      for (size_t p = 0; p < panels_.size(); ++p) {
        const auto row = [&](int64_t deeper) {
          const int64_t at = order[k + deeper];
          return at < 0 ? nothing : panels_[p].weight + at * panels_[p].step;
        };
        sides::pack_panel(row, std::min(at_once, depth_ - k), p % 2, strip(k, p / 2));
      }
  }

  // Of so many vectors, of which row(r) is one. False where one is not finite: then nothing is made.
  template <class Row>
  bool multiply(const Row& row, int64_t rows, float* result, int64_t stride) {
    for (int64_t r = 0; r < rows; ++r)
      if (!all_finite(row(r), depth_)) return false;
    if (rows > room_) vectors_ = lines<uint16_t>(sides::count(rows) * sides::size(at_once_)), room_ = rows;
    sides::configure(tiles_);
    for (int64_t k = 0; k < depth_; k += at_once_) {
      const int64_t depth = std::min(at_once_, depth_ - k), size = sides::size(depth);
      sides::pack_turned([&](int64_t r) { return row(r) + k; }, depth, rows, vectors_.get());
      // A strip of weights is used for all rows before the next one.
      for (int64_t p = 0; p < pairs(); ++p)
        for (int64_t s = 0; s < sides::count(rows); ++s)
          two_panels(p, k == 0, vectors_.get() + s * size, strip(k, p), depth, result + s * ROWS * stride, stride);
    }
    tiles_.release();  // as `tile_products` does
    return true;
  }

 private:
  int64_t pairs() const { return (panels_.size() + 1) / 2; }
  uint16_t* strip(int64_t k, int64_t pair) const { return weights_.get() + (k / at_once_ * pairs() + pair) * sides::size(at_once_); }

  void two_panels(int64_t pair, bool first, const uint16_t* vectors, const uint16_t* weights, int64_t depth, float* result,
                  int64_t stride) {
    const panel_of_weights* const panel = panels_.data() + 2 * pair;
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
  std::vector<panel_of_weights> panels_;
  block<uint16_t> weights_, vectors_;
  int64_t depth_ = 0, at_once_ = 0, room_ = 0;
};

}  // namespace
}  // namespace headgate
