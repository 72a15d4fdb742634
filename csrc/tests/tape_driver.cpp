// Tapes under the sanitizers: rows padded, summed and cut by one tape, played by several threads at once on memory of
// their own, against plain loops.
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "tape.h"

namespace {

std::mt19937_64 generator(7);
int draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); }

struct trial {
  int64_t rows = draw(1, 5), columns = draw(1, 20), width = columns + draw(0, 12), parts = draw(1, 3);
  int64_t summed = draw(0, 1) ? width : columns;  // the sum goes on with zeros, or leaves those that were there

  // Zeros, then the sum of some parts in wider rows, then those cut again.
  bool right() const {
    hg_copying jobs[3]{};
    jobs[0].rows = rows, jobs[0].columns = jobs[0].width = jobs[0].to_stride = width;
    jobs[1] = {nullptr, nullptr, rows, columns, summed, columns, width, parts, rows * columns};
    jobs[2] = {nullptr, nullptr, rows, columns, columns, width, columns, 1, 0};
    enum { HERE, GIVEN, BETWEEN, CUT, NOTHING };
    std::vector<hg_address> addresses;
    std::vector<hg_task> tasks;
    const int32_t from[] = {NOTHING, GIVEN, BETWEEN}, to[] = {BETWEEN, BETWEEN, CUT};
    for (int64_t k = 0; k < 3; ++k) {
      const int64_t at = k * int64_t(sizeof(hg_copying));
      // The given parts begin one number on.
      addresses.push_back({at + int64_t(offsetof(hg_copying, from)), from[k] == GIVEN ? 8 : 0, from[k], 0});
      addresses.push_back({at + int64_t(offsetof(hg_copying, to)), 0, to[k], 0});
      tasks.push_back({[](const void* job) { hg_copy_f64(static_cast<const hg_copying*>(job)); }, at});
    }
    const hg_tape tape{jobs, sizeof jobs, addresses.data(), tasks.data(), int32_t(addresses.size()), int32_t(tasks.size())};
    bool same[3] = {};
    std::vector<std::thread> threads;
    for (int seed = 0; seed < 3; ++seed) threads.emplace_back([&, seed] { same[seed] = plays(tape, seed); });
    for (std::thread& thread : threads) thread.join();
    return same[0] && same[1] && same[2] && !jobs[1].from;
  }

  bool plays(const hg_tape& tape, int seed) const {
    std::vector<double> given(1 + parts * rows * columns), between(rows * width, NAN), cut(rows * columns, NAN);
    for (size_t k = 0; k < given.size(); ++k) given[k] = double((k * 7 + seed) % 11);
    void* bases[] = {nullptr, given.data(), between.data(), cut.data(), nullptr};
    hg_play(&tape, bases);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < width; ++c) {
        double sum = 0;
        for (int64_t p = 0; p < parts && c < columns; ++p) sum += given[1 + (p * rows + r) * columns + c];
        if (between[r * width + c] != sum || (c < columns && cut[r * columns + c] != sum)) return false;
      }
    return true;
  }
};

}  // namespace

int main(int argc, char** argv) {
  const int trials = argc > 1 ? std::atoi(argv[1]) : 200;
  for (int k = 0; k < trials; ++k) {
    const trial one;
    if (one.right()) continue;
    std::printf("trial %d: rows %ld columns %ld width %ld parts %ld\n", k, long(one.rows), long(one.columns), long(one.width), long(one.parts));
    return 1;
  }
  std::puts("all right");
}
