// Vectors of numbers as wide as the instruction set this file is compiled for, and the functions of an equation on them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#define HG_VECTOR_BYTES 64
#include <immintrin.h>
#elif defined(__AVX2__)
#define HG_VECTOR_BYTES 32
#include <immintrin.h>
#else
#define HG_VECTOR_BYTES 16
#endif

// Everything here is compiled once for each instruction set, so nothing of it may be merged by the linker.
namespace headgate {
namespace {

template <class T>
struct vector_of;
template <>
struct vector_of<float> {
  typedef float type __attribute__((vector_size(HG_VECTOR_BYTES)));
  typedef float loose __attribute__((vector_size(HG_VECTOR_BYTES), aligned(4), may_alias));
  typedef int32_t whole __attribute__((vector_size(HG_VECTOR_BYTES)));
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float log2e = 1.44269504088896341f, ln2_high = 0.693145751953125f, ln2_low = 1.42860682030941723e-6f;
  static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  static constexpr float highest = 88.7f, lowest = -103.9f, one_from = 10.0f;
  static constexpr int terms = 7;
};
template <>
struct vector_of<double> {
  typedef double type __attribute__((vector_size(HG_VECTOR_BYTES)));
  typedef double loose __attribute__((vector_size(HG_VECTOR_BYTES), aligned(8), may_alias));
  typedef int64_t whole __attribute__((vector_size(HG_VECTOR_BYTES)));
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double log2e = 1.44269504088896338700, ln2_high = 0.693147180369123816490,
                          ln2_low = 1.90821492927058770002e-10;
  static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double highest = 709.7, lowest = -745.1, one_from = 20.0;
  static constexpr int terms = 13;
};

template <class T>
using lanes_of = typename vector_of<T>::type;
template <class V>
using number_in = typename std::remove_reference<decltype(std::declval<V&>()[0])>::type;

template <class V>
constexpr int lanes = sizeof(V) / sizeof(number_in<V>);

template <class V, class T>
inline V number(T value) {
  return static_cast<number_in<V>>(value) - V{};  // which is the value itself, minus zero included
}
template <class V>
inline V load(const number_in<V>* from) {
  return *reinterpret_cast<const typename vector_of<number_in<V>>::loose*>(from);
}
template <class V>
inline void store(number_in<V>* to, V value) {
  *reinterpret_cast<typename vector_of<number_in<V>>::loose*>(to) = value;
}

// The value with zeros beyond its first `count` lanes.
template <class V>
inline V first_lanes(V value, int64_t count) {
  for (int64_t lane = std::max<int64_t>(count, 0); lane < lanes<V>; ++lane) value[lane] = 0;
  return value;
}
template <class V>
inline number_in<V> all_lanes(V value) {
  number_in<V> sum = value[0];
  for (int lane = 1; lane < lanes<V>; ++lane) sum += value[lane];
  return sum;
}

template <class T>
constexpr T inverse_factorial(int n) {
  T result = 1;
  for (int k = 2; k <= n; ++k) result /= k;
  return result;
}

// exp(x) = 2^n (1 + q) with |x - n ln 2| <= ln(2) / 2: q by Taylor's series, whose next term is below half an ulp. The
// number of terms is odd.
template <class V>
struct split_exp {
  V q;
  typename vector_of<number_in<V>>::whole n;

  explicit split_exp(V x) {
    using T = number_in<V>;
    using C = vector_of<T>;
    const V shifted = x * C::log2e + C::magic;
    const V whole = shifted - C::magic;
    const V r = (x - whole * C::ln2_high) - whole * C::ln2_low;
    // Even and odd powers by themselves: two short chains of multiply-adds wait less than a long one.
    const V square = r * r;
    V part[2] = {number<V>(inverse_factorial<T>(C::terms - 1)), number<V>(inverse_factorial<T>(C::terms))};
#pragma GCC unroll 16
    for (int k = C::terms - 3; k >= 2; k -= 2) {
      part[0] = part[0] * square + inverse_factorial<T>(k);
      part[1] = part[1] * square + inverse_factorial<T>(k + 1);
    }
    q = (part[1] * r + part[0]) * square + r;
    typename C::whole bits, base;
    const V zero = number<V>(C::magic);
    std::memcpy(&bits, &shifted, sizeof bits);
    std::memcpy(&base, &zero, sizeof base);
    n = bits - base;
  }

  static V power(typename vector_of<number_in<V>>::whole exponent) {
    using C = vector_of<number_in<V>>;
    const typename C::whole bits = (exponent + C::bias) << C::mantissa;
    V result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
  }
};

template <class V>
inline V clamped(V x, number_in<V> low, number_in<V> high) {
  const V l = number<V>(low), h = number<V>(high);
  const V above = x < l ? l : x;  // NaN compares false and so passes through
  return above > h ? h : above;
}

template <class V>
inline V exp(V x) {
  using C = vector_of<number_in<V>>;
  const split_exp<V> e(clamped(x, C::lowest, C::highest + 1));
  // In two steps, since 2^n itself may be too large or too small to write down.
  const auto half = e.n >> 1;
  return (e.q + number_in<V>(1)) * split_exp<V>::power(half) * split_exp<V>::power(e.n - half);
}

template <class V>
inline V reciprocal(V x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(number_in<V>) == 4) {
    // 14 bits, then one step of Newton's method: within an ulp or two, in a third of a division's time.
    const V r = (V)_mm512_rcp14_ps((__m512)x);
    return r * (number_in<V>(2) - x * r);
  }
#endif
  return number_in<V>(1) / x;
}

template <class V>
inline V sigmoid(V x) {
  using T = number_in<V>;
  constexpr T far = sizeof(T) == 4 ? T(87) : T(700);
  const split_exp<V> e(clamped(-x, -far, far));
  const V power = split_exp<V>::power(e.n);
  return reciprocal(e.q * power + (power + T(1)));
}

// tanh(|x|) = e / (e + 2) with e = exp(2 |x|) - 1, in which nothing cancels however small x is.
template <class V>
inline V tanh(V x) {
  using T = number_in<V>;
  const V size = x < T(0) ? -x : x;
  const V twice = size + size;
  const split_exp<V> e(clamped(twice, T(0), 2 * vector_of<T>::one_from));
  const V power = split_exp<V>::power(e.n);
  const V minus_one = e.q * power + (power - T(1));
  const V result = minus_one * reciprocal(minus_one + T(2));
  return x < T(0) ? -result : result;
}

template <class V>
inline V relu(V x) {
  return x <= number_in<V>(0) ? V{} : x;  // so that NaN stays NaN
}

template <class V>
inline V positive(V x) {
  return x > number_in<V>(0) ? number<V>(1) : V{};
}

template <class V>
inline V sqrt(V x) {
  V result;
  for (int k = 0; k < lanes<V>; ++k) result[k] = std::sqrt(x[k]);
  return result;
}

// A cell's own equation may use it; none of the catalogue does, so the C library's accuracy is worth more than speed.
template <class V>
inline V log(V x) {
  V result;
  for (int k = 0; k < lanes<V>; ++k) result[k] = std::log(x[k]);
  return result;
}

}  // namespace
}  // namespace headgate
