// Matrix products of bfloat16, summed in float32, by tiles. Results are float32, and so is what vectors are read from.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "headgate.h"
#include "lanes.h"
#include "product.h"
#include "room.h"
#include "tiles.h"

namespace headgate {
namespace {

// A tile holds 16 rows of 32 values of a vector, or 16 pairs of k of 16 units' weights.
constexpr int64_t TILE_DEPTH = 32, TILE_VALUES = TILE_DEPTH * HG_BLOCK;

inline int64_t tiled_depth(int64_t K) { return (K + TILE_DEPTH - 1) / TILE_DEPTH * TILE_DEPTH; }

typedef uint32_t pairs_of_bf16 __attribute__((vector_size(HG_VECTOR_BYTES), may_alias));
typedef uint16_t half_of_bf16 __attribute__((vector_size(HG_VECTOR_BYTES / 2), may_alias));

// To the nearest bfloat16, ties to the even one; a NaN stays one. The processor's own instruction takes denormals for zeros,
// as its tiles do.
#if defined(__AVX512BF16__)
inline half_of_bf16 rounded_to_bf16(lanes_of<float> value) { return (half_of_bf16)_mm512_cvtneps_pbh((__m512)value); }
inline pairs_of_bf16 rounded_in_pairs(lanes_of<float> first, lanes_of<float> second) {
  typedef uint16_t words __attribute__((vector_size(HG_VECTOR_BYTES)));
  words beside;
  for (int k = 0; k < HG_BLOCK; ++k) beside[2 * k] = static_cast<uint16_t>(k), beside[2 * k + 1] = static_cast<uint16_t>(HG_BLOCK + k);
  return (pairs_of_bf16)_mm512_permutexvar_epi16((__m512i)beside, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
}
#else
inline pairs_of_bf16 rounded_bits(lanes_of<float> value) {
  pairs_of_bf16 bits;
  std::memcpy(&bits, &value, sizeof bits);
  const pairs_of_bf16 rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
  return value == value ? rounded : quiet;
}
inline half_of_bf16 rounded_to_bf16(lanes_of<float> value) { return __builtin_convertvector(rounded_bits(value), half_of_bf16); }
inline pairs_of_bf16 rounded_in_pairs(lanes_of<float> first, lanes_of<float> second) {
  return rounded_bits(first) | rounded_bits(second) << 16;
}
#endif

// The first values of a vector, zeros after them.
inline lanes_of<float> some_lanes(const float* from, int64_t count) {
  using V = lanes_of<float>;
  if (count >= lanes<V>) return load<V>(from);
  V value{};
  if (count > 0) std::memcpy(&value, from, count * sizeof(float));
  return value;
}

// Whole vectors are written, also at the end.
inline void round_to_bf16(const float* from, int64_t count, uint16_t* to) {
  for (int64_t k = 0; k < count; k += lanes<lanes_of<float>>) {
    const half_of_bf16 half = rounded_to_bf16(some_lanes(from + k, count - k));
    std::memcpy(to + k, &half, sizeof half);
  }
}

// And nothing is written beyond.
inline void round_exactly(const float* from, int64_t count, uint16_t* to) {
  constexpr int64_t WIDTH = lanes<lanes_of<float>>;
  const int64_t whole = count / WIDTH * WIDTH;
  round_to_bf16(from, whole, to);
  uint16_t rest[WIDTH];
  round_to_bf16(from + whole, count - whole, rest);
  std::copy_n(rest, count - whole, to + whole);
}

// Up to 16 values of two rows, one beside the other; zeros beyond, and for a row that is null.
inline void round_in_pairs(const float* first, const float* second, int64_t count, uint16_t* to) {
  using V = lanes_of<float>;
  for (int k = 0; k < HG_BLOCK; k += lanes<V>) {
    const V a = first ? some_lanes(first + k, count - k) : V{}, b = second ? some_lanes(second + k, count - k) : V{};
    const pairs_of_bf16 both = rounded_in_pairs(a, b);
    std::memcpy(to + 2 * k, &both, sizeof both);
  }
}

struct tile_task {
  const uint16_t* vector;  // of the first row
  int64_t vector_stride;
  const float* start;    // what the sum begins with, [panel][16], the same for every row; or null: with zeros
  float* result[STRIP];  // of each panel, first row
  int64_t result_stride;
  const uint16_t* next;  // weights whose turn comes after these, or null
  bool far;              // whether they have to be fetched from beyond the second cache
};

template <class Tiles>
class tile_products {
 public:
  using operand = uint16_t;
  using task = tile_task;
  static constexpr int64_t ENOUGH_ROWS = 16;  // for a thread: fewer take as many tiles of weights

  static void begin(task& at, int64_t bytes) { at.far = !is_near(bytes); }
  static void announce(task& at, const operand* next) { at.next = next; }
  static const float* nothing() { return nullptr; }

  tile_products() = default;
  tile_products(const tile_products&) = delete;
  // The thread is not ours alone: others configure tiles for themselves, and switching threads costs more with some set.
  ~tile_products() {
    if (configured_) tiles_.release();
  }

  static int64_t depth(const hg_product& product) { return tiled_depth(plain_products<float>::depth(product)); }

  // Rounded vectors of a slot, so that every strip of weights finds them in the cache.
  void make_room(int slot, int64_t rows, const hg_product& product) {
    if (slots_.size() <= size_t(slot)) slots_.resize(slot + 1);
    const int64_t size = rows * stride(product) + HG_BLOCK;  // and what rounding writes beyond the last row
    if (slots_[slot].size >= size) return;
    slots_[slot].memory = lines<uint16_t>(size);
    slots_[slot].size = size;
  }
  vectors_of<uint16_t> vectors(int slot, int64_t at, vectors_of<float> given, int64_t rows, const hg_product& product) {
    first_rows_ = 0;  // shapes are set anew, see below
    uint16_t* const begin = slots_[slot].memory.get() + at * stride(product);
    for (int64_t r = 0; r < rows; ++r) {
      uint16_t *const row = begin + r * stride(product), *to = row;
      for (int s = 0; s < product.segments; to += product.length[s++])
        round_to_bf16(given.first + r * given.stride + product.start[s], product.length[s], to);
      std::fill(to, row + depth(product), uint16_t(0));
    }
    return {begin, stride(product)};
  }

  // The same of rows in one segment, rounded already. Tiles would wait for lines that another core has just written.
  vectors_of<uint16_t> copies(int slot, vectors_of<uint16_t> given, int64_t rows, const hg_product& product) {
    first_rows_ = 0;
    uint16_t* const begin = slots_[slot].memory.get();
    for (int64_t r = 0; r < rows; ++r) {
      uint16_t* const row = begin + r * stride(product);
      std::memcpy(row, given.first + r * given.stride, product.length[0] * sizeof(uint16_t));
      std::fill(row + product.length[0], row + depth(product), uint16_t(0));
    }
    return {begin, stride(product)};
  }

  // All rows against one strip, 16 or a few less at a time. A single row is a tile as well: what it waits for are the
  // weights, of half the bytes of float32.
  void strip(const hg_product& product, const tile_task& at, const uint16_t* weight, int panels, int64_t rows) {
    const int64_t groups = (rows + 15) / 16, K = depth(product);
    // Of what comes next, a part is fetched with every step along K: this strip is gone through by each two groups of rows,
    // for each two panels.
    const int64_t times = (groups + 1) / 2 * (groups > 1 ? (panels + 1) / 2 : 1);
    ahead_ = at.far ? reinterpret_cast<const char*>(at.next) : nullptr;
    ahead_lines_ = (panels * TILE_VALUES / LINE_VALUES + times - 1) / times;
    for (int64_t g = 0; g < groups; g += 2) {
      const int64_t from = rows * g / groups, middle = rows * (g + 1) / groups, to = rows * std::min(g + 2, groups) / groups;
      if (to == middle)
        one_group(at, weight, K, panels, from, middle - from);
      else
        two_groups(at, weight, K, panels, from, middle, to);
    }
  }

 private:
  struct slot {
    block<uint16_t> memory;
    int64_t size = 0;
  };

  // Rows an odd number of cache lines apart, so that 16 of them do not meet in one set of the first cache.
  static int64_t stride(const hg_product& product) { return (depth(product) / TILE_DEPTH | 1) * TILE_DEPTH; }

  // Tiles 0 to 3 are results, 4 and 5 vectors, 6 and 7 weights. Result 2 p + g is of panel p and group g of rows, but
  // with one group of rows all four are of panels.
  static constexpr int VECTOR = 4, WEIGHT = 6;

  // Setting the shapes costs as much as ten products, so it is done where they change; and for new vectors, since products
  // take three times as long from when the system has switched threads until shapes are set again.
  void configure(int64_t first, int64_t second) {
    if (first == first_rows_ && second == second_rows_) return;
    first_rows_ = first, second_rows_ = second, configured_ = true;
    tile_shapes shapes;
    const int64_t rows[] = {first, second, first, second, first, second, HG_BLOCK, HG_BLOCK};
    for (int t = 0; t < 8; ++t) shapes.rows[t] = static_cast<uint8_t>(rows[t]), shapes.row_bytes[t] = 64;
    tiles_.configure(shapes);
  }

  void one_group(const tile_task& at, const uint16_t* weight, int64_t K, int panels, int64_t row, int64_t rows) {
    configure(rows, rows);
    const int64_t both[] = {row, row};
    switch (panels) {
      case 1:
        return block<1, 1>(at, weight, K, panels, both, 0);
      case 2:
        return block<1, 2>(at, weight, K, panels, both, 0);
      case 3:
        return block<1, 3>(at, weight, K, panels, both, 0);
      default:
        return block<1, 4>(at, weight, K, panels, both, 0);
    }
  }

  void two_groups(const tile_task& at, const uint16_t* weight, int64_t K, int panels, int64_t from, int64_t middle, int64_t to) {
    configure(middle - from, to - middle);
    const int64_t both[] = {from, middle};
    int first = 0;
    for (; first + 2 <= panels; first += 2) block<2, 2>(at, weight, K, panels, both, first);
    if (first < panels) block<2, 1>(at, weight, K, panels, both, first);
  }

  // Some panels of a strip, whose tiles lie [k][panel].
  template <int GROUPS, int PANELS>
  void block(const tile_task& at, const uint16_t* weight, int64_t K, int panels, const int64_t* row, int first) {
    begin<GROUPS, PANELS, 0>(at, first);
    weight += first * TILE_VALUES;
    for (int64_t k = 0; k < K; k += TILE_DEPTH, weight += panels * TILE_VALUES) {
      tiles_.template load<VECTOR>(at.vector + row[0] * at.vector_stride + k, at.vector_stride * sizeof(uint16_t));
      if constexpr (GROUPS == 2)
        tiles_.template load<VECTOR + 1>(at.vector + row[1] * at.vector_stride + k, at.vector_stride * sizeof(uint16_t));
      multiply<GROUPS, PANELS, 0>(weight);
      if (ahead_) {
        for (int64_t line = 0; line < ahead_lines_; ++line) __builtin_prefetch(ahead_ + line * LINE, 0, 2);
        ahead_ += ahead_lines_ * LINE;
      }
    }
    results<GROUPS, PANELS, 0>(at, row, first);
  }

  // Two panels at a time. All loads stand before the products, which is a tenth faster than each before its own.
  template <int GROUPS, int PANELS, int P>
  void multiply(const uint16_t* weight) {
    constexpr bool BOTH = P + 1 < PANELS;
    weight += (P ? 2 : 0) * TILE_VALUES;
    tiles_.template stream<WEIGHT>(weight, 2 * TILE_DEPTH);
    if constexpr (BOTH) tiles_.template stream<WEIGHT + 1>(weight + TILE_VALUES, 2 * TILE_DEPTH);
    tiles_.template multiply<result<GROUPS>(0, P), VECTOR, WEIGHT>();
    if constexpr (GROUPS == 2) tiles_.template multiply<result<GROUPS>(1, P), VECTOR + 1, WEIGHT>();
    if constexpr (BOTH) {
      tiles_.template multiply<result<GROUPS>(0, P + 1), VECTOR, WEIGHT + 1>();
      if constexpr (GROUPS == 2) tiles_.template multiply<result<GROUPS>(1, P + 1), VECTOR + 1, WEIGHT + 1>();
    }
    if constexpr (P + 2 < PANELS) multiply<GROUPS, PANELS, P + 2>(weight);
  }

  // Tile T of the results: every row is the same, so all of them lie 0 bytes apart.
  template <int GROUPS, int PANELS, int T>
  void begin(const tile_task& at, int first) {
    if (at.start)
      tiles_.template load<T>(at.start + (first + T / GROUPS) * HG_BLOCK, 0);
    else
      tiles_.template clear<T>();
    if constexpr (T + 1 < GROUPS * PANELS) begin<GROUPS, PANELS, T + 1>(at, first);
  }

  template <int GROUPS, int PANELS, int T>
  void results(const tile_task& at, const int64_t* row, int first) {
    float* const place = at.result[first + T / GROUPS] + row[T % GROUPS] * at.result_stride;
    tiles_.template store<T>(place, at.result_stride * sizeof(float));
    if constexpr (T + 1 < GROUPS * PANELS) results<GROUPS, PANELS, T + 1>(at, row, first);
  }

  template <int GROUPS>
  static constexpr int result(int group, int panel) {
    return GROUPS * panel + group;
  }

  static constexpr int64_t LINE_VALUES = LINE / sizeof(uint16_t);

  Tiles tiles_;
  std::vector<slot> slots_;
  const char* ahead_ = nullptr;
  int64_t ahead_lines_ = 0;
  int64_t first_rows_ = 0, second_rows_ = 0;
  bool configured_ = false;
};

}  // namespace
}  // namespace headgate
