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

}  // namespace
}  // namespace headgate

#define HG_PASS(tile, n_in, n_out)                                                \
  row_ends<const number_in<V>, n_in> in((tile).in, (tile).in_stride);             \
  row_ends<number_in<V>, n_out> out((tile).out, (tile).out_stride);               \
  const int64_t rows = (tile).rows, units = (tile).units;                         \
  [[maybe_unused]] const int64_t valid = (tile).valid;                            \
  [[maybe_unused]] const bool keep = (tile).keep;                                 \
  for (int64_t row = 0; row < rows; ++row, in.next(), out.next())
#define HG_UNITS for (int64_t unit = 0; unit < units; unit += lanes<V>)
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

#define HG_JOIN_(name, isa, type) name##_##isa##_##type
#define HG_JOIN(name, isa, type) HG_JOIN_(name, isa, type)
#define HG_EXPORT(name)                                                          \
  extern "C" HG_PUBLIC void HG_JOIN(name, HG_ISA, f32)(const hg_tile* at) {      \
    headgate::name<headgate::lanes_of<float>>(*at);                              \
  }                                                                              \
  extern "C" HG_PUBLIC void HG_JOIN(name, HG_ISA, f64)(const hg_tile* at) {      \
    headgate::name<headgate::lanes_of<double>>(*at);                             \
  }
