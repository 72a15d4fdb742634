// A stack's memory under the sanitizers: random layers, directions, states with and without padding, one step and many,
// by several threads at once; on a cell so plain that a few loops tell what comes out.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "stack.h"

extern "C" void HG_JOIN(hg_checksum, HG_ISA, u64)(hg_stretch*);

namespace {

constexpr auto checksum = HG_JOIN(hg_checksum, HG_ISA, u64);

std::mt19937_64 generator(7);
int draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); }
std::vector<double> normal(int64_t count) {
  std::vector<double> values(count);
  for (double& value : values) value = std::normal_distribution<double>()(generator);
  return values;
}

// What stands here for rounding to bfloat16.
uint16_t rounded(double value) { return static_cast<uint16_t>(static_cast<int64_t>(value * 64)); }
double rounded_number(double value) { return rounded(value); }

// h' = h / 2 + sum(c) / 4 + mean(x), c' = c / 2 + x_0; x is `input_units` wide. What a real run may write, is written.
void plain_run(const hg_run* run) {
  const hg_state &h = run->states[0], &c = run->states[1];
  const auto* x = static_cast<const double*>(run->buffers[0]);
  auto* scratch = static_cast<double*>(run->buffers[1]);
  for (int64_t step = 0; step < run->T; ++step)
    for (int64_t r = 0; r < run->B; ++r) {
      const auto time = [&](int64_t s) { return run->descending ? run->T - 1 - s : s; };
      const auto old = [&](const hg_state& state) {
        if (step == 0) return static_cast<const double*>(state.initial) + r * state.units;
        const int64_t base = state.kept ? run->offset[time(step - 1)] : (step - 1) % 2 * run->B;
        return static_cast<const double*>(state.new_state) + (base + r) * state.stride;
      };
      const auto next = [&](const hg_state& state) {
        const int64_t base = state.kept ? run->offset[time(step)] : step % 2 * run->B;
        return static_cast<double*>(state.new_state) + (base + r) * state.stride;
      };
      const double* row = x + (run->offset[time(step)] + r) * run->input_units;
      double mean = 0, sum = 0;
      for (int64_t k = 0; k < run->input_units; ++k) mean += row[k] / run->input_units;
      for (int64_t u = 0; u < c.units; ++u) sum += old(c)[u];
      scratch[r] = mean;
      for (int64_t u = 0; u < h.units; ++u) next(h)[u] = old(h)[u] / 2 + sum / 4 + scratch[r];
      for (int64_t u = 0; h.rounded && u < h.rounded_units; ++u)
        h.rounded[(run->offset[time(step)] + r) * h.rounded_stride + u] = rounded(next(h)[u]);
      for (int64_t u = 0; u < c.units; ++u) next(c)[u] = u < int64_t(run->seed) ? old(c)[u] / 2 + row[0] : 0;
      if (step + 1 < run->T) continue;
      for (const hg_state* state : {&h, &c})
        std::copy(next(*state), next(*state) + state->units, static_cast<double*>(state->final) + r * state->units);
    }
}

struct trial {
  int64_t T = draw(0, 1) ? 1 : draw(2, 6), B = draw(1, 4), I = draw(1, 5), L = draw(1, 4), D = draw(1, 2);
  bool rounds = draw(0, 1);
  int64_t sizes[2] = {draw(1, 40), draw(1, 40)}, units[2], O = sizes[0];

  // Whether a run through the library gives what plain loops give.
  bool right() {
    for (int k = 0; k < 2; ++k) units[k] = (sizes[k] + HG_BLOCK - 1) / HG_BLOCK * HG_BLOCK;
    hg_state states[2]{};
    for (int k = 0; k < 2; ++k) states[k].units = states[k].stride = units[k];
    void* buffers[2]{};
    std::vector<hg_run> parts(L * D);
    std::vector<int64_t> input_bytes(L * D, 8);
    for (int64_t p = 0; p < L * D; ++p) {
      parts[p].states = states, parts[p].buffers = buffers, parts[p].descending = p % D;
      parts[p].input_units = p < D ? I : D * O, parts[p].seed = sizes[1];
    }
    const double weight = 3, was = 3;
    const void* place = &weight;
    std::vector<char> memory(draw(1, 3000), 'a');
    std::vector<hg_stretch> stretches;
    const int64_t length = draw(15, 700);  // so many that they are worth a thread, and fewer
    for (int64_t at = 0; at < int64_t(memory.size()); at += length)
      stretches.push_back({&memory[at], std::min<int64_t>(length, memory.size() - at), 0}), checksum(&stretches.back());
    hg_held held{&place, &was, 1, 8, checksum, stretches.data(), int64_t(stretches.size()), 0};
    hg_stack stack{plain_run, parts.data(), sizes, input_bytes.data(), &held, int32_t(L), int32_t(D), 2, 2, 0, 1, 8, rounds, 8};
    const std::vector<double> x = normal(T * B * I), h = normal(L * D * B * sizes[0]), c = normal(L * D * B * sizes[1]);
    const std::vector<double> expected = by_loops(x, h, c);
    bool same[3] = {};
    std::vector<std::thread> threads;
    for (bool& one : same)
      threads.emplace_back([&] { one = expected == by_stack(stack, x, h, c); });
    for (std::thread& thread : threads) thread.join();
    char& any = memory[draw(0, int(memory.size()) - 1)];
    any ^= 1;
    const bool seen = by_stack(stack, x, h, c).empty();
    any ^= 1;
    const bool taken_back = !by_stack(stack, x, h, c).empty();
    const double other = 4;
    held.values = &other;
    return same[0] && same[1] && same[2] && seen && taken_back && by_stack(stack, x, h, c).empty();
  }

  // The output, and the final states; nothing if the weights are said to have changed.
  std::vector<double> by_stack(const hg_stack& stack, const std::vector<double>& x, const std::vector<double>& h,
                               const std::vector<double>& c) const {
    std::vector<double> output(T * B * D * O * !rounds, NAN), last_h(h.size(), NAN), last_c(c.size(), NAN);
    std::vector<int64_t> memory(sizeof(hg_call) / 8 + 4);
    auto* call = reinterpret_cast<hg_call*>(memory.data());
    call->T = T, call->B = B, call->threads = 3, call->turn = 0, call->stretches = 1 << 20;
    std::vector<uint16_t> less(T * B * D * O * rounds);
    call->x = x.data(), call->output = rounds ? static_cast<void*>(less.data()) : output.data();
    call->states[0].before = h.data(), call->states[0].after = last_h.data();
    call->states[1].before = c.data(), call->states[1].after = last_c.data();
    if (!hg_run_stack(&stack, call)) return {};
    output.insert(output.end(), less.begin(), less.end());
    output.insert(output.end(), last_h.begin(), last_h.end());
    output.insert(output.end(), last_c.begin(), last_c.end());
    return output;
  }

  std::vector<double> by_loops(std::vector<double> x, std::vector<double> h, std::vector<double> c) const {
    for (int64_t l = 0; l < L; ++l) {
      const int64_t width = l ? D * O : I;
      std::vector<double> output(T * B * D * O);
      for (int64_t d = 0; d < D; ++d)
        for (int64_t step = 0; step < T; ++step)
          for (int64_t r = 0; r < B; ++r) {
            const int64_t t = d ? T - 1 - step : step, p = (l * D + d) * B + r;
            double mean = 0, sum = 0;
            for (int64_t k = 0; k < width; ++k) mean += x[(t * B + r) * width + k] / width;
            for (int64_t u = 0; u < sizes[1]; ++u) sum += c[p * sizes[1] + u];
            for (int64_t u = 0; u < O; ++u) h[p * O + u] = output[((t * B + r) * D + d) * O + u] = h[p * O + u] / 2 + sum / 4 + mean;
            for (int64_t u = 0; u < sizes[1]; ++u) c[p * sizes[1] + u] = c[p * sizes[1] + u] / 2 + x[(t * B + r) * width];
          }
      x = output;
    }
    if (rounds) std::transform(x.begin(), x.end(), x.begin(), rounded_number);
    x.insert(x.end(), h.begin(), h.end());
    x.insert(x.end(), c.begin(), c.end());
    return x;
  }
};

}  // namespace

int main(int argc, char** argv) {
  const int trials = argc > 1 ? std::atoi(argv[1]) : 200;
  for (int k = 0; k < trials; ++k) {
    trial one;
    if (one.right()) continue;
    std::printf("trial %d: T=%ld B=%ld I=%ld L=%ld D=%ld sizes %ld %ld rounds %d\n", k, long(one.T), long(one.B), long(one.I), long(one.L),
                long(one.D), long(one.sizes[0]), long(one.sizes[1]), one.rounds);
    return 1;
  }
  std::puts("all right");
}
