// What a printed pass is written in.
#pragma once

#include "headgate.h"
#include "lanes.h"

#ifndef HG_ISA
#error "HG_ISA names the instruction set, as in -DHG_ISA=avx512"
#endif

namespace headgate {
namespace {

// Where the values of one row begin. Copies of a tile's pointers: the compiler then knows that no store changes them.
template <class Number, int COUNT>
struct row_ends {
  Number* at[COUNT];
  int64_t stride[COUNT];

  template <class Pointer>
  row_ends(Pointer* const* first, const int64_t* strides) {
    for (int k = 0; k < COUNT; ++k) at[k] = static_cast<Number*>(first[k]), stride[k] = strides[k];
  }
  void next() {
#pragma GCC unroll 256
    for (int k = 0; k < COUNT; ++k) at[k] += stride[k];
  }
};

// All units by twos, the last one by itself where their number is odd.
template <class T, class Pass>
void by_twos(const hg_tile& tile, const Pass& pass) {
  using V = lanes_of<T>;
  constexpr int64_t WIDTH = lanes<two<V>>;
  if constexpr (HG_BLOCK % WIDTH == 0) {
    pass(two<V>{}, tile);
  } else {
    hg_tile part = tile;
    part.units = tile.units / WIDTH * WIDTH;
    if (part.units) pass(two<V>{}, part);
    part.from = part.units, part.units = tile.units;
    if (part.from < part.units) pass(V{}, part);
  }
}

}  // namespace
}  // namespace headgate

#define HG_PASS(tile, n_in, n_out)                                                \
  row_ends<const number_in<V>, n_in> in((tile).in, (tile).in_stride);             \
  row_ends<number_in<V>, n_out> out((tile).out, (tile).out_stride);               \
  const int64_t rows = (tile).rows, from = (tile).from, units = (tile).units;      \
  [[maybe_unused]] const int64_t valid = (tile).valid;                            \
  [[maybe_unused]] const bool keep = (tile).keep;                                 \
  for (int64_t row = 0; row < rows; ++row, in.next(), out.next())
#define HG_UNITS for (int64_t unit = from; unit < units; unit += lanes<V>)
#define HG_READ(k) load<V>(in.at[k] + unit)
#define HG_ONCE(k) number<V>(*in.at[k])
#define HG_STORE(k, value) store<V>(out.at[k] + unit, value)
#define HG_KEEP(k, value) \
  if (keep) HG_STORE(k, value)
#define HG_STORE_ONCE(k, value) *out.at[k] = (value)[0]
#define HG_KEEP_ONCE(k, value) \
  if (keep) HG_STORE_ONCE(k, value)
#define HG_SUM(k, value) HG_STORE(k, load<V>(out.at[k] + unit) + (value))
#define HG_ADD(sum, value) sum += first_lanes<V>(value, valid - unit)
#define HG_ADDED(k, sum) *out.at[k] += all_lanes<V>(sum)

#define HG_EXPORT_ONE(name, type, T) \
  extern "C" HG_PUBLIC void HG_JOIN(name, HG_ISA, type)(const hg_tile* at) { headgate::name<headgate::lanes_of<T>>(*at); }
// A pass whose functions take long.
#define HG_EXPORT_TWO(name, type, T)                                                                   \
  extern "C" HG_PUBLIC void HG_JOIN(name, HG_ISA, type)(const hg_tile* at) {                           \
    headgate::by_twos<T>(*at, [](auto v, const hg_tile& tile) { headgate::name<decltype(v)>(tile); }); \
  }
// Beside products of bfloat16, numbers are float32 and functions brief.
#if defined(HG_BRIEF)
#define HG_EXPORT_ALL(export_type, name) export_type(name, bf16, float)
#else
#define HG_EXPORT_ALL(export_type, name) export_type(name, f32, float) export_type(name, f64, double)
#endif
#define HG_EXPORT(name) HG_EXPORT_ALL(HG_EXPORT_ONE, name)
#define HG_EXPORT_BY_TWOS(name) HG_EXPORT_ALL(HG_EXPORT_TWO, name)
