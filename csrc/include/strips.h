// Going through a product's packed weights, strip by strip, and how large the pieces are that a pass is cut into.
#pragma once

#include <algorithm>

#include "headgate.h"
#include "product.h"
#include "share.h"

namespace headgate {
namespace {

constexpr int64_t TILE_ROWS = 128;

// Units of a tile, whole strips at least: as many as let the products' results lie beside their vectors in the second cache.
// The more, the longer the vectors stay there while weights stream past.
template <class T>
int64_t units_of_tile(int64_t units, int64_t blocks, int64_t rows) {
  const int64_t least = strip_units(units / HG_BLOCK);
  const int64_t bytes = std::max<int64_t>(blocks, 1) * HG_BLOCK * sizeof(T) * std::max<int64_t>(rows, 1);
  return std::max(second_cache() / (8 * bytes * least) * least, least) * HG_BLOCK;
}

// Every strip of some units' weights, and where its panels' results begin. With `down`, from the last to the first: what
// was read last before is then still in the cache, where not all of them fit.
template <class T, class Products>
struct strips {
  const hg_run& run;
  range units;
  int64_t width;        // of a block of results
  int64_t unit_blocks;  // of all threads
  int64_t own_units;    // of this one
  bool down;

  // Calls work(task, weight, panels, result of each panel), which the task has, too. It is written twice and not copied: four
  // addresses just written one by one are not there yet for a copy that reads them at once.
  template <class Work>
  void each(const hg_product& product, T* result, const Work& work) const {
    using operand = typename Products::operand;
    const operand* packed = static_cast<const operand*>(run.buffers[product.packed]);
    const int64_t depth = Products::depth(product);
    typename Products::task task{};
    Products::begin(task, own_units * product.blocks * depth * sizeof(operand));
    T* at[STRIP];
    const T* bias = product.bias < 0 ? nullptr : static_cast<const T*>(run.buffers[product.bias]);
    const bool alone = product.blocks == 1;
    const int64_t first = units.from / HG_BLOCK, last = units.to / HG_BLOCK, step = alone ? strip_units(unit_blocks) : 1;
    const int64_t across = (product.blocks + STRIP - 1) / STRIP, groups = (last - first + step - 1) / step;
    const auto weight = [&](int64_t j, int64_t b) { return packed + (j * product.blocks + b) * HG_BLOCK * depth; };
    // Steps, since divisions would take a tenth of a single row's time.
    const int64_t begin = down ? (across - 1) * STRIP : 0, along = down ? -STRIP : STRIP, beside = down ? -step : step;
    int64_t j = down ? first + (groups - 1) * step : first, b = begin;
    for (int64_t left = groups * across; left > 0; --left) {
      const int panels = static_cast<int>(alone ? std::min(step, last - j) : std::min<int64_t>(STRIP, product.blocks - b));
      for (int p = 0; p < panels; ++p)
        at[p] = task.result[p] = result + (alone ? (j + p) * HG_BLOCK - units.from : (b + p) * width + j * HG_BLOCK - units.from);
      task.start = bias ? bias + (j * product.blocks + b) * HG_BLOCK : Products::nothing();
      const operand* const now = weight(j, b);
      b += along;
      if (b < 0 || b >= product.blocks) b = begin, j += beside;
      Products::announce(task, left > 1 ? weight(j, b) : nullptr);
      work(task, now, panels, at);
    }
  }
};

}  // namespace
}  // namespace headgate
