// What a printed pass is written in.
#pragma once

#include "headgate.h"
#include "lanes.h"

#ifndef HG_ISA
#error "HG_ISA names the instruction set, as in -DHG_ISA=avx512"
#endif

#define HG_ROWS(at) for (int64_t row = 0; row < (at).rows; ++row)
#define HG_UNITS(at) for (int64_t unit = 0; unit < (at).units; unit += lanes<V>)
#define HG_IN(k) (static_cast<const number_in<V>*>(at.in[k]) + row * at.in_stride[k])
#define HG_OUT(k) (static_cast<number_in<V>*>(at.out[k]) + row * at.out_stride[k])
#define HG_READ(k) load<V>(HG_IN(k) + unit)
#define HG_ONCE(k) number<V>(*HG_IN(k))
#define HG_STORE(k, value) store<V>(HG_OUT(k) + unit, value)
#define HG_KEEP(k, value) \
  if (at.keep) HG_STORE(k, value)
#define HG_STORE_ONCE(k, value) *HG_OUT(k) = (value)[0]
#define HG_KEEP_ONCE(k, value) \
  if (at.keep) HG_STORE_ONCE(k, value)
#define HG_SUM(k, value) HG_STORE(k, load<V>(HG_OUT(k) + unit) + (value))
#define HG_ADD(sum, value) sum += first_lanes<V>(value, at.valid - unit)
#define HG_ADDED(k, sum) *HG_OUT(k) += all_lanes<V>(sum)

#define HG_JOIN_(name, isa, type) name##_##isa##_##type
#define HG_JOIN(name, isa, type) HG_JOIN_(name, isa, type)
#define HG_EXPORT(name)                                                          \
  extern "C" HG_PUBLIC void HG_JOIN(name, HG_ISA, f32)(const hg_tile* at) {      \
    headgate::name<headgate::lanes_of<float>>(*at);                              \
  }                                                                              \
  extern "C" HG_PUBLIC void HG_JOIN(name, HG_ISA, f64)(const hg_tile* at) {      \
    headgate::name<headgate::lanes_of<double>>(*at);                             \
  }
