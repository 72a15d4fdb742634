// Squares of numbers, turned about their diagonal: rows become columns.
#pragma once

#include <type_traits>
#include <utility>

namespace headgate {
namespace {

// One step: squares of STEP by STEP change places across the diagonal.
template <int STEP, class V>
inline void turn_by(V* rows) {
  using whole = std::conditional_t<sizeof(std::declval<V&>()[0]) == 8, int64_t, int32_t>;
  typedef whole places __attribute__((vector_size(sizeof(V))));
  constexpr int SIDE = sizeof(V) / sizeof(whole);
  places upper, lower;
  for (int k = 0; k < SIDE; ++k) upper[k] = k & STEP ? SIDE + k - STEP : k, lower[k] = k & STEP ? SIDE + k : k + STEP;
#pragma GCC unroll 16
  for (int k = 0; k < SIDE; ++k)
    if (!(k & STEP)) {
      const V above = rows[k], below = rows[k + STEP];
      rows[k] = __builtin_shuffle(above, below, upper), rows[k + STEP] = __builtin_shuffle(above, below, lower);
    }
}

// As many rows as a vector has values.
template <class V>
inline void turn(V* rows) {
  constexpr int SIDE = sizeof(V) / sizeof(std::declval<V&>()[0]);
  turn_by<1>(rows);
  if constexpr (SIDE > 2) turn_by<2>(rows);
  if constexpr (SIDE > 4) turn_by<4>(rows);
  if constexpr (SIDE > 8) turn_by<8>(rows);
}

}  // namespace
}  // namespace headgate
