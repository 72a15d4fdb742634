// Tile registers: eight matrices of up to 16 rows of 64 bytes, and the product of two of them.
//
// Both classes here have the same functions: `amx_tiles` are the processor's registers, `emulated_tiles` do in plain C++
// what Intel's manual (volume 2, TDPBF16PS and LDTILECFG) says of them. What is built on tiles is tested on the latter,
// on any machine, and where there is AMX the two are compared before it is used (see amx.cpp).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace headgate {
namespace {

// As LDTILECFG reads it from memory: rows of each tile and the bytes in a row.
struct alignas(64) tile_shapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(tile_shapes) == 64);

class emulated_tiles {
 public:
  void configure(const tile_shapes& shapes) {
    for (int t = 0; t < 16; ++t) {
      must(shapes.rows[t] <= (t < TILES ? ROWS : 0) && shapes.row_bytes[t] <= (t < TILES ? 64 : 0));
      must((shapes.rows[t] == 0) == (shapes.row_bytes[t] == 0));
    }
    must(shapes.palette == 1 && shapes.start_row == 0);
    shapes_ = shapes;
    std::memset(tile_, 0, sizeof tile_);
  }
  void release() { shapes_ = {0}; }

  template <int TILE>
  void load(const void* from, int64_t stride) {
    load(TILE, from, stride);
  }
  template <int TILE>
  void stream(const void* from, int64_t stride) {
    load(TILE, from, stride);
  }
  template <int TILE>
  void store(void* to, int64_t stride) const {
    store(TILE, to, stride);
  }
  template <int TILE>
  void clear() {
    clear(TILE);
  }
  // result += left right, where a value of the left's and the right's rows is a pair of bfloat16.
  template <int RESULT, int LEFT, int RIGHT>
  void multiply() {
    multiply(RESULT, LEFT, RIGHT);
  }

  void load(int tile, const void* from, int64_t stride) {
    must(shapes_.palette == 1 && tile < TILES);
    std::memset(tile_[tile], 0, sizeof tile_[tile]);
    for (int r = 0; r < shapes_.rows[tile]; ++r)
      std::memcpy(tile_[tile][r], static_cast<const char*>(from) + r * stride, shapes_.row_bytes[tile]);
  }
  void clear(int tile) {
    must(shapes_.palette == 1 && tile < TILES && shapes_.rows[tile] > 0);
    std::memset(tile_[tile], 0, sizeof tile_[tile]);
  }
  void store(int tile, void* to, int64_t stride) const {
    must(shapes_.palette == 1 && tile < TILES);
    for (int r = 0; r < shapes_.rows[tile]; ++r)
      std::memcpy(static_cast<char*>(to) + r * stride, tile_[tile][r], shapes_.row_bytes[tile]);
  }
  void multiply(int result, int left, int right) {
    const int depth = shapes_.row_bytes[left] / 4, width = shapes_.row_bytes[result] / 4;
    must(shapes_.palette == 1 && result != left && result != right && left != right);
    must(shapes_.rows[left] == shapes_.rows[result] && shapes_.rows[right] == depth && shapes_.row_bytes[right] == 4 * width);
    for (int r = 0; r < shapes_.rows[result]; ++r) {
      float sum[16][2] = {};  // of the pairs' first and second values
      for (int k = 0; k < depth; ++k)
        for (int n = 0; n < width; ++n)
          for (int p = 0; p < 2; ++p)
            sum[n][p] = flushed(std::fma(half(tile_[left][r][k], p), half(tile_[right][k][n], p), sum[n][p]));
      for (int n = 0; n < width; ++n) {
        float value;
        std::memcpy(&value, &tile_[result][r][n], 4);
        value = flushed(flushed(value) + flushed(sum[n][0] + sum[n][1]));
        std::memcpy(&tile_[result][r][n], &value, 4);
      }
    }
  }

 private:
  static constexpr int TILES = 8, ROWS = 16;

  // Where the processor would raise an exception.
  static void must(bool allowed) {
    if (!allowed) std::abort();
  }
  // Denormals are zeros, what goes in and what comes out, whatever the thread's own mode is.
  static float flushed(float value) { return std::fabs(value) < 1.17549435e-38f ? std::copysign(0.0f, value) : value; }
  static float half(uint32_t pair, int which) {
    const uint32_t bits = which ? pair & 0xffff0000u : pair << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return flushed(value);
  }

  tile_shapes shapes_{0};
  uint32_t tile_[TILES][ROWS][16];
};

#if defined(HG_AMX)
// Written in assembly, since a compiler's own functions need not tell it what memory they read: GCC 12's load of a
// configuration names eight bytes of the 64, and its load of a tile none.
class amx_tiles {
 public:
  void configure(const tile_shapes& shapes) { asm volatile("ldtilecfg %0" ::"m"(shapes) : "memory"); }
  void release() { asm volatile("tilerelease" ::: "memory"); }

  template <int TILE>
  void load(const void* from, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(TILE) : "memory");
  }
  // What is not soon needed again.
  template <int TILE>
  void stream(const void* from, int64_t stride) {
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(TILE) : "memory");
  }
  template <int TILE>
  void store(void* to, int64_t stride) const {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(TILE) : "memory");
  }
  template <int TILE>
  void clear() {
    asm volatile("tilezero %%tmm%c0" ::"i"(TILE));
  }
  template <int RESULT, int LEFT, int RIGHT>
  void multiply() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(RESULT), "i"(LEFT), "i"(RIGHT));
  }
};
#endif

}  // namespace
}  // namespace headgate
