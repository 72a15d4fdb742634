// The walk over the steps: which rows take a step, and how their states go from one to the next.
#pragma once

#include <algorithm>

#include "barrier.h"
#include "headgate.h"
#include "product_tiles.h"
#include "share.h"

namespace headgate {
namespace {

template <class T>
class walk {
 protected:
  walk(const hg_run& run, const share& mine, barrier& meeting) : run_(run), mine_(mine), meeting_(meeting) {}

  // Goes on to a step.
  void begin(int64_t step) {
    at_ = time(step);
    step_ = step;
    const int64_t count = run_.rows[at_];
    rows_ = {std::min(mine_.rows.from, count), std::min(mine_.rows.to, count)};
  }
  // Takes the states over from the step before, where they do not lie ready.
  void join() {
    const int64_t before = step_ ? run_.rows[time(step_ - 1)] : 0;
    run_.back ? join_back(before) : compose(before);
  }
  // Hands the states on.
  void end() {
    const int64_t after = step_ + 1 < run_.T ? run_.rows[time(step_ + 1)] : 0;
    run_.back ? leave_back(after) : leave(after);
  }

  int64_t time(int64_t step) const { return run_.descending ? run_.T - 1 - step : step; }
  int64_t packed(int64_t row) const { return run_.offset[at_] + row; }
  bool fresh(int64_t row) const { return run_.fresh && run_.fresh[packed(row)]; }

  // The step that handed its states to this one, also on the way back; there may be none.
  int64_t giver() const { return run_.back ? step_ + 1 : step_ - 1; }
  bool begins() const { return giver() < 0 || giver() == run_.T; }

  // The states that the forward step found: those that the step before left, or the initial ones.
  const T* carried(const hg_state& state, int64_t row) const {
    if (begins()) return static_cast<const T*>(state.initial) + row * state.units;
    const int64_t base = state.kept ? run_.offset[time(giver())] : (giver() & 1) * run_.B;
    return static_cast<const T*>(state.new_state) + (base + row) * state.stride;
  }
  int64_t carried_stride(const hg_state& state) const { return begins() ? state.units : state.stride; }

  T* new_state(const hg_state& state, int64_t row) const {
    const int64_t base = state.kept ? run_.offset[at_] : (step_ & 1) * run_.B;
    return static_cast<T*>(state.new_state) + (base + row) * state.stride;
  }
  T* composed(const hg_state& state, int64_t row) const {
    return static_cast<T*>(state.old_state) + (run_.keep ? packed(row) : row) * state.units;
  }
  T* gradient(const hg_state& state, int64_t row, int64_t step) const {
    return static_cast<T*>(state.d_state) + ((step & 1) * run_.B + row) * state.units;
  }

  // Of those that take step t.
  range own_rows(int64_t t) const {
    return {std::min(mine_.rows.from, run_.rows[t]), std::min(mine_.rows.to, run_.rows[t])};
  }

  // What a caller wants in bfloat16 is rounded while it is still in the cache.
  void round_states() const {
    for (int k = 0; k < run_.n_states; ++k) {
      const hg_state& state = run_.states[k];
      if (!state.rounded) continue;
      range own = mine_.units(state.units);
      own.to = std::min(own.to, state.rounded_units);
      for (int64_t row = rows_.from; row < rows_.to; ++row)
        round_exactly(new_state(state, row) + own.from, own.size(),
                      state.rounded + packed(row) * state.rounded_stride + own.from);
    }
  }

  // Where the step before left a product's vectors in bfloat16, for the caller; or null. Of what other threads found that is
  // half to fetch; one's own numbers are as near.
  const uint16_t* already_rounded(const hg_product& product, int64_t row, int64_t* stride) const {
    const bool whole = product.segments == 1 && product.start[0] == 0, met = run_.passes[run_.n_passes - 1].barrier;
    const bool carried = product.vector.where == HG_OLD_STATE && !run_.compose && !begins();
    if (!carried || !whole || !met || !mine_.by_units) return nullptr;
    const hg_state& state = run_.states[product.vector.index];
    if (!state.rounded || product.length[0] > state.rounded_units) return nullptr;
    *stride = state.rounded_stride;
    return state.rounded + (run_.offset[time(giver())] + row) * state.rounded_stride;
  }

  const hg_run& run_;
  const share mine_;
  barrier& meeting_;
  int64_t at_ = 0, step_ = 0;
  range rows_{};

 private:
  void compose(int64_t before) {
    if (!run_.compose) return;
    for (int k = 0; k < run_.n_states; ++k) {
      const hg_state& state = run_.states[k];
      const range own = mine_.units(state.units);
      for (int64_t row = rows_.from; row < rows_.to; ++row) {
        const bool starts = row >= before || fresh(row);
        const T* from = starts ? static_cast<const T*>(state.initial) + row * state.units : carried(state, row);
        std::copy(from + own.from, from + own.to, composed(state, row) + own.from);
      }
    }
    if (mine_.by_units) meeting_.wait(mine_.threads);
  }

  void leave(int64_t after) {
    for (int k = 0; k < run_.n_states; ++k) {
      const hg_state& state = run_.states[k];
      const range own = mine_.units(state.units);
      for (int64_t row = std::max(after, rows_.from); row < rows_.to; ++row) {
        const T* from = new_state(state, row);
        std::copy(from + own.from, from + own.to, static_cast<T*>(state.final) + row * state.units + own.from);
      }
    }
  }

  void join_back(int64_t before) {
    for (int k = 0; k < run_.n_states; ++k) {
      const hg_state& state = run_.states[k];
      const range own = mine_.units(state.units);
      for (int64_t row = std::max(before, rows_.from); row < rows_.to; ++row) {
        const T* from = static_cast<const T*>(state.d_final) + row * state.units;
        std::copy(from + own.from, from + own.to, gradient(state, row, step_) + own.from);
      }
    }
  }

  void leave_back(int64_t after) {
    for (int k = 0; k < run_.n_states; ++k) {
      const hg_state& state = run_.states[k];
      const range own = mine_.units(state.units);
      for (int64_t row = rows_.from; row < rows_.to; ++row) {
        if (row < after && !fresh(row)) continue;
        T* from = gradient(state, row, step_ + 1);
        T* to = static_cast<T*>(state.d_initial) + row * state.units;
        for (int64_t u = own.from; u < own.to; ++u) to[u] += from[u];
        std::fill(from + own.from, from + own.to, T(0));
      }
    }
  }
};

}  // namespace
}  // namespace headgate
