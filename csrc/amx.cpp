// Whether products may be made by the processor's tiles.
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "headgate.h"
#include "product_tiles.h"

#if defined(HG_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace headgate {
namespace {

bool processor_has_it() {
  uint32_t a, b, c, d;
  constexpr uint32_t AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, OSXSAVE = 1 << 27, AVX512_BF16 = 1 << 5;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return false;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & AMX_BF16) || !(d & AMX_TILE)) return false;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & AVX512_BF16);
}

// The system saves tiles when it switches threads, and lets this process use them, which on Linux has to be asked for.
bool system_grants_it() {
  constexpr uint32_t TILES = 3 << 17;
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr long REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;
  return (low & TILES) == TILES && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

// One step of a run that does nothing but a product of some rows with some units' weights.
struct small_product {
  using entry_run = void (*)(const hg_run*);
  using entry_pack = void (*)(const hg_packing*);
  int64_t rows, units, K, blocks, padded = (units + HG_BLOCK - 1) / HG_BLOCK * HG_BLOCK, width = padded * blocks;
  std::vector<float> vector;
  std::vector<uint16_t> weight;

  small_product(int64_t rows, int64_t units, int64_t K, int64_t blocks)
      : rows(rows), units(units), K(K), blocks(blocks), vector(rows * K), weight(blocks * units * K) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (float& value : vector) value = normal(generator);
    for (uint16_t& value : weight) {
      const float drawn = normal(generator);
      std::vector<uint16_t> rounded(HG_BLOCK);
      round_to_bf16(&drawn, 1, rounded.data());
      value = rounded[0];
    }
  }

  static void copy(const hg_tile* at) {
    for (int b = 0; b < STRIP; ++b)
      for (int64_t r = 0; r < at->rows; ++r)
        for (int64_t u = 0; u < at->units; ++u)
          static_cast<float*>(at->out[b])[r * at->out_stride[b] + u] = static_cast<const float*>(at->in[b])[r * at->in_stride[b] + u];
  }

  std::vector<float> result(entry_run run, entry_pack pack) const {
    std::vector<uint16_t> packed(width * tiled_depth(K));
    const hg_packing packing{weight.data(), nullptr, units, K, int32_t(blocks), 0, 1, 0, packed.data(), nullptr};
    pack(&packing);
    std::vector<float> found(rows * width);
    const int64_t start = 0, offset = 0;
    const hg_product product{{HG_PACKED, 0, 0, 0, 0, K}, 1, int32_t(blocks), &start, &K, 1, -1};
    hg_place in[STRIP], out[STRIP];
    for (int64_t b = 0; b < STRIP; ++b) {
      const int64_t block = std::min(b, blocks - 1);
      in[b] = {HG_PRODUCT, 0, int32_t(block), 0, 0, 0};
      out[b] = {HG_PACKED, 0, 0, 2, block * padded, width};
    }
    const hg_pass pass{copy, padded, units, 1, STRIP, STRIP, 0, &product, in, out};
    void* const buffers[] = {const_cast<float*>(vector.data()), packed.data(), found.data()};
    hg_run one{};
    one.T = one.n_passes = one.threads = 1, one.B = rows, one.offset = &offset, one.rows = &rows;
    one.passes = &pass, one.buffers = buffers;
    run(&one);
    return found;
  }

  // As far apart as sums in another order may be.
  bool same() const {
    const std::vector<float> real = result(hg_run_amx_bf16, hg_pack_amx_bf16);
    const std::vector<float> expected = result(hg_run_emulated_bf16, hg_pack_emulated_bf16);
    for (size_t k = 0; k < real.size(); ++k)
      if (!(std::fabs(real[k] - expected[k]) <= 1e-6f * std::sqrt(float(K)) * (1 + std::fabs(expected[k])))) return false;
    return true;
  }
};

// Every form of `tile_products`: one group of rows and two, alike and not, one panel to four, several tiles deep.
bool right() {
  for (const int64_t rows : {1, 16, 29, 32, 37})
    for (const int64_t blocks : {1, 2, 3, 4})
      if (!small_product(rows, 40, 70, blocks).same()) return false;
  return small_product(16, 128, 32, 1).same();
}

int32_t look() {
  if (hg_instructions() < 2 || !processor_has_it() || !system_grants_it()) return HG_NO_TILES;
  return right() ? HG_TILES_RIGHT : HG_TILES_WRONG;
}

}  // namespace
}  // namespace headgate

extern "C" int32_t hg_check_tiles(void) { return headgate::right(); }
extern "C" int32_t hg_tiles(void) {
  static const int32_t found = headgate::look();
  return found;
}
#else
extern "C" int32_t hg_check_tiles(void) { return 0; }
extern "C" int32_t hg_tiles(void) { return HG_NO_TILES; }
#endif
