// All layers of a stack whose weights were packed before, in one call: for one step or short sequences, where everything
// around the library costs more than the library.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "room.h"
#include "stack.h"

namespace {

using headgate::block, headgate::call_memory;

// What one call adds to the stack's own structures, which any number of threads may use at once.
class one_call {
 public:
  one_call(const hg_stack& stack, const hg_call& call)
      : stack_(stack),
        call_(call),
        row_(stack.n_directions * row_bytes(0)),
        offset_(memory_.room<int64_t>(call.T)),
        rows_(memory_.room<int64_t>(call.T)),
        states_(memory_.room<hg_state>(stack.n_states)),
        buffers_(memory_.room<void*>(stack.n_buffers)),
        scratch_(memory_.room<char>(call.B * stack.scratch)),
        own_(memory_.source()) {
    std::fill_n(rows_.get(), call.T, call.B);
    for (int64_t t = 0; t < call.T; ++t) offset_[t] = t * call.B;
    own_.reserve(stack.n_states);
    for (int k = 0; k < stack.n_states; ++k) {
      const int64_t rows = k == 0 && is_kept_between() ? all_rows() : 2 * call.B, around = is_padded(k) * padded_bytes(k);
      const int64_t history = (is_padded(k) || k > 0 || stack.rounds) * rows * units(k) * stack.width;
      own_.push_back({memory_.room<char>(around), memory_.room<char>(around), memory_.room<char>(history)});
    }
    for (int l = 0; l < std::min(stack.n_layers - 1, 2); ++l) between_[l] = memory_.room<char>(all_rows() * row_);
  }

  void run() {
    const void* x = call_.x;
    for (int l = 0; l < stack_.n_layers; ++l) {
      const bool last = l + 1 == stack_.n_layers, rounds = last && stack_.rounds;
      char* output = last ? static_cast<char*>(call_.output) : between_[l % 2].get();
      const int64_t apart = rounds ? stack_.sizes[0] * sizeof(uint16_t) : row_bytes(0);
      for (int d = 0; d < stack_.n_directions; ++d) part(l * stack_.n_directions + d, x, output + d * apart, rounds);
      x = output;
    }
  }

 private:
  // Whether a state that is the output is kept for every step, since there is a layer whose output is not rounded.
  bool is_kept_between() const { return !stack_.rounds || stack_.n_layers > 1; }

  // One layer in one direction; its output begins at each row's `output`.
  void part(int p, const void* x, char* output, bool rounds) {
    hg_run run = stack_.parts[p];
    std::copy_n(run.states, stack_.n_states, states_.get());
    std::copy_n(run.buffers, stack_.n_buffers, buffers_.get());
    buffers_[stack_.x] = const_cast<void*>(x);
    if (stack_.kept >= 0) buffers_[stack_.kept] = scratch_.get();
    for (int k = 0; k < stack_.n_states; ++k) state(p, k, output, rounds);
    run.T = call_.T;
    run.B = call_.B;
    if (call_.T == 1) run.weight_bytes += stack_.input_bytes[p];
    run.offset = offset_.get();
    run.rows = rows_.get();
    run.threads = static_cast<int32_t>(call_.threads);
    run.turn = static_cast<int32_t>(call_.turn);
    run.states = states_.get();
    run.buffers = buffers_.get();
    stack_.run(&run);
    if (is_padded(0) && !rounds) copy_rows(all_rows(), row_bytes(0), own_[0].history.get(), units(0) * stack_.width, output, row_);
    for (int k = 0; k < stack_.n_states; ++k)
      if (is_padded(k)) copy_rows(call_.B, row_bytes(k), own_[k].after.get(), units(k) * stack_.width, after(p, k), row_bytes(k));
  }

  void state(int p, int k, char* output, bool rounds) {
    hg_state& state = states_[k];
    const bool padded = is_padded(k);
    state.initial = padded ? spread(k, before(p, k)) : before(p, k);
    state.final = padded ? own_[k].after.get() : after(p, k);
    state.kept = k == 0 && !rounds;
    state.new_state = own_[k].history.get();
    if (k == 0 && rounds) {
      state.rounded = reinterpret_cast<uint16_t*>(output);
      state.rounded_stride = stack_.n_directions * stack_.sizes[0];
      state.rounded_units = stack_.sizes[0];
    } else if (k == 0 && !padded) {
      state.new_state = output;
      state.stride = row_ / stack_.width;
    }
  }

  const void* before(int p, int k) const {
    return static_cast<const char*>(call_.states[k].before) + p * call_.B * row_bytes(k);
  }
  void* after(int p, int k) const { return static_cast<char*>(call_.states[k].after) + p * call_.B * row_bytes(k); }

  int64_t all_rows() const { return call_.T * call_.B; }
  int64_t units(int k) const { return stack_.parts[0].states[k].units; }
  bool is_padded(int k) const { return units(k) != stack_.sizes[k]; }
  int64_t row_bytes(int k) const { return stack_.sizes[k] * stack_.width; }
  int64_t padded_bytes(int k) const { return call_.B * units(k) * stack_.width; }

  const void* spread(int k, const void* rows) {
    const int64_t own = row_bytes(k), all = units(k) * stack_.width;
    copy_rows(call_.B, own, rows, own, own_[k].before.get(), all);
    for (int64_t r = 0; r < call_.B; ++r) std::memset(own_[k].before.get() + r * all + own, 0, all - own);
    return own_[k].before.get();
  }

  static void copy_rows(int64_t rows, int64_t width, const void* from, int64_t from_stride, void* to, int64_t to_stride) {
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(static_cast<char*>(to) + r * to_stride, static_cast<const char*>(from) + r * from_stride, width);
  }

  // Of one layer and direction: a state before and after, padded, and the steps' own where the output does not hold them.
  struct of_state {
    block<char> before, after, history;
  };

  const hg_stack& stack_;
  const hg_call& call_;
  const int64_t row_; /* bytes of all directions' output */
  call_memory memory_;
  const block<int64_t> offset_, rows_;
  const block<hg_state> states_;
  const block<void*> buffers_;
  const block<char> scratch_;
  std::pmr::vector<of_state> own_;
  block<char> between_[2];
};

template <class T>
bool unchanged(const void* const* places, const void* values, int64_t count) {
  for (int64_t k = 0; k < count; ++k)
    if (std::memcmp(places[k], static_cast<const char*>(values) + k * sizeof(T), sizeof(T))) return false;
  return true;
}

// Some stretches from one on, shared by threads; the first that finds another sum ends it.
struct look {
  const hg_held& held;
  const int64_t first, stretches;
  std::atomic<bool> same{true};

  void some(int32_t thread, int32_t threads) {
    const int64_t end = stretches * (thread + 1) / threads;
    for (int64_t k = stretches * thread / threads; k < end && same; ++k) {
      hg_stretch now = held.stretches[uint64_t(first + k) % uint64_t(held.n_stretches)];
      const uint64_t was = now.sum;
      held.checksum(&now);
      if (now.sum != was) same = false;
    }
  }
};

}  // namespace

extern "C" {

int32_t hg_unchanged(hg_held* held, int64_t stretches, int64_t threads) {
  constexpr int64_t WORTH_A_THREAD = 24;
  const auto places = [&](auto number) { return unchanged<decltype(number)>(held->places, held->values, held->count); };
  if (!(held->width == 2 ? places(int16_t{}) : held->width == 4 ? places(int32_t{}) : places(int64_t{}))) return 0;
  stretches = std::min(stretches, held->n_stretches);
  look all{*held, __atomic_fetch_add(&held->next, stretches, __ATOMIC_RELAXED), stretches};
  const auto work = [](void* argument, int32_t thread, int32_t of) { static_cast<look*>(argument)->some(thread, of); };
  hg_parallel(work, &all, static_cast<int32_t>(std::clamp<int64_t>(stretches / WORTH_A_THREAD, 1, std::max<int64_t>(threads, 1))));
  return all.same;
}

int32_t hg_run_stack(const hg_stack* stack, const hg_call* call) {
  if (!hg_unchanged(stack->held, call->stretches, call->threads)) return 0;
  one_call(*stack, *call).run();
  return 1;
}

}
