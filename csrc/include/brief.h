// Sigmoid and tanh to four digits, by AVX-512's own instructions for powers of two: for passes beside products of
// bfloat16, which has three digits. An error here is a part of what is small, so that nothing drifts in long sequences:
// of 1 - sigmoid(x) where that is near 1, and of tanh(x) near 0.
#pragma once

#include "lanes.h"

namespace headgate {
namespace {

// 1 / (1 + 2^t) with 2^t = 2^floor(t) (1 + q + q (q - 1) (a + b q)), q = t - floor(t), whose relative error is at most
// 1.03e-4, and 0 where q is 0; a and b are the best such numbers.
template <class V>
inline V sigmoid(V x) {
  const V t = x * number<V>(-vector_of<number_in<V>>::log2e);
  const V power = each(t, [](auto v) {
    using W = decltype(v);
    constexpr int TO_FLOOR = 1;
    v = lesser(number<W>(126), v);  // whose reciprocal is the smallest normal number
    const W q = (W)_mm512_reduce_ps((__m512)v, TO_FLOOR);  // 0 where v is infinite
    const W p = ((number<W>(0.07826797f) * q + number<W>(0.22630768f)) * q + number<W>(0.69542435f)) * q + number<W>(1);
    return (W)_mm512_scalef_ps((__m512)p, (__m512)v);
  });
  return reciprocal(power + number<V>(1));
}

// m / (m + 2) with m = 2^t - 1 = 2^n (1 + q) - 1, |t - n| <= 1/2: q by the best cubic for q / (t - n), relative error 1.5e-5.
// Beyond the bounds it is 1 in float32.
template <class V>
inline V tanh(V x) {
  const V t = clamped(x * number<V>(2 * vector_of<number_in<V>>::log2e), -40.0f, 40.0f);
  return each(t, [](auto v) {
    using W = decltype(v);
    constexpr int TO_NEAREST = 0;
    const W n = (W)_mm512_roundscale_ps((__m512)v, TO_NEAREST), r = v - n;
    const W cubic = ((number<W>(0.00961809f) * r + number<W>(0.05583721f)) * r + number<W>(0.24023252f)) * r;
    const W q = (cubic + number<W>(0.69313686f)) * r, power = (W)_mm512_scalef_ps((__m512)number<W>(1), (__m512)n);
    const W m = q * power + (power - number<W>(1));
    return m * reciprocal(m + number<W>(2));
  });
}

}  // namespace
}  // namespace headgate
