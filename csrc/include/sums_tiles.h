// Sums of products of float32 by tiles, of rounded numbers or of three pieces of each.
#pragma once

#include "headgate.h"
#include "strips_tiles.h"
#include "sums.h"

namespace headgate {
namespace {

template <class Tiles, int PIECES>
class tile_sums {
  using sides = tile_strips<Tiles, PIECES>;

 public:
  using number = float;
  static constexpr int64_t GROUP = sides::WIDTH, COLUMNS = sides::WIDTH;
  static constexpr int64_t DEPTH = PIECES == 1 ? 256 : 96, UNITS = 512, WIDTH = 512;

  tile_sums() = default;
  tile_sums(const tile_sums&) = delete;
  ~tile_sums() { tiles_.release(); }  // as `tile_products` does

  void make_room(int64_t width) {
    left_ = lines<uint16_t>(sides::count(UNITS) * sides::size(DEPTH));
    right_ = lines<uint16_t>(sides::count(width) * sides::size(DEPTH));
  }

  void add(const hg_summing& job, const piece_of_sums& at, float* results, int64_t stride) {
    const int64_t size = sides::size(at.depth);
    for (const part_of_right& part : at.parts) {
      const auto row = [&](int64_t k) { return right_row<float>(*part.right, at.row + k) + part.column; };
      sides::pack_right(row, at.depth, part.width, right_.get() + part.at / COLUMNS * size);
    }
    if (job.segments) {
      sides::pack_turned([&](int64_t u) { return left_turned<float>(job, at) + u * job.stride; }, at.depth, at.units, left_.get());
    } else {
      const auto row = [&](int64_t k) { return left_row<float>(job, at.row + k) + at.from; };
      sides::pack_left(row, at.depth, at.units, left_.get());
    }
    sides::configure(tiles_);
    for (int64_t s = 0; s < sides::count(at.units); ++s)
      for (int64_t c = 0; c < at.width / COLUMNS; ++c)
        multiply(left_.get() + s * size, right_.get() + c * size, at.depth, results + s * GROUP * stride + c * COLUMNS, stride);
  }

 private:
  // What is rounded is added to the results at once. The sum of pieces begins at zero, and is added at the end: it is then
  // rounded against itself, not against all before it.
  void multiply(const uint16_t* left, const uint16_t* right, int64_t depth, float* result, int64_t stride) {
    if constexpr (PIECES == 1) {
      const int64_t bytes = stride * sizeof(float);
      tiles_.template load<0>(result, bytes), tiles_.template load<1>(result + HG_BLOCK, bytes);
      tiles_.template load<2>(result + HG_BLOCK * stride, bytes), tiles_.template load<3>(result + HG_BLOCK * (stride + 1), bytes);
      sides::multiply(tiles_, left, right, depth);
      store(result, stride);
    } else {
      using V = lanes_of<float>;
      alignas(64) float own[GROUP * COLUMNS];
      tiles_.template clear<0>(), tiles_.template clear<1>(), tiles_.template clear<2>(), tiles_.template clear<3>();
      sides::multiply(tiles_, left, right, depth);
      store(own, COLUMNS);
      for (int64_t u = 0; u < GROUP; ++u, result += stride)
        for (int64_t c = 0; c < COLUMNS; c += lanes<V>) headgate::store<V>(result + c, load<V>(result + c) + load<V>(own + u * COLUMNS + c));
    }
  }

  void store(float* to, int64_t stride) {
    const int64_t bytes = stride * sizeof(float);
    tiles_.template store<0>(to, bytes), tiles_.template store<1>(to + HG_BLOCK, bytes);
    tiles_.template store<2>(to + HG_BLOCK * stride, bytes), tiles_.template store<3>(to + HG_BLOCK * (stride + 1), bytes);
  }

  Tiles tiles_;
  block<uint16_t> left_, right_;
};

}  // namespace
}  // namespace headgate
