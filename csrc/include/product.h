// Matrix products with packed weights: result[row, panel] = start[panel] + sum over k of vector[row, k] weight[k, panel],
// or added to the result.
#pragma once

#include <algorithm>

#include <unistd.h>

#include "headgate.h"
#include "lanes.h"

namespace headgate {
namespace {

// A panel is 16 neighbouring result units of one block. Up to four panels lie interleaved in a strip, so that a strip is
// read from memory in one stream: [k][panel][16].
constexpr int STRIP = 4;

// The strips of a product with several blocks hold panels of the same units, so that one unit's gates are near each
// other; those of a product with one block hold neighbouring units.
inline int64_t strip_units(int64_t unit_blocks) {
  return unit_blocks >= 8 ? STRIP : unit_blocks >= 4 ? 2 : 1;
}

// Bytes of a core's second cache.
inline int64_t second_cache() {
  static const long found = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return found > 0 ? found : 1 << 20;
}

// Whether weights stay in the second cache from one step to the next, beside all else that a step reads.
inline bool is_near(int64_t bytes) { return bytes <= second_cache() * 6 / 10; }

template <class T>
struct kernel_shape {
  static constexpr int per_panel = HG_BLOCK * sizeof(T) / HG_VECTOR_BYTES;  // vectors in a panel
#if defined(__AVX512F__)
  static constexpr int accumulators = 24;
#else
  static constexpr int accumulators = 12;
#endif
  static constexpr int panels = per_panel >= STRIP ? 1 : STRIP / per_panel > 2 && HG_VECTOR_BYTES < 64 ? 1 : STRIP / per_panel;
  static constexpr int rows(int of_panels) {
    return std::max(1, std::min(8, accumulators / (of_panels * per_panel)));
  }
};

template <class T>
struct product_task {
  const T* vector;  // of the first row and k
  int64_t vector_stride;
  int64_t vector_step;  // from one k to the next
  const T* weight;  // of the first k and panel
  int64_t weight_stride;
  int64_t K;
  const T* start;    // what the sum begins with, [panel][16], the same for every row; or null: with the result
  T* result[STRIP];  // of each panel, first row
  int64_t result_stride;
  const T* next;  // weights whose turn comes after these, or null
  bool far;       // whether they have to be fetched from beyond the second cache
};

// Weights that come next, fetched into the second cache a little with every k, while others are multiplied.
struct weights_ahead {
  const char* at;
  int64_t step;
};

template <class T, int ROWS, int PANELS, bool AHEAD>
inline void multiply(const product_task<T>& task, int64_t row, int first, weights_ahead ahead) {
  using V = lanes_of<T>;
  constexpr int PER = kernel_shape<T>::per_panel, WIDTH = PANELS * PER;
  // Few accumulators would wait for each other: then even and odd k have their own.
  constexpr int CHAINS = ROWS * WIDTH < 8 ? 2 : 1;
  // From zero, and onto the result at the end: a piece's sum is then rounded against itself, not against all before it.
  V sum[CHAINS][ROWS][WIDTH] = {};
  const T* vector = task.vector + row * task.vector_stride;
  const T* weight = task.weight + first * HG_BLOCK;
  int64_t k = 0;
  for (; k + CHAINS <= task.K; k += CHAINS) {
#pragma GCC unroll 2
    for (int c = 0; c < CHAINS; ++c) {
      V w[WIDTH];
#pragma GCC unroll 8
      for (int j = 0; j < WIDTH; ++j) w[j] = load<V>(weight + j * lanes<V>);
      weight += task.weight_stride;
      // Few rows wait for the weights anyway.
      if constexpr (AHEAD && ROWS * WIDTH >= 12) {
        __builtin_prefetch(ahead.at, 0, 2);
        ahead.at += ahead.step;
      }
#pragma GCC unroll 16
      for (int r = 0; r < ROWS; ++r) {
        const V x = number<V>(vector[r * task.vector_stride]);
#pragma GCC unroll 8
        for (int j = 0; j < WIDTH; ++j) sum[c][r][j] += x * w[j];
      }
      vector += task.vector_step;
    }
  }
  if constexpr (CHAINS == 2) {
    if (k < task.K)
      for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < WIDTH; ++j)
          sum[0][r][j] += vector[r * task.vector_stride] * load<V>(weight + j * lanes<V>);
    for (int r = 0; r < ROWS; ++r)
      for (int j = 0; j < WIDTH; ++j) sum[0][r][j] += sum[1][r][j];
  }
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
    for (int w = 0; w < WIDTH; ++w) {
      number_in<V>* result = task.result[first + w / PER] + (row + r) * task.result_stride + w % PER * lanes<V>;
      const number_in<V>* base = task.start ? task.start + first * HG_BLOCK + w * lanes<V> : result;
      store<V>(result, load<V>(base) + sum[0][r][w]);
    }
}

template <class T, int PANELS, bool AHEAD, int ROWS>
inline void multiply_rows(const product_task<T>& task, int64_t row, int rows, int first, weights_ahead ahead) {
  if (rows == ROWS) return multiply<T, ROWS, PANELS, AHEAD>(task, row, first, ahead);
  if constexpr (ROWS > 1) multiply_rows<T, PANELS, AHEAD, ROWS - 1>(task, row, rows, first, ahead);
}

// All rows against `PANELS` panels of a strip, in groups of rows as even as can be.
template <class T, int PANELS>
inline void multiply_panels(const product_task<T>& task, int64_t rows, int first) {
  constexpr int MOST = kernel_shape<T>::rows(PANELS);
  const int64_t groups = (rows + MOST - 1) / MOST, bytes = task.K * task.weight_stride * sizeof(T);
  const char* const next = reinterpret_cast<const char*>(task.next);
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t from = groups > 1 ? rows * g / groups : 0, to = groups > 1 ? rows * (g + 1) / groups : rows;
    const int count = static_cast<int>(to - from);
    if (task.far && next)
      multiply_rows<T, PANELS, true, MOST>(task, from, count, first, {next + bytes * g / groups, bytes / groups / task.K});
    else
      multiply_rows<T, PANELS, false, MOST>(task, from, count, first, {});
  }
}

// All rows against a strip of up to four panels.
template <class T>
inline void multiply_strip(const product_task<T>& task, int64_t rows, int panels) {
  constexpr int MOST = kernel_shape<T>::panels;
  int first = 0;
  for (; first + MOST <= panels; first += MOST) multiply_panels<T, MOST>(task, rows, first);
  if constexpr (MOST > 1) {
    if constexpr (MOST > 2) {
      if (panels - first == 3) return multiply_panels<T, 3>(task, rows, first);
      if (panels - first == 2) return multiply_panels<T, 2>(task, rows, first);
    }
    if (panels - first == 1) multiply_panels<T, 1>(task, rows, first);
  }
}

// Rows of a product's vectors.
template <class T>
struct vectors_of {
  const T* first;
  int64_t stride;
};

// A run's products keep what they make of their vectors in slots: this one is the input's, a pass's follow.
constexpr int INPUT_SLOT = 0;

// Products of numbers as they come. What is multiplied, and how, is all that a run leaves to this class.
template <class T>
class plain_products {
 public:
  using operand = T;
  using task = product_task<T>;
  static constexpr int64_t STRIP_BYTES = 131072;
  static constexpr int64_t ENOUGH_ROWS = 2;  // for a thread

  // Values of the packed weights for every result unit.
  static int64_t depth(const hg_product& product) {
    int64_t sum = 0;
    for (int s = 0; s < product.segments; ++s) sum += product.length[s];
    return sum;
  }

  // A task on weights of so many bytes, all strips together.
  static void begin(task& at, int64_t bytes) { at.far = !is_near(bytes); }
  static void announce(task& at, const T* next) { at.next = next; }
  // What a sum begins with where there is no bias.
  static const T* nothing() {
    alignas(64) static constexpr T zeros[STRIP * HG_BLOCK] = {};
    return zeros;
  }

  void make_room(int, int64_t, const hg_product&) {}
  vectors_of<T> vectors(int, int64_t, vectors_of<T> given, int64_t, const hg_product&) { return given; }

  // All rows against one strip.
  void strip(const hg_product& product, task& at, const T* weight, int panels, int64_t rows) const {
    // A piece of the strip stays in the second cache while all rows are multiplied with it.
    const bool whole = rows <= 8;
    const int64_t piece = whole ? 0 : std::max<int64_t>(STRIP_BYTES / (panels * HG_BLOCK * sizeof(T)), 16);
    const T *const vector = at.vector, *const start = at.start, *const next = at.next;
    const T* const end = weight + panels * HG_BLOCK * depth(product);
    at.vector_step = 1;
    at.weight_stride = panels * HG_BLOCK;
    for (int s = 0; s < product.segments; ++s)
      for (int64_t k = 0; k < product.length[s]; k += at.K) {
        at.K = whole ? product.length[s] : std::min(piece, product.length[s] - k);
        at.vector = vector + product.start[s] + k;
        at.weight = weight;
        weight += at.K * at.weight_stride;
        at.next = weight < end ? weight : next;
        multiply_strip<T>(at, rows, panels);
        at.start = nullptr;
      }
    at.vector = vector;
    at.start = start;
  }
};

}  // namespace
}  // namespace headgate
