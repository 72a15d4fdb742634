// Masks from a counter-based generator, which headgate.reference.masks defines: any of their numbers can be drawn alone,
// so that threads share nothing and the way back draws them again.
#pragma once

#include "headgate.h"
#include "lanes.h"

namespace headgate {
namespace {

// splitmix64's output function.
inline uint64_t mix(uint64_t value) {
  uint64_t z = value + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// What all masks of one step start from.
inline uint64_t step_key(uint64_t seed, int64_t t) { return mix(mix(seed) ^ static_cast<uint64_t>(t)); }

// One 32-bit word in a 64-bit lane, since a round of the generator needs both halves of a product.
typedef uint64_t words __attribute__((vector_size(HG_VECTOR_BYTES)));

// The product of words below 2^32, which a compiler would take for one of 64 bits, several times as slow.
inline words product(words a, words b) {
#if defined(__AVX512F__)
  return reinterpret_cast<words>(_mm512_mul_epu32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<words>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#else
  return a * b;
#endif
}

// Units `from` .. `from + count` of one row's mask, a whole number of blocks.
template <class T>
inline void draw(uint64_t step, int64_t row, const hg_mask& mask, int64_t from, int64_t count, T* to) {
  const uint64_t key = mix(mix(step ^ static_cast<uint64_t>(row)) ^ mask.state);
  typedef T numbers __attribute__((vector_size(HG_VECTOR_BYTES / 8 * sizeof(T)), aligned(sizeof(T)), may_alias));
  constexpr int WIDTH = sizeof(words) / 8, GROUPS = HG_BLOCK / WIDTH;
  constexpr uint64_t LOW = 0xFFFFFFFFu;
  words lane{};
  for (int k = 0; k < WIDTH; ++k) lane[k] = static_cast<uint64_t>(k);
  for (int64_t first = from; first < from + count; first += HG_BLOCK, to += HG_BLOCK) {
    words c0[GROUPS], c1[GROUPS];
    uint64_t q = key & LOW;
#pragma GCC unroll 8
    for (int g = 0; g < GROUPS; ++g) {
      c0[g] = lane + static_cast<uint64_t>(first + g * WIDTH);
      c1[g] = words{} + (key >> 32);
    }
    for (int round = 0; round < 10; ++round, q = (q + 0x9E3779B9u) & LOW)
#pragma GCC unroll 8
      for (int g = 0; g < GROUPS; ++g) {
        const words whole = product(c0[g], words{} + uint64_t{0xD256D193u});
        c0[g] = (whole >> 32) ^ q ^ c1[g];
        c1[g] = whole & LOW;
      }
#pragma GCC unroll 8
    for (int g = 0; g < GROUPS; ++g)
      *reinterpret_cast<numbers*>(to + g * WIDTH) = __builtin_convertvector((c0[g] < mask.below) & 1, numbers);
  }
}

}  // namespace
}  // namespace headgate
