// One time step of a stack of layers whose weights were packed before: for streaming, where a call has to be cheap.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "stack.h"

namespace {

// What one call adds to the stack's own structures, which any number of threads may use at once.
class one_step {
 public:
  one_step(const hg_stack& stack, const hg_step& step)
      : stack_(stack), step_(step), states_(stack.n_states), buffers_(stack.n_buffers), before_(stack.n_states) {
    int64_t bytes = step.B * stack.scratch;
    for (int k = 0; k < stack.n_states; ++k)
      if (is_padded(k)) bytes += 2 * padded_bytes(k);
    scratch_.reset(new char[bytes]);
    char* next = scratch_.get() + step.B * stack.scratch;
    for (int k = 0; k < stack.n_states; ++k) {
      before_[k] = next;
      if (is_padded(k)) next += 2 * padded_bytes(k);
    }
  }

  void layer(int l, const void* x) {
    static constexpr int64_t FIRST = 0;
    hg_run run = stack_.layers[l];
    std::copy(run.states, run.states + stack_.n_states, states_.begin());
    std::copy(run.buffers, run.buffers + stack_.n_buffers, buffers_.begin());
    buffers_[stack_.x] = const_cast<void*>(x);
    if (stack_.kept >= 0) buffers_[stack_.kept] = scratch_.get();
    for (int k = 0; k < stack_.n_states; ++k) {
      states_[k].initial = is_padded(k) ? spread(k, before(l, k)) : before(l, k);
      states_[k].new_state = states_[k].final = is_padded(k) ? before_[k] + padded_bytes(k) : after(l, k);
    }
    const bool last = l + 1 == stack_.n_layers;
    if (last && !is_padded(0)) states_[0].new_state = step_.output;
    run.B = step_.B;
    run.offset = &FIRST;
    run.rows = &step_.B;
    run.threads = static_cast<int32_t>(step_.threads);
    run.states = states_.data();
    run.buffers = buffers_.data();
    stack_.run(&run);
    for (int k = 0; k < stack_.n_states; ++k)
      if (is_padded(k)) gather(k, after(l, k));
    if (last && is_padded(0)) std::memcpy(step_.output, after(l, 0), step_.B * row_bytes(0));
  }

  void* after(int l, int k) const { return static_cast<char*>(step_.states[k].after) + l * step_.B * row_bytes(k); }

 private:
  const void* before(int l, int k) const {
    return static_cast<const char*>(step_.states[k].before) + l * step_.B * row_bytes(k);
  }
  int64_t units(int k) const { return stack_.layers[0].states[k].units; }
  bool is_padded(int k) const { return units(k) != stack_.sizes[k]; }
  int64_t row_bytes(int k) const { return stack_.sizes[k] * stack_.width; }
  int64_t padded_bytes(int k) const { return step_.B * units(k) * stack_.width; }

  const void* spread(int k, const void* rows) {
    const int64_t own = row_bytes(k), all = units(k) * stack_.width;
    for (int64_t r = 0; r < step_.B; ++r) {
      std::memcpy(before_[k] + r * all, static_cast<const char*>(rows) + r * own, own);
      std::memset(before_[k] + r * all + own, 0, all - own);
    }
    return before_[k];
  }
  void gather(int k, void* rows) const {
    const int64_t own = row_bytes(k), all = units(k) * stack_.width;
    const char* from = before_[k] + padded_bytes(k);
    for (int64_t r = 0; r < step_.B; ++r) std::memcpy(static_cast<char*>(rows) + r * own, from + r * all, own);
  }

  const hg_stack& stack_;
  const hg_step& step_;
  std::vector<hg_state> states_;
  std::vector<void*> buffers_;
  std::vector<char*> before_;
  std::unique_ptr<char[]> scratch_;
};

template <class T>
bool unchanged(const void* const* places, const void* values, int64_t count) {
  for (int64_t k = 0; k < count; ++k)
    if (std::memcmp(places[k], static_cast<const char*>(values) + k * sizeof(T), sizeof(T))) return false;
  return true;
}

}  // namespace

extern "C" {

int32_t hg_unchanged(const hg_sample* sample) {
  if (sample->width == 2) return unchanged<int16_t>(sample->places, sample->values, sample->count);
  if (sample->width == 4) return unchanged<int32_t>(sample->places, sample->values, sample->count);
  return unchanged<int64_t>(sample->places, sample->values, sample->count);
}

int32_t hg_step_layers(const hg_stack* stack, const hg_step* step) {
  if (!hg_unchanged(stack->sample)) return 0;
  one_step all(*stack, *step);
  const void* x = step->x;
  for (int l = 0; l < stack->n_layers; ++l) {
    all.layer(l, x);
    x = all.after(l, 0);
  }
  return 1;
}

}
