// Runs the engine over random shapes with a small cell of its own, forward and back, and compares with plain loops.
// Built with a sanitizer, it shows what memory and which threads the engine touches. Exit status 1 if numbers differ.
//
// With HG_TILES, products are of bfloat16, and the plain loops round what they multiply.
//
// The cell: b = x_b + U_b h, h' = 0.5 (x_a + U_a h) + 0.1 b h + 0.2 mean(b) + 0.3 m, with m a mask.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "headgate.h"
#include "masks.h"
#include "step.h"

namespace {

std::mt19937 generator(7);
int draw(int from, int to) { return std::uniform_int_distribution<int>(from, to)(generator); }

template <class T>
std::vector<T> normal(int64_t count) {
  std::normal_distribution<double> distribution(0.0, 0.3);
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(distribution(generator));
  return values;
}

template <class T>
struct at_tile {
  const hg_tile* tile;
  T in(int k, int64_t row, int64_t unit) const { return static_cast<const T*>(tile->in[k])[row * tile->in_stride[k] + unit]; }
  T& out(int k, int64_t row, int64_t unit) const { return static_cast<T*>(tile->out[k])[row * tile->out_stride[k] + unit]; }
  template <class Work>
  void each(const Work& work) const {
    for (int64_t row = 0; row < tile->rows; ++row)
      for (int64_t unit = 0; unit < tile->units; ++unit) work(row, unit);
  }
};

template <class T>
void forward_gates(const hg_tile* tile) {  // b's parts -> b, its sum
  const at_tile<T> at{tile};
  at.each([&](int64_t r, int64_t u) { at.out(0, r, u) = at.in(0, r, u) + at.in(1, r, u); });
  for (int64_t row = 0; row < tile->rows; ++row)
    for (int64_t unit = 0; unit < tile->valid; ++unit) at.out(1, row, 0) += at.out(0, row, unit);
}
template <class T>
void forward_state(const hg_tile* tile) {  // x_a, U_a h, b, h, mean(b), m -> h', mean(b) once a row
  const at_tile<T> at{tile};
  at.each([&](int64_t r, int64_t u) {
    at.out(0, r, u) = T(0.5) * (at.in(0, r, u) + at.in(1, r, u)) + T(0.1) * at.in(2, r, u) * at.in(3, r, u) +
                      T(0.2) * at.in(4, r, 0) + T(0.3) * at.in(5, r, u);
  });
  for (int64_t row = 0; row < tile->rows; ++row) at.out(1, row, 0) = at.in(4, row, 0);
}
template <class T>
void back_sum(const hg_tile* tile) {  // later, dy -> d, its sum
  const at_tile<T> at{tile};
  at.each([&](int64_t r, int64_t u) { at.out(0, r, u) = at.in(0, r, u) + at.in(1, r, u); });
  for (int64_t row = 0; row < tile->rows; ++row)
    for (int64_t unit = 0; unit < tile->valid; ++unit) at.out(1, row, 0) += at.out(0, row, unit);
}
template <class T>
void back_columns(const hg_tile* tile) {  // d, h, mean(d) -> da, db
  const at_tile<T> at{tile};
  at.each([&](int64_t r, int64_t u) {
    at.out(0, r, u) = T(0.5) * at.in(0, r, u);
    at.out(1, r, u) = T(0.1) * at.in(0, r, u) * at.in(1, r, u) + T(0.2) * at.in(2, r, 0);
  });
}
template <class T>
void back_state(const hg_tile* tile) {  // U^T (da, db), d, b -> earlier
  const at_tile<T> at{tile};
  at.each([&](int64_t r, int64_t u) { at.out(0, r, u) = at.in(0, r, u) + T(0.1) * at.in(1, r, u) * at.in(2, r, u); });
}

// A number as it is stored for a product, and its value in one.
#if defined(HG_TILES) && !defined(HG_PIECES)
constexpr int LARGEST_BATCH = 70, LARGEST_INPUT = 20;  // several groups of 16 rows
template <class T>
using factor = uint16_t;
double in_product(double value) {  // to 8 bits, by arithmetic, so that nothing here is the engine's own way
  int exponent;
  const double part = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(part * 256), exponent - 8);
}
uint16_t stored(float value) {  // one that bfloat16 holds
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}
#else
#if defined(HG_PIECES)
constexpr int LARGEST_BATCH = 200, LARGEST_INPUT = 300;  // enough for pieces to pay, more often than not
#else
constexpr int LARGEST_BATCH = 12, LARGEST_INPUT = 20;
#endif
template <class T>
using factor = T;
double in_product(double value) { return value; }
template <class T>
T stored(T value) {
  return value;
}
#endif

template <class T>
struct entries;
#if defined(HG_PIECES)
template <>
struct entries<float> {
  static constexpr auto run = HG_JOIN(hg_run, HG_ISA, f32);
  static constexpr auto pack = hg_pack_portable_f32;
  static constexpr auto sum = HG_JOIN(hg_sum, HG_ISA, f32);
  static constexpr auto multiply = hg_multiply_portable_f32;
};
#elif defined(HG_TILES)
template <>
struct entries<float> {
  static constexpr auto run = HG_JOIN(hg_run, HG_ISA, bf16);
  static constexpr auto pack = HG_JOIN(hg_pack, HG_ISA, bf16);
  static constexpr auto sum = HG_JOIN(hg_sum, HG_ISA, bf16);
  static constexpr auto multiply = HG_JOIN(hg_multiply, HG_ISA, bf16);
};
#else
template <>
struct entries<float> {
  static constexpr auto run = HG_JOIN(hg_run, HG_ISA, f32);
  static constexpr auto pack = HG_JOIN(hg_pack, HG_ISA, f32);
  static constexpr auto sum = HG_JOIN(hg_sum, HG_ISA, f32);
  static constexpr auto multiply = HG_JOIN(hg_multiply, HG_ISA, f32);
};
template <>
struct entries<double> {
  static constexpr auto run = HG_JOIN(hg_run, HG_ISA, f64);
  static constexpr auto pack = HG_JOIN(hg_pack, HG_ISA, f64);
  static constexpr auto sum = HG_JOIN(hg_sum, HG_ISA, f64);
  static constexpr auto multiply = HG_JOIN(hg_multiply, HG_ISA, f64);
};
#endif

int64_t padded(int64_t units) { return (units + HG_BLOCK - 1) / HG_BLOCK * HG_BLOCK; }

template <class T>
struct trial {
  int T_ = draw(1, 9), B = draw(1, LARGEST_BATCH), H = draw(1, 150), I = draw(1, LARGEST_INPUT), threads = draw(1, 3), split = draw(0, 2);
  bool descending = draw(0, 2) == 0, resets = draw(0, 2) == 0, compose = false;
  int64_t P = padded(H), N = 0;
  std::vector<int64_t> offset, rows;
  std::vector<uint8_t> fresh;
  std::vector<T> x, w_in, u, bias, initial, old_state, new_state, kept, final_state;
  std::vector<T> dy, d_final, d_initial, d_state, columns, mean, carried;
  std::vector<uint16_t> rounded;  // new_state's, of the units that count, one row right behind the other
  const hg_mask mask{3, 0x60000000u};
  const uint64_t seed = generator();

  int64_t time(int64_t step) const { return descending ? T_ - 1 - step : step; }

  trial() {
    std::vector<int> lengths(B);
    for (int& length : lengths) length = draw(0, T_);
    std::sort(lengths.rbegin(), lengths.rend());
    for (int t = 0; t < T_; ++t) {
      offset.push_back(N);
      rows.push_back(std::count_if(lengths.begin(), lengths.end(), [&](int length) { return length > t; }));
      N += rows.back();
    }
    for (int64_t k = 0; k < N; ++k) fresh.push_back(resets && draw(0, 3) == 0);
    compose = resets || descending;
    x = normal<T>(N * I), w_in = normal<T>(2 * H * I), u = normal<T>(2 * H * H), bias = normal<T>(2 * H);
    for (std::vector<T>* weights : {&w_in, &u, &bias})
      for (T& value : *weights) value = static_cast<T>(in_product(value));
    initial = padded_rows(B), d_final = padded_rows(B), dy = padded_rows(N);
    old_state.assign(N * P, NAN), new_state.assign(N * P, NAN), kept.assign(N * P, NAN), mean.assign(N, NAN), carried.assign(B * P, NAN), columns.assign(N * 2 * P, NAN);
    final_state = initial;
    rounded.assign(N * H * std::is_same<T, float>::value, 0xffff);
    d_initial.assign(B * P, T(0)), d_state.assign(2 * B * P, NAN);
  }
  std::vector<T> padded_rows(int64_t count) const {
    std::vector<T> values = normal<T>(count * P);
    for (int64_t k = 0; k < count; ++k) std::fill(values.begin() + k * P + H, values.begin() + (k + 1) * P, T(0));
    return values;
  }

  // `blocks` blocks of H rows, or with 0 both of them transposed; their bias begins at `first`.
  std::vector<factor<T>> pack(const std::vector<T>& weight, int64_t columns_, int blocks, std::vector<T>* packed_bias,
                              int64_t first = 0) const {
    const bool back = blocks == 0;
    const int64_t K = back ? 2 * H : columns_, depth = sizeof(factor<T>) < sizeof(T) ? (K + 31) / 32 * 32 : K;
    std::vector<factor<T>> packed((back ? padded(columns_) : blocks * P) * depth), given, own;
    for (const T value : weight) given.push_back(stored(value));
    for (int64_t k = first; k < 2 * H; ++k) own.push_back(stored(bias[k]));
    if (packed_bias) packed_bias->assign(blocks * P, NAN);
    hg_packing job{given.data(), packed_bias ? own.data() : nullptr, H, columns_, back ? 2 : blocks, back, threads, 0,
                   packed.data(), packed_bias ? packed_bias->data() : nullptr};
    entries<T>::pack(&job);
    return packed;
  }

  void run(bool back, hg_pass* passes, int n_passes, const std::vector<void*>& buffers, const hg_product* input) {
    hg_state state{P, initial.data(), old_state.data(), new_state.data(), P, 1, 0, final_state.data(),
                   d_final.data(), d_initial.data(), d_state.data(), back || rounded.empty() ? nullptr : rounded.data(), H, H};
    hg_run all{};
    all.T = T_, all.B = B, all.offset = offset.data(), all.rows = rows.data();
    all.fresh = resets ? fresh.data() : nullptr;
    all.descending = descending != back, all.back = back, all.keep = 1, all.compose = compose;
    all.n_states = 1, all.n_passes = n_passes, all.states = &state, all.passes = passes;
    all.buffers = buffers.data(), all.input = input, all.input_units = P;
    all.n_means = 1, all.n_masks = back ? 0 : 1, all.masks = &mask, all.seed = seed;
    all.threads = threads, all.split = split, all.weight_bytes = 2 * H * H * sizeof(T);
    entries<T>::run(&all);
  }

  void forward_run() {
    std::vector<T> bias_a, bias_b;
    std::vector<factor<T>> packed_in = pack(w_in, I, 2, nullptr), packed_a = pack({u.begin(), u.begin() + H * H}, H, 1, &bias_a, 0);
    std::vector<factor<T>> packed_b = pack({u.begin() + H * H, u.end()}, H, 1, &bias_b, H);
    const int64_t zero = 0, in_length = I, length = H;
    const hg_product input{{HG_PACKED, 0, 0, 0, 0, I}, 1, 2, &zero, &in_length, 1, -1};
    const hg_place kept_b{HG_PACKED, 0, 0, 4, 0, P}, mean_b{HG_MEAN, 0, 0, 0, H};
    const hg_place in0[] = {{HG_INPUT, 0, 1}, {HG_PRODUCT, 0, 0}}, out0[] = {kept_b, mean_b};
    const hg_place in1[] = {{HG_INPUT}, {HG_PRODUCT}, kept_b, {HG_OLD_STATE}, mean_b, {HG_MASK}};
    const hg_place out1[] = {{HG_NEW_STATE}, {HG_PACKED, 0, 0, 5, 0, 1, 1}};
    const hg_product product_a{{HG_OLD_STATE}, 1, 1, &zero, &length, 2, 3}, product_b{{HG_OLD_STATE}, 1, 1, &zero, &length, 6, 7};
    hg_pass passes[] = {{forward_gates<T>, P, H, 1, 2, 2, 1, &product_b, in0, out0},
                        {forward_state<T>, P, H, 1, 6, 2, 1, &product_a, in1, out1}};
    run(false, passes, 2, {x.data(), packed_in.data(), packed_a.data(), bias_a.data(), kept.data(), mean.data(), packed_b.data(),
                           bias_b.data()}, &input);
  }

  void backward_run() {
    std::vector<factor<T>> packed = pack(u, H, 0, nullptr);
    const int64_t start[] = {0, P}, length[] = {H, H};
    const hg_product product{{HG_PACKED, 0, 0, 0, 0, 2 * P}, 2, 1, start, length, 1, -1};
    const hg_place d{HG_SCRATCH, 0, 0, 4, 0, P}, mean_d{HG_MEAN, 0, 0, 0, H};
    const hg_place in0[] = {{HG_LATER}, {HG_PACKED, 0, 0, 2, 0, P}}, out0[] = {d, mean_d};
    const hg_place in1[] = {d, {HG_OLD_STATE}, mean_d};
    const hg_place out1[] = {{HG_PACKED, 0, 0, 0, 0, 2 * P}, {HG_PACKED, 0, 0, 0, P, 2 * P}};
    const hg_place in2[] = {{HG_PRODUCT}, d, {HG_PACKED, 0, 0, 3, 0, P}}, out2[] = {{HG_EARLIER}};
    hg_pass passes[] = {{back_sum<T>, P, H, 0, 2, 2, 1, nullptr, in0, out0},
                        {back_columns<T>, P, H, 0, 3, 2, 1, nullptr, in1, out1},
                        {back_state<T>, P, H, 1, 3, 1, 1, &product, in2, out2}};
    run(true, passes, 3, {columns.data(), packed.data(), dy.data(), kept.data(), carried.data()}, nullptr);
  }

  // --- the same in plain loops ------------------------------------------------------------------------------------

  std::vector<double> old_states() const {
    std::vector<double> all(N * H);
    for (int64_t step = 0; step < T_; ++step)
      for (int64_t r = 0; r < rows[time(step)]; ++r) {
        const int64_t at = offset[time(step)] + r, before = step ? time(step - 1) : -1;
        const bool starts = before < 0 || r >= rows[before] || fresh[at];
        for (int64_t k = 0; k < H; ++k) all[at * H + k] = starts ? initial[r * P + k] : new_state[(offset[before] + r) * P + k];
      }
    return all;
  }

  double worst(const std::vector<T>& actual, const std::vector<double>& expected, int64_t stride, int64_t width) const {
    double difference = 0, size = 1e-3;
    for (size_t k = 0; k < expected.size(); ++k) {
      const double found = actual[k / width * stride + k % width];
      difference = std::isfinite(found) ? std::max(difference, std::fabs(found - expected[k])) : INFINITY;
      size = std::max(size, std::fabs(expected[k]));
    }
    return difference / size;
  }

  // Nothing, or infinity where a number of bfloat16 is not the state rounded.
  double worst_rounding() const {
    for (size_t k = 0; k < rounded.size(); ++k) {
      const uint32_t bits = uint32_t(rounded[k]) << 16;
      float found;
      std::memcpy(&found, &bits, sizeof found);
      const double value = new_state[k / H * P + k % H];
      if (!(std::fabs(found - value) <= std::fabs(value) / 256 + 1e-37)) return INFINITY;
    }
    return 0;
  }

  double check() {
    forward_run();
    const std::vector<double> old = old_states();
    std::vector<double> h(N * H), b(N * H), average(N, 0.0);
    for (int64_t n = 0; n < N; ++n)
      for (int64_t j = 0; j < H; ++j) {
        double a = bias[j], c = bias[H + j];
        for (int64_t k = 0; k < H; ++k) a += u[j * H + k] * in_product(old[n * H + k]), c += u[(H + j) * H + k] * in_product(old[n * H + k]);
        for (int64_t k = 0; k < I; ++k) a += w_in[j * I + k] * in_product(x[n * I + k]), c += w_in[(H + j) * I + k] * in_product(x[n * I + k]);
        b[n * H + j] = c, h[n * H + j] = 0.5 * a + 0.1 * c * old[n * H + j];
        average[n] += c / H;
      }
    for (int64_t t = 0; t < T_; ++t)
      for (int64_t r = 0; r < rows[t]; ++r) {
        std::vector<T> drawn(P);
        headgate::draw(headgate::step_key(seed, t), r, mask, 0, P, drawn.data());
        for (int64_t j = 0; j < H; ++j) h[(offset[t] + r) * H + j] += 0.2 * average[offset[t] + r] + 0.3 * drawn[j];
      }
    double error = std::max({worst_rounding(), worst(new_state, h, P, H), worst(kept, b, P, H), worst(mean, average, 1, 1)});
    backward_run();
    return std::max(error, check_back(old, b));
  }

  double check_back(const std::vector<double>& old, const std::vector<double>& b) {
    std::vector<double> later(B * H), first(B * H), da(N * H), db(N * H), total(2 * H * H);
    const auto add = [&](int64_t unit, double column, const double* from) {
      for (int64_t k = 0; k < H; ++k) total[unit * H + k] += in_product(column) * in_product(from[k]);
    };
    for (int64_t k = 0; k < B * H; ++k) later[k] = d_final[k / H * P + k % H];
    for (int64_t step = T_ - 1; step >= 0; --step)
      for (int64_t r = 0; r < rows[time(step)]; ++r) {
        const int64_t n = offset[time(step)] + r;
        std::vector<double> earlier(H, 0.0);
        double average = 0;
        for (int64_t j = 0; j < H; ++j) average += (later[r * H + j] + dy[n * P + j]) / H;
        for (int64_t j = 0; j < H; ++j) {
          const double d = later[r * H + j] + dy[n * P + j];
          da[n * H + j] = 0.5 * d, db[n * H + j] = 0.1 * d * old[n * H + j] + 0.2 * average;
          earlier[j] += 0.1 * d * b[n * H + j];
          // The engine's own, which are compared with these below: one rounding the other way is no error of a product.
          const double a = in_product(columns[n * 2 * P + j]), c = in_product(columns[n * 2 * P + P + j]);
          for (int64_t k = 0; k < H; ++k) earlier[k] += a * u[j * H + k] + c * u[(H + j) * H + k];
          add(j, columns[n * 2 * P + j], &old[n * H]), add(H + j, columns[n * 2 * P + P + j], &old[n * H]);
        }
        const bool starts = step == 0 || r >= rows[time(step - 1)] || fresh[n];
        for (int64_t k = 0; k < H; ++k) {
          if (starts) first[r * H + k] += earlier[k];
          later[r * H + k] = starts ? 0.0 : earlier[k];
        }
      }
    const std::vector<T> right_half(columns.begin() + std::min<int64_t>(P, columns.size()), columns.end());
    const double of_columns = std::max(worst(columns, da, 2 * P, H), worst(right_half, db, 2 * P, H));
    return std::max({of_columns, worst(d_initial, first, P, H), check_sums(old, total)});
  }

  double check_sums(const std::vector<double>& old, const std::vector<double>& total) {
    std::vector<T> vectors(N * P), upper_sums(H * H, NAN), lower_sums(H * H, NAN), column_sum(H, NAN);
    for (int64_t k = 0; k < N * H; ++k) vectors[k / H * P + k % H] = static_cast<T>(old[k]);
    const int64_t above = N / 3;
    const hg_right right{{vectors.data(), vectors.data() + above * P}, {P, P}, above, H};
    const hg_block blocks[] = {{0, H, &right, upper_sums.data(), nullptr}, {P, H, &right, lower_sums.data(), column_sum.data()}};
    hg_summing job{columns.data(), 2 * P, N, blocks, 2, threads};
    entries<T>::sum(&job);
    std::vector<double> of_columns(H);
    for (int64_t k = 0; k < N * H; ++k) of_columns[k % H] += columns[k / H * 2 * P + P + k % H];
    const std::vector<double> upper(total.begin(), total.begin() + H * H), lower(total.begin() + H * H, total.end());
    return std::max({worst(upper_sums, upper, H, H), worst(lower_sums, lower, H, H), worst(column_sum, of_columns, H, H), check_product()});
  }

  // Both columns times u, as the gradient of an input would be, in both of the ways in which that is made.
  double check_product() {
    const std::vector<factor<T>> packed = pack(u, H, 0, nullptr);
    const int64_t start[] = {0, P}, length[] = {H, H};
    std::vector<T> result(N * H, NAN), summed(N * H, NAN);
    hg_multiplying job{columns.data(), 2 * P, N, 2, threads, start, length, packed.data(), result.data(), H};
    const hg_right right{{u.data()}, {H}, 2 * H, H};
    const hg_block block{0, N, &right, summed.data(), nullptr};
    const hg_summing sum{columns.data(), 2 * P, 2 * H, &block, 1, threads, 2, 0, start, length};
    entries<T>::multiply(&job), entries<T>::sum(&sum);
    std::vector<double> expected(N * H);
    for (int64_t n = 0; n < N; ++n)
      for (int64_t j = 0; j < 2 * H; ++j)
        for (int64_t k = 0; k < H; ++k) expected[n * H + k] += in_product(columns[n * 2 * P + j / H * P + j % H]) * u[j * H + k];
    return std::max(worst(result, expected, H, H), worst(summed, expected, H, H));
  }
};

template <class T>
bool all_right(int trials, double tolerance) {
  for (int k = 0; k < trials; ++k) {
    trial<T> one;
    const double error = one.check();
    if (!(error < tolerance)) {
      std::printf("trial %d: T=%d B=%d H=%d I=%d threads=%d split=%d descending=%d resets=%d: error %g\n", k, one.T_, one.B, one.H,
                  one.I, one.threads, one.split, one.descending, one.resets, error);
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const int trials = argc > 1 ? std::atoi(argv[1]) : 40;
#if defined(HG_PIECES)
  const bool right = all_right<float>(trials, 5e-6);
#elif defined(HG_TILES)
  const bool right = all_right<float>(trials, 2e-5);
#else
  const bool right = all_right<double>(trials, 1e-10) && all_right<float>(trials, 2e-4);
#endif
  std::puts(right ? "all right" : "wrong");
  return right ? 0 : 1;
}
