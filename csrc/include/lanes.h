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

// Two vectors side by side, for equations whose functions are long chains of operations: while one waits, the other goes on.
template <class V>
struct two {
  V part[2];

  number_in<V>& operator[](int lane) { return part[lane / lanes<V>][lane % lanes<V>]; }
  number_in<V> operator[](int lane) const { return part[lane / lanes<V>][lane % lanes<V>]; }
  friend two operator+(two a, two b) { return {a.part[0] + b.part[0], a.part[1] + b.part[1]}; }
  friend two operator-(two a, two b) { return {a.part[0] - b.part[0], a.part[1] - b.part[1]}; }
  friend two operator*(two a, two b) { return {a.part[0] * b.part[0], a.part[1] * b.part[1]}; }
  friend two operator/(two a, two b) { return {a.part[0] / b.part[0], a.part[1] / b.part[1]}; }
  friend two operator-(two a) { return {-a.part[0], -a.part[1]}; }
  two& operator+=(two b) { return *this = *this + b; }
};
template <class V>
constexpr bool is_two = false;
template <class V>
constexpr bool is_two<two<V>> = true;

// What is done to each vector by itself.
template <class V, class Function>
inline V each(V x, const Function& of) {
  return of(x);
}
template <class V, class Function>
inline two<V> each(two<V> x, const Function& of) {
  return {of(x.part[0]), of(x.part[1])};
}
template <class V, class Function>
inline V each(V x, V y, const Function& of) {
  return of(x, y);
}
template <class V, class Function>
inline two<V> each(two<V> x, two<V> y, const Function& of) {
  return {of(x.part[0], y.part[0]), of(x.part[1], y.part[1])};
}

template <class V, class T>
inline V number(T value) {
  if constexpr (is_two<V>) {
    const auto one = number<std::decay_t<decltype(V::part[0])>>(value);
    return {one, one};
  } else {
    return static_cast<number_in<V>>(value) - V{};  // which is the value itself, minus zero included
  }
}
template <class V>
inline V load(const number_in<V>* from) {
  if constexpr (is_two<V>) {
    using W = std::decay_t<decltype(V::part[0])>;
    return {load<W>(from), load<W>(from + lanes<W>)};
  } else {
    return *reinterpret_cast<const typename vector_of<number_in<V>>::loose*>(from);
  }
}
template <class V>
inline void store(number_in<V>* to, V value) {
  if constexpr (is_two<V>) {
    using W = std::decay_t<decltype(V::part[0])>;
    store<W>(to, value.part[0]), store<W>(to + lanes<W>, value.part[1]);
  } else {
    *reinterpret_cast<typename vector_of<number_in<V>>::loose*>(to) = value;
  }
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

// Of two numbers, the second where one of them is NaN.
template <class V>
inline V greater(V a, V b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(number_in<V>) == 4) return (V)_mm512_max_ps((__m512)a, (__m512)b);
  return (V)_mm512_max_pd((__m512d)a, (__m512d)b);
#else
  return a > b ? a : b;
#endif
}
template <class V>
inline V lesser(V a, V b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(number_in<V>) == 4) return (V)_mm512_min_ps((__m512)a, (__m512)b);
  return (V)_mm512_min_pd((__m512d)a, (__m512d)b);
#else
  return a < b ? a : b;
#endif
}

// NaN stays NaN.
template <class V>
inline V clamped(V x, number_in<V> low, number_in<V> high) {
  return each(x, [=](auto v) {
    using W = decltype(v);
    return lesser<W>(number<W>(high), greater<W>(number<W>(low), v));
  });
}

template <class V>
inline auto bits_of(V x) {
  typename vector_of<number_in<V>>::whole bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
template <class V, class Bits>
inline V with_bits(Bits bits) {
  V result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}
template <class V>
inline V magnitude(V x) {
  return each(x, [](auto v) { return with_bits<decltype(v)>(bits_of(v) & ~bits_of(number<decltype(v)>(-0.0))); });
}
template <class V>
inline V with_sign_of(V x, V size) {
  const V sign = each(x, [](auto v) { return with_bits<decltype(v)>(bits_of(v) & bits_of(number<decltype(v)>(-0.0))); });
  return each(size, sign, [](auto v, auto w) { return with_bits<decltype(v)>(bits_of(v) | bits_of(w)); });
}

// exp(x) = 2^n (1 + q) with |x - n ln 2| <= ln(2) / 2: q by Taylor's series, whose next term is below half an ulp. The
// number of terms is odd.
template <class V>
struct split_exp {
  using T = number_in<V>;
  using C = vector_of<T>;
  V q, shifted;  // n stands in the last bits of `shifted`

  explicit split_exp(V x) {
    shifted = x * number<V>(C::log2e) + number<V>(C::magic);
    const V whole = shifted - number<V>(C::magic);
    const V r = (x - whole * number<V>(C::ln2_high)) - whole * number<V>(C::ln2_low);
    // Even and odd powers by themselves: two short chains of multiply-adds wait less than a long one.
    const V square = r * r;
    V even = number<V>(inverse_factorial<T>(C::terms - 1)), odd = number<V>(inverse_factorial<T>(C::terms));
#pragma GCC unroll 16
    for (int k = C::terms - 3; k >= 2; k -= 2) {
      even = even * square + number<V>(inverse_factorial<T>(k));
      odd = odd * square + number<V>(inverse_factorial<T>(k + 1));
    }
    q = (odd * r + even) * square + r;
  }

  // 2^n, where it is a normal number.
  V power() const {
    return each(shifted, [](auto v) {
      using W = decltype(v);
      const auto one = bits_of(number<W>(T(1)));  // whose exponent is 0: n is added to it, and what overflows falls away
      return with_bits<W>((bits_of(v) << C::mantissa) + one);
    });
  }
};

template <class V>
inline V exp(V x) {
  using T = number_in<V>;
  using C = vector_of<T>;
  const split_exp<V> e(clamped(x, C::lowest, C::highest + 1));
  // In two steps, since 2^n itself may be too large or too small to write down.
  const auto n = bits_of(e.shifted) - bits_of(number<V>(C::magic)), half = n >> 1;
  const auto power = [](auto exponent) { return with_bits<V>((exponent + C::bias) << C::mantissa); };
  return (e.q + T(1)) * power(half) * power(n - half);
}
template <class V>
inline two<V> exp(two<V> x) {
  return each(x, [](V v) { return exp(v); });
}

template <class V>
inline V reciprocal(V x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(number_in<V>) == 4) {
    // 14 bits, then one step of Newton's method: within an ulp or two, in a third of a division's time.
    const V r = each(x, [](auto v) { return (decltype(v))_mm512_rcp14_ps((__m512)v); });
    return r * (number<V>(2) - x * r);
  }
#endif
  return number<V>(1) / x;
}

#if !defined(HG_BRIEF)
template <class V>
inline V sigmoid(V x) {
  using T = number_in<V>;
  constexpr T far = sizeof(T) == 4 ? T(87) : T(700);
  const split_exp<V> e(-clamped(x, -far, far));
  const V power = e.power();
  return reciprocal(e.q * power + (power + number<V>(1)));
}

// tanh(|x|) = e / (e + 2) with e = exp(2 |x|) - 1, in which nothing cancels however small x is.
template <class V>
inline V tanh(V x) {
  using T = number_in<V>;
  const V size = magnitude(x);
  const split_exp<V> e(clamped(size + size, T(0), 2 * vector_of<T>::one_from));
  const V power = e.power();
  const V minus_one = e.q * power + (power - number<V>(1));
  return with_sign_of(x, minus_one * reciprocal(minus_one + number<V>(2)));
}

#endif

template <class V>
inline V relu(V x) {
  return each(x, [](auto v) { return v <= number_in<V>(0) ? decltype(v){} : v; });  // so that NaN stays NaN
}

template <class V>
inline V positive(V x) {
  return each(x, [](auto v) { return v > number_in<V>(0) ? number<decltype(v)>(1) : decltype(v){}; });
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

#if defined(HG_BRIEF)
#include "brief.h"
#endif
