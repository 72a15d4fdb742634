// Gradients that fade or grow without end: each is carried in units of a power of two of its own.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "adjoint.h"
#include "states.h"

namespace headgate {
namespace {

// The walk of several gradients over the steps of a run: what they meet between the passes.
template <class T>
class scaled_walk : protected walk<T> {
 protected:
  using walk<T>::run_, walk<T>::mine_, walk<T>::meeting_, walk<T>::at_, walk<T>::step_, walk<T>::rows_;

  // `largest` is all threads' memory for one number a row.
  scaled_walk(const hg_adjoint& call, const share& mine, barrier& meeting, T* largest)
      : walk<T>(*call.run, mine, meeting), call_(call), R_(call.gradients), largest_(largest),
        scale_(call.scale, call.scale + call.run->B * call.gradients) {}

  T* gradient(const hg_state& state, int64_t own, int64_t step) const {
    return static_cast<T*>(state.d_state) + ((step & 1) * run_.B * R_ + own) * state.units;
  }
  // Rows of all steps of this call before the one at hand.
  int64_t relative(int64_t row) const { return this->packed(row) - base_; }

  void enter(int64_t step) {
    if (step == call_.first) {
      base_ = run_.offset[this->time(call_.first)];
      if (call_.last > call_.first) base_ = std::min(base_, run_.offset[this->time(call_.last - 1)]);
    }
    this->begin(step);
    take_final();
    add_local();
    if (step % call_.every == 0) rescale();
    if (!mine_.by_units || mine_.thread == 0)
      each_own([&](int64_t own) {
        if (scale_[own] != HG_NOTHING) call_.scales[(step - call_.first) * run_.B * R_ + own] = scale_[own];
      });
  }

  void leave() {
    const int64_t after = step_ + 1 < run_.T ? run_.rows[this->time(step_ + 1)] : 0;
    for (int64_t row = rows_.from; row < rows_.to; ++row) {
      if (row < after && !this->fresh(row)) continue;
      for (int64_t own = row * R_; own < (row + 1) * R_; ++own) {
        if (scale_[own] == HG_NOTHING) scale_[own] = 0;
        each_state([&](const hg_state& state, range units) {
          T* from = gradient(state, own, step_ + 1);
          T* to = static_cast<T*>(state.d_initial) + own * state.units;
          for (int64_t u = units.from; u < units.to; ++u) to[u] += std::ldexp(from[u], scale_[own]);
          std::fill(from + units.from, from + units.to, T(0));
        });
        scale_[own] = HG_NOTHING;
      }
    }
  }

  void finish() const {
    if (mine_.by_units && mine_.thread) return;
    const int64_t from = mine_.by_units ? 0 : mine_.rows.from * R_, to = (mine_.by_units ? run_.B : mine_.rows.to) * R_;
    std::copy(scale_.begin() + from, scale_.begin() + to, call_.scale_after + from);
  }

  const hg_adjoint& call_;
  const int64_t R_;

 private:
  template <class Work>
  void each_own(const Work& work) const {
    for (int64_t own = rows_.from * R_; own < rows_.to * R_; ++own) work(own);
  }
  template <class Work>
  void each_state(const Work& work) const {
    for (int k = 0; k < run_.n_states; ++k) work(run_.states[k], mine_.units(run_.states[k].units));
  }

  // Rows whose last step this is start from what comes to their final states.
  void take_final() {
    const int64_t before = step_ ? run_.rows[this->time(step_ - 1)] : 0;
    each_state([&](const hg_state& state, range units) {
      for (int64_t own = std::max(before, rows_.from) * R_; own < rows_.to * R_; ++own) {
        const T* from = static_cast<const T*>(state.d_final) + own * state.units;
        std::copy(from + units.from, from + units.to, gradient(state, own, step_) + units.from);
      }
    });
  }

  // Multiplies what is carried by 2^-shift.
  void shift(int64_t own, int32_t shift) {
    scale_[own] += shift;
    each_state([&](const hg_state& state, range units) {
      T* value = gradient(state, own, step_);
      for (int64_t u = units.from; u < units.to; ++u) value[u] = std::ldexp(value[u], -shift);
    });
  }

  void add_local() {
    for (int64_t row = rows_.from; row < rows_.to; ++row) {
      const int64_t number = call_.number ? call_.number[row] : row;
      for (int64_t g = 0; g < R_; ++g) {
        const int64_t own = row * R_ + g, source = call_.source[own];
        if (source >= 0 && source != at_) continue;
        T largest = 0;
        for (int k = 0; k < run_.n_states; ++k)
          if (call_.local[k].values) largest = std::max(largest, largest_of(loss(k, number, g), call_.local[k].units));
        int exponent = 0;
        std::frexp(largest, &exponent);
        if (largest != 0) add_local(own, number, g, std::isfinite(largest) ? exponent : 0);
      }
    }
  }

  const T* loss(int k, int64_t number, int64_t gradient) const {
    const hg_local& local = call_.local[k];
    return static_cast<const T*>(local.values) + call_.set[gradient] * local.set + at_ * local.step + number * local.row;
  }

  // The largest size, infinite or not; in lanes, which the compiler does not make of a sum of its own.
  static T largest_of(const T* value, int64_t count) {
    T most[HG_BLOCK] = {};
    int64_t u = 0;
    for (; u + HG_BLOCK <= count; u += HG_BLOCK)
      for (int k = 0; k < HG_BLOCK; ++k) {
        const T size = std::abs(value[u + k]);
        most[k] = most[k] < size ? size : most[k];
      }
    for (; u < count; ++u) most[0] = std::max(most[0], std::abs(value[u]));
    return *std::max_element(most, most + HG_BLOCK);
  }

  void add_local(int64_t own, int64_t number, int64_t which, int32_t exponent) {
    const int32_t least = std::max(exponent, call_.lowest);
    if (scale_[own] == HG_NOTHING)
      scale_[own] = std::abs(exponent) > call_.room ? least : 0;
    else if (exponent > scale_[own] + call_.room || scale_[own] < call_.lowest)
      shift(own, least - scale_[own]);
    const T factor = std::ldexp(T(1), -scale_[own]);
    for (int k = 0; k < run_.n_states; ++k) {
      const hg_local& local = call_.local[k];
      if (!local.values) continue;
      const range units = mine_.units(run_.states[k].units);
      const T* from = loss(k, number, which);
      T* to = gradient(run_.states[k], own, step_);
      const int64_t last = std::min(units.to, local.units);
      for (int64_t u = units.from; u < last; ++u) to[u] += from[u] * factor;
    }
  }

  // Scales are set anew by the largest entry of what is carried; all threads come to the same.
  void rescale() {
    T* mine = largest_ + int64_t{mine_.thread} * run_.B * R_;
    each_own([&](int64_t own) { mine[own] = 0; });
    each_state([&](const hg_state& state, range units) {
      each_own([&](int64_t own) {
        mine[own] = std::max(mine[own], largest_of(gradient(state, own, step_) + units.from, units.size()));
      });
    });
    if (mine_.by_units) meeting_.wait(mine_.threads);
    const range threads = mine_.by_units ? range{0, mine_.threads} : range{mine_.thread, mine_.thread + 1};
    each_own([&](int64_t own) {
      T largest = 0;
      for (int64_t k = threads.from; k < threads.to; ++k) largest = std::max(largest, largest_[k * run_.B * R_ + own]);
      if (scale_[own] == HG_NOTHING || !std::isfinite(largest)) return;
      int exponent = 0;
      std::frexp(largest, &exponent);
      if (largest == 0)
        scale_[own] = HG_NOTHING;
      else if (std::abs(exponent) > call_.room)
        shift(own, exponent);
    });
    if (mine_.by_units) meeting_.wait(mine_.threads);
  }

  T* const largest_;
  std::vector<int32_t> scale_;
  int64_t base_ = 0;
};

}  // namespace
}  // namespace headgate
