// Several gradients back through random runs of a small cell, in calls of some steps each, compared with plain loops.
// Built with a sanitizer, it shows what memory and which threads are touched. Exit status 1 if numbers differ.
//
// The cell's way back, elementwise in the gradient d of its state: a = p d m, b = q d h, with m a mask and h the old state;
// earlier: k f d + (what is handed on of U_a^T a + U_b^T b) + 0.2 mean(d) + 0.1 (U_a^T a + U_b^T b), with k the highway's
// factor.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "adjoint.h"
#include "masks.h"
#include "step.h"

namespace {

std::mt19937 generator(11);
int draw(int from, int to) { return std::uniform_int_distribution<int>(from, to)(generator); }

template <class T>
std::vector<T> normal(int64_t count, double size = 0.5) {
  std::normal_distribution<double> distribution(0.0, size);
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(distribution(generator));
  return values;
}

int64_t padded(int64_t units) { return (units + HG_BLOCK - 1) / HG_BLOCK * HG_BLOCK; }

template <class T>
struct at_tile {
  const hg_tile* tile;
  T in(int k, int64_t row, int64_t unit) const { return static_cast<const T*>(tile->in[k])[row * tile->in_stride[k] + unit]; }
  T& out(int k, int64_t row, int64_t unit) const { return static_cast<T*>(tile->out[k])[row * tile->out_stride[k] + unit]; }
};

template <class T>
void columns_pass(const hg_tile* tile) {  // d, p, m, q, h -> a, b, total, the sum of d
  const at_tile<T> at{tile};
  for (int64_t r = 0; r < tile->rows; ++r)
    for (int64_t u = 0; u < tile->units; ++u) {
      const T d = at.in(0, r, u);
      at.out(0, r, u) = at.in(1, r, u) * d * at.in(2, r, u), at.out(1, r, u) = at.in(3, r, u) * d * at.in(4, r, u);
      at.out(2, r, u) = d;
      if (u < tile->valid) at.out(3, r, 0) += d;
    }
}
template <class T>
void earlier_pass(const hg_tile* tile) {  // d, f, k, handed on, product, mean -> earlier, along the highway
  const at_tile<T> at{tile};
  for (int64_t r = 0; r < tile->rows; ++r)
    for (int64_t u = 0; u < tile->units; ++u) {
      const T along = at.in(1, r, u) * at.in(0, r, u);
      at.out(0, r, u) = at.in(2, r, 0) * along + at.in(3, r, u) + T(0.2) * at.in(5, r, 0) + T(0.1) * at.in(4, r, u);
      if (tile->keep) at.out(1, r, u) = along;
    }
}

template <class T>
struct entries;
template <>
struct entries<float> {
  static constexpr auto follow = HG_JOIN(hg_adjoint, HG_ISA, f32);
  static constexpr auto pack = HG_JOIN(hg_pack, HG_ISA, f32);
};
template <>
struct entries<double> {
  static constexpr auto follow = HG_JOIN(hg_adjoint, HG_ISA, f64);
  static constexpr auto pack = HG_JOIN(hg_pack, HG_ISA, f64);
};

template <class T>
struct trial {
  int T_ = draw(1, 9), B = draw(1, 9), H = draw(1, 90), R = draw(1, 4), K = draw(1, 2), threads = draw(1, 3), split = draw(0, 2);
  bool descending = draw(0, 1), resets = draw(0, 1), cuts = draw(0, 1), told = draw(0, 1);
  int64_t P = padded(H), N = 0;
  std::vector<int64_t> offset, rows, number, source;
  std::vector<uint8_t> fresh;
  std::vector<int32_t> set, scale;
  std::vector<uint64_t> cut;
  std::vector<T> u, p, q, f, old, initial, local, d_final, d_initial, d_state, factor;
  // By time, row and gradient, what came in plain numbers.
  std::vector<double> total, along, parts;
  const hg_mask mask{3, 0x60000000u};
  const uint64_t seed = generator();

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
    for (int r = 0; r < B; ++r) number.push_back(r);
    std::shuffle(number.begin(), number.end(), generator);
    // A loss now and then, and far from the size of the others.
    local = normal<T>(int64_t{K} * T_ * B * H, std::ldexp(1.0, draw(0, 2) * -20));
    for (int64_t k = 0; k < int64_t{K} * T_ * B; ++k)
      if (draw(0, 1)) std::fill(local.begin() + k * H, local.begin() + (k + 1) * H, T(0));
    for (int g = 0; g < R; ++g) set.push_back(draw(0, K - 1)), cut.push_back(draw(0, 3));
    for (int k = 0; k < B * R; ++k) source.push_back(draw(-1, T_)), factor.push_back(T(draw(0, 1)));
    u = normal<T>(2 * H * H, 0.3), initial = normal<T>(B * P);
    for (std::vector<T>* kept : {&p, &q, &old}) *kept = normal<T>(N * P);
    f = normal<T>(N * P, draw(0, 1) ? 0.5 : 1e-6);
    d_final.assign(B * R * P, T(0)), d_initial = d_final, d_state.assign(2 * B * R * P, T(0));
    scale.assign(B * R, HG_NOTHING);
    for (int k = 0; k < B * R; ++k)
      if (draw(0, 1)) {
        const std::vector<T> drawn = normal<T>(H);
        std::copy(drawn.begin(), drawn.end(), d_final.begin() + k * P);
        scale[k] = draw(-30, 30);
      }
    total.assign(N * R * H, NAN), along = total, parts.assign(N * 2 * H, NAN);
  }

  int64_t time(int64_t step) const { return descending ? T_ - 1 - step : step; }
  double loss(int g, int64_t t, int64_t row, int64_t unit) const {
    return local[((int64_t{set[g]} * T_ + t) * B + number[row]) * H + unit];
  }

  void run() {
    std::vector<T> packed(P * 2 * H);
    hg_packing packing{u.data(), nullptr, H, H, 2, 1, threads, 0, packed.data(), nullptr};
    entries<T>::pack(&packing);
    hg_state state{P, initial.data(), old.data(), old.data(), P, 1, 0, nullptr, d_final.data(), d_initial.data(), d_state.data()};
    const int64_t start[] = {0, P}, length[] = {H, H}, parts_start[] = {0, P};
    const hg_product product{{HG_EACH, 0, 0, 0, 0, 2 * P}, 2, 1, start, length, 1, -1};
    const hg_place mean_d{HG_MEAN, 0, 0, 0, H};
    const hg_place in0[] = {{HG_LATER}, {HG_PACKED, 0, 0, 2, 0, P}, {HG_MASK}, {HG_PACKED, 0, 0, 3, 0, P}, {HG_OLD_STATE}};
    const hg_place out0[] = {{HG_EACH, 0, 0, 0, 0, 2 * P}, {HG_EACH, 0, 0, 0, P, 2 * P}, {HG_EACH, 0, 0, 6, 0, P}, mean_d};
    const hg_place in1[] = {{HG_LATER}, {HG_PACKED, 0, 0, 4, 0, P}, {HG_SCRATCH, 0, 0, 5, 0, 1, 1}, {HG_HANDED}, {HG_PRODUCT}, mean_d};
    const hg_place out1[] = {{HG_EARLIER}, {HG_EACH, 0, 0, 7, 0, P}};
    hg_pass passes[] = {{columns_pass<T>, P, H, 0, 5, 4, 1, nullptr, in0, out0}, {earlier_pass<T>, P, H, 1, 6, 2, 1, &product, in1, out1}};
    const hg_local loss{local.data(), int64_t{T_} * B * H, int64_t{B} * H, H, H};
    const int32_t block = 0;
    for (int64_t first = 0; first < T_;) {
      const int64_t last = draw(first + 1, T_), low = std::min(time(first), time(last - 1)), high = std::max(time(first), time(last - 1));
      const int64_t base = offset[low], count = offset[high] + rows[high] - base;
      std::vector<T> columns(count * R * 2 * P, NAN), totals(count * R * P, NAN), alongs(count * R * P, NAN), part(count * 2 * P, NAN);
      std::vector<int32_t> after(B * R, 77), scales((last - first) * B * R, 0);
      void* const buffers[] = {columns.data(), packed.data(), p.data(), q.data(), f.data(), factor.data(), totals.data(), alongs.data()};
      hg_run all{};
      all.T = T_, all.B = B, all.offset = offset.data(), all.rows = rows.data(), all.fresh = resets ? fresh.data() : nullptr;
      all.descending = descending, all.back = 1, all.keep = 1, all.compose = 1, all.n_states = 1, all.n_passes = 2;
      all.states = &state, all.passes = passes, all.buffers = buffers, all.threads = threads, all.split = split;
      all.weight_bytes = 2 * H * H * sizeof(T), all.n_means = 1, all.n_masks = 1, all.masks = &mask, all.seed = seed;
      hg_adjoint call{};
      call.run = &all, call.first = first, call.last = last, call.gradients = R, call.every = draw(1, 4), call.room = 4;
      call.lowest = -100, call.set = set.data(), call.source = source.data(), call.number = number.data(), call.local = &loss;
      call.scale = scale.data(), call.scale_after = after.data(), call.scales = scales.data(), call.block = &block;
      call.apart = cuts || told, call.told = told, call.cut = cuts ? cut.data() : nullptr, call.parts = told ? part.data() : nullptr;
      call.parts_stride = 2 * P, call.parts_start = parts_start;
      entries<T>::follow(&call);
      scale = after;
      for (int64_t t = low; t <= high; ++t)
        for (int64_t own = 0; own < rows[t] * R; ++own) {
          const int64_t step = descending ? T_ - 1 - t : t, at = offset[t] * R + own, here = at - base * R;
          const int power = scales[(step - first) * B * R + own];
          for (int64_t k = 0; k < H; ++k) {
            total[at * H + k] = std::ldexp(double(totals[here * P + k]), power);
            along[at * H + k] = std::ldexp(double(alongs[here * P + k]), power);
            for (int64_t b = 0; b < 2 && own % R == 0; ++b)
              parts[(at / R * 2 + b) * H + k] = std::ldexp(double(part[(here / R * 2 + b) * P + k]), power);
          }
        }
      first = last;
    }
  }

  static double apart(double actual, double expected, double largest) {
    const double error = std::fabs(actual - expected) / std::max(largest, 1e-300);
    return std::isnan(error) ? INFINITY : error;
  }

  double check() {
    std::vector<double> later(int64_t{B} * R * H), first(int64_t{B} * R * H, 0.0);
    for (int64_t k = 0; k < B * R; ++k)
      for (int64_t j = 0; j < H; ++j) later[k * H + j] = scale[k] == HG_NOTHING ? 0.0 : std::ldexp(double(d_final[k * P + j]), scale[k]);
    run();
    double error = 0;
    for (int64_t step = 0; step < T_; ++step)
      for (int64_t own = 0; own < rows[time(step)] * R; ++own) error = std::max(error, check_step(step, own, &later[own * H], &first[own * H]));
    for (int64_t own = 0; own < B * R; ++own) {
      double largest = 0;
      for (int64_t k = 0; k < H; ++k) largest = std::max(largest, std::fabs(first[own * H + k]));
      for (int64_t k = 0; k < H; ++k) error = std::max(error, apart(d_initial[own * P + k], first[own * H + k], largest));
    }
    return error;
  }

  double check_step(int64_t step, int64_t own, double* later, double* first) {
    const int64_t t = time(step), row = own / R, g = own % R, n = offset[t] + row;
    std::vector<T> m(P);
    headgate::draw(headgate::step_key(seed, t), row, mask, 0, P, m.data());
    double average = 0, largest = 0, error = 0;
    for (int64_t k = 0; k < H; ++k) {
      if (source[own] < 0 || source[own] == t) later[k] += loss(g, t, row, k);
      average += later[k] / H, largest = std::max(largest, std::fabs(later[k]));
    }
    std::vector<double> product(2 * H, 0.0), earlier(H);
    for (int64_t j = 0; j < H; ++j) {
      const double a = p[n * P + j] * later[j] * m[j], b = q[n * P + j] * later[j] * old[n * P + j];
      for (int64_t k = 0; k < H; ++k) product[k] += a * u[j * H + k], product[H + k] += b * u[(H + j) * H + k];
    }
    for (int64_t k = 0; k < H; ++k) {
      const double highway = f[n * P + k] * later[k], whole = product[k] + product[H + k];
      const double handed = cuts ? (cut[g] & 1 ? 0 : product[k]) + (cut[g] & 2 ? 0 : product[H + k]) : whole;
      earlier[k] = factor[own] * highway + handed + 0.2 * average + 0.1 * whole;
      error = std::max(error, apart(total[(offset[t] * R + own) * H + k], later[k], largest));
      if (told) error = std::max(error, apart(along[(offset[t] * R + own) * H + k], highway, largest));
      for (int64_t b = 0; b < 2 && told && g == 0; ++b) error = std::max(error, apart(parts[(n * 2 + b) * H + k], product[b * H + k], largest));
    }
    const bool starts = step + 1 == T_ || row >= rows[time(step + 1)] || (resets && fresh[n]);
    for (int64_t k = 0; k < H; ++k) {
      if (starts) first[k] += earlier[k];
      later[k] = starts ? 0.0 : earlier[k];
    }
    return error;
  }
};

template <class T>
bool all_right(int trials, double tolerance) {
  for (int k = 0; k < trials; ++k) {
    trial<T> one;
    const double error = one.check();
    if (!(error < tolerance)) {
      std::printf("trial %d: T=%d B=%d H=%d R=%d threads=%d split=%d descending=%d resets=%d cuts=%d told=%d: error %g\n", k, one.T_,
                  one.B, one.H, one.R, one.threads, one.split, one.descending, one.resets, one.cuts, one.told, error);
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const int trials = argc > 1 ? std::atoi(argv[1]) : 40;
  const bool right = all_right<double>(trials, 1e-10) && all_right<float>(trials, 2e-4);
  std::puts(right ? "all right" : "wrong");
  return right ? 0 : 1;
}
