// One layer in one direction, all steps: products and printed passes, over a thread's share of rows or units.
// Compiled once for each instruction set.
#include <algorithm>
#include <cstring>
#include <map>
#include <type_traits>
#include <utility>
#include <vector>

#include "barrier.h"
#include "headgate.h"
#include "lanes.h"
#include "masks.h"
#include "product.h"
#include "product_pieces.h"
#include "product_tiles.h"
#include "room.h"
#include "share.h"
#include "states.h"
#include "step.h"
#include "strips.h"

namespace headgate {
namespace {

// `Products` is how matrix products are made: of the numbers as they are, or of bfloat16 in tiles. `Pieces` is how they
// are made where it pays to make them so.
template <class T, class Products, class Pieces>
class worker : walk<T> {
  using walk<T>::run_, walk<T>::mine_, walk<T>::meeting_, walk<T>::at_, walk<T>::step_, walk<T>::rows_;

 public:
  using operand = typename Products::operand;

  // `sums` is all threads' memory for sums over units.
  worker(const hg_run& run, const share& mine, barrier& meeting, T* sums)
      : walk<T>(run, mine, meeting), sums_(sums), means_(memory_.room<T>(run.n_means * run.B)) {
    int64_t largest = 0, masks = 0, places = 0;
    if constexpr (Pieces::there) steps_in_pieces_ = Pieces::pays(most_rows() * run.T, TILE_DEPTH);
    const int64_t beyond = steps_in_pieces_ ? Pieces::ROWS : 0;
    for (int p = 0; p < run.n_passes; ++p) {
      const hg_pass& pass = run.passes[p];
      const int64_t values = tile_values(pass);
      const int64_t width = blocks_of(pass) * tile_units(pass, most_rows());
      largest = std::max(largest, values * blocks_of(pass) + most_rows() * pass.n_products * HG_BLOCK + beyond * (width + HG_BLOCK));
      masks = std::max(masks, values * run.n_masks);
      places = std::max<int64_t>({places, pass.n_in, pass.n_out, pass.n_products});
    }
    in_ = memory_.room<const void*>(places), out_ = memory_.room<void*>(places), results_ = memory_.room<T*>(places);
    in_stride_ = memory_.room<int64_t>(places), out_stride_ = memory_.room<int64_t>(places);
    vectors_ = memory_.room<vectors_of<operand>>(places);
    tile_ = memory_.room<T>(largest), masks_ = memory_.room<T>(masks);
    if (run.input) {
      if constexpr (Pieces::there)
        in_pieces_ = run.T && Pieces::pays(run.offset[run.T - 1] + run.rows[run.T - 1], Products::depth(*run.input));
      const int64_t step = std::max<int64_t>(mine.rows.size() * ahead_stride(), 1);
      steps_ahead_ = std::clamp<int64_t>(ahead_bytes() / (step * sizeof(T)), 1, std::max<int64_t>(run.T, 1));
      ahead_ = memory_.room<T>((steps_ahead_ * mine.rows.size() + (in_pieces_ ? Pieces::ROWS : 0)) * ahead_stride());
      base_ = memory_.room<int64_t>(steps_ahead_), vectors_ahead_ = memory_.room<vectors_of<operand>>(steps_ahead_);
      unit_blocks_ = run.input_units / HG_BLOCK;
      if constexpr (Pieces::there)
        if (in_pieces_) {
          const range own = mine.units(run.input_units);
          cut(*run.input, own, own.size(), ahead_.get(), Pieces::AHEAD_DEPTH, input_pieces_);
        }
    }
  }

  void all_steps() {
    for (int64_t step = 0; step < run_.T; ++step) {
      this->begin(step);
      if (run_.input && step % steps_ahead_ == 0) look_ahead();
      if (run_.n_masks) step_key_ = step_key(run_.seed, at_);
      this->join();
      for (int p = 0; p < run_.n_passes; ++p) {
        pass(run_.passes[p]);
        const bool end = p + 1 == run_.n_passes;
        if constexpr (std::is_same_v<T, float>)
          if (end) this->round_states();
        const bool last = end && step + 1 == run_.T;  // all meet at the end of the call
        if (mine_.by_units && run_.passes[p].barrier && !last) meeting_.wait(mine_.threads);
      }
      this->end();
    }
  }

 private:
  // --- the input's part, some steps at a time, so that it is still in the cache when its step comes -----------------

  void look_ahead() {
    const hg_product& product = *run_.input;
    const range own = mine_.units(run_.input_units);
    const int64_t steps = std::min(steps_ahead_, run_.T - step_);
    low_ = run_.descending ? this->time(step_ + steps - 1) : this->time(step_);
    // Rows of several steps lie one after the other if all of them are this thread's.
    const bool together = mine_.rows.from == 0 && mine_.rows.to == run_.B;
    int64_t sum = 0;
    for (int64_t i = 0; i < steps; ++i) {
      base_[i] = sum;
      sum += this->own_rows(low_ + i).size();
    }
    unit_blocks_ = run_.input_units / HG_BLOCK;
    const T* vector = buffer(product.vector.buffer);
    if constexpr (Pieces::there)
      if (in_pieces_ && look_ahead_in_pieces(vector, steps, sum)) return;
    products_.make_room(INPUT_SLOT, sum, product);
    const auto rows_ahead = [&](int64_t i) { return together ? sum : this->own_rows(low_ + i).size(); };
    for (int64_t i = 0; i < (together ? 1 : steps); ++i) {
      const T* from = vector + (run_.offset[low_ + i] + this->own_rows(low_ + i).from) * product.vector.stride;
      vectors_ahead_[i] = products_.vectors(INPUT_SLOT, base_[i], {from, product.vector.stride}, rows_ahead(i), product);
    }
    const bool down = (step_ / steps_ahead_ + run_.turn) & 1;
    each_strip(product, own, own.size(), down, ahead_.get(), [&](auto& task, const operand* weight, int panels, T* const* result) {
      task.result_stride = ahead_stride();
      if constexpr (std::is_same_v<operand, uint16_t>) task.far = input_far_;  // multiply-adds take longer with it
      for (int64_t i = 0; i < (together ? 1 : steps); ++i) {
        if (rows_ahead(i) == 0) continue;
        task.vector = vectors_ahead_[i].first, task.vector_stride = vectors_ahead_[i].stride;
        for (int p = 0; p < panels; ++p) task.result[p] = result[p] + base_[i] * task.result_stride;
        products_.strip(product, task, weight, panels, rows_ahead(i));
      }
    });
  }

  // Weights of some units, panel by panel in the order in which they lie, for results that begin there.
  void cut(const hg_product& product, range units, int64_t width, T* result, int64_t depth, Pieces& pieces) const {
    std::vector<panel_of_weights> found;
    each_strip(product, units, width, false, result, [&](auto& task, const T* weight, int panels, T* const* to) {
      for (int p = 0; p < panels; ++p)
        found.push_back({weight + p * HG_BLOCK, panels * HG_BLOCK, to[p] - result, task.start + p * HG_BLOCK});
    });
    pieces.cut(std::move(found), order_of(product), depth);
  }

  // Whether all steps' could be made.
  bool look_ahead_in_pieces(const T* vector, int64_t steps, int64_t rows) {
    row_ahead_.clear();
    for (int64_t t = low_; t < low_ + steps; ++t)
      for (int64_t row = this->own_rows(t).from; row < this->own_rows(t).to; ++row)
        row_ahead_.push_back(vector + (run_.offset[t] + row) * run_.input->vector.stride + run_.input->start[0]);
    return input_pieces_.multiply([&](int64_t r) { return row_ahead_[r]; }, rows, ahead_.get(), ahead_stride());
  }

  // Whether a step's could be; weights are cut when they are first met.
  bool multiply_in_pieces(const hg_product& product, range rows, range units, int64_t width, T* result) {
    if (!steps_in_pieces_ || !Pieces::pays_in_step(rows.size())) return false;
    Pieces& pieces = step_pieces_[{&product, units.from}];
    if (!pieces.is_cut()) cut(product, units, width, result, Pieces::STEP_DEPTH, pieces);
    if (!pieces.depth()) return false;
    int64_t stride;
    const T* const first = find(product.vector, rows.from, 0, &stride) + product.start[0];
    return pieces.multiply([&](int64_t r) { return first + r * stride; }, rows.size(), result, result_stride(product, width));
  }

  // What is made ahead should still be in the second cache when its step comes. But every time, the input's weights drive
  // the recurrent ones out of it where it does not hold both; then seldom is better, most of all if it would hold one. And
  // then they have to be fetched each time.
  int64_t ahead_bytes() {
    const int64_t recurrent = run_.weight_bytes / (mine_.by_units ? mine_.threads : 1);
    const int64_t values = mine_.units(run_.input_units).size() * run_.input->blocks * Products::depth(*run_.input);
    input_far_ = !is_near(recurrent + values * int64_t{sizeof(operand)});
    if (!input_far_) return second_cache() / 4;
    return is_near(recurrent) ? second_cache() : second_cache() / 2;
  }
  // A block more than needed: rows a power of two apart would drive each other out of the cache.
  static int64_t result_stride(const hg_product& product, int64_t width) { return product.blocks * width + HG_BLOCK; }
  int64_t ahead_stride() const { return result_stride(*run_.input, mine_.units(run_.input_units).size()); }

  // --- one pass ---------------------------------------------------------------------------------------------------

  static int64_t blocks_of(const hg_pass& pass) {
    int64_t sum = 0;
    for (int k = 0; k < pass.n_products; ++k) sum += pass.products[k].blocks;
    return sum;
  }
  int64_t tile_units(const hg_pass& pass, int64_t rows) const {
    return units_of_tile<T>(pass.units, blocks_of(pass), steps_in_pieces_ ? most_rows() : rows);  // cut weights do not change
  }
  int64_t most_rows() const { return std::min(mine_.rows.size(), TILE_ROWS); }
  int64_t tile_values(const hg_pass& pass) const {
    int64_t most = 0;
    for (int64_t rows = 1; rows <= most_rows(); ++rows) most = std::max(most, rows * tile_units(pass, rows));
    return most;
  }

  T* sum_of(int32_t mean, int32_t thread) const { return sums_ + (int64_t{mean} * mine_.threads + thread) * run_.B; }

  // Sums over units begin at zero, and those that are complete become means.
  void add_up(const hg_pass& pass) {
    for (int k = 0; k < pass.n_out; ++k) {
      if (pass.out[k].where != HG_MEAN) continue;
      T* own = sum_of(pass.out[k].index, mine_.thread);
      std::fill(own + rows_.from, own + rows_.to, T(0));
    }
    const range threads = mine_.by_units ? range{0, mine_.threads} : range{mine_.thread, mine_.thread + 1};
    for (int k = 0; k < pass.n_in; ++k) {
      const hg_place& place = pass.in[k];
      if (place.where != HG_MEAN) continue;
      for (int64_t row = rows_.from; row < rows_.to; ++row) {
        T sum = 0;
        for (int64_t t = threads.from; t < threads.to; ++t) sum += sum_of(place.index, static_cast<int32_t>(t))[row];
        means_[place.index * run_.B + row] = sum / static_cast<T>(place.start);
      }
    }
  }

  void pass(const hg_pass& pass) {
    if (run_.n_means) add_up(pass);
    const range own = mine_.units(pass.units);
    unit_blocks_ = pass.units / HG_BLOCK;
    const int64_t groups = (rows_.size() + TILE_ROWS - 1) / TILE_ROWS;
    for (int64_t g = 0; g < groups; ++g) {
      const range rows = groups == 1 ? rows_ : range{rows_.from + rows_.size() * g / groups, rows_.from + rows_.size() * (g + 1) / groups};
      const int64_t width = tile_units(pass, rows.size());
      for (int k = 0; k < pass.n_products; ++k) vectors_[k] = vectors(pass.products[k], INPUT_SLOT + 1 + k, rows);
      const int64_t tiles = own.size() > width ? (own.size() + width - 1) / width : own.size() > 0;
      for (int64_t k = 0; k < tiles; ++k) {
        const int64_t unit = own.from + (is_downward() ? tiles - 1 - k : k) * width;
        tile(pass, rows, {unit, std::min(unit + width, own.to)}, width);
      }
    }
  }

  void tile(const hg_pass& pass, range rows, range units, int64_t width) {
    T* next = tile_.get();
    for (int k = 0; k < pass.n_products; ++k) {
      results_[k] = next;
      bool made = false;
      if constexpr (Pieces::there) made = multiply_in_pieces(pass.products[k], rows, units, width, next);
      if (!made) multiply(pass.products[k], vectors_[k], rows.size(), units, width, next);
      next += rows.size() * result_stride(pass.products[k], width);
    }
    T* mask = masks_.get();
    for (int k = 0; k < pass.n_in; ++k) {
      const hg_place& place = pass.in[k];
      if (place.where == HG_PRODUCT) {
        in_[k] = results_[place.index] + place.block * width;
        in_stride_[k] = result_stride(pass.products[place.index], width);
      } else if (place.where == HG_INPUT) {
        const range own = mine_.units(run_.input_units);
        in_stride_[k] = ahead_stride();
        in_[k] = ahead_.get() + (base_[at_ - low_] + rows.from - mine_.rows.from) * in_stride_[k] + place.block * own.size() +
                units.from - own.from;
      } else if (place.where == HG_MASK) {
        in_[k] = mask;
        in_stride_[k] = units.size();
        for (int64_t r = rows.from; r < rows.to; ++r, mask += units.size())
          draw(step_key_, run_.row ? run_.row[r] : r, run_.masks[place.index], units.from, units.size(), mask);
      } else if (place.where == HG_MEAN) {
        in_[k] = means_.get() + place.index * run_.B + rows.from;
        in_stride_[k] = 1;
      } else {
        in_[k] = find(place, rows.from, units.from, &in_stride_[k]);
      }
    }
    for (int k = 0; k < pass.n_out; ++k) {
      const hg_place& place = pass.out[k];
      if (place.where == HG_MEAN) {
        out_[k] = sum_of(place.index, mine_.thread) + rows.from;
        out_stride_[k] = 1;
      } else if (place.once && units.from) {
        // What a row has once is written by the thread whose units come first.
        out_[k] = &spare_;
        out_stride_[k] = 0;
      } else {
        out_[k] = find(place, rows.from, units.from, &out_stride_[k]);
      }
    }
    const int64_t valid = std::clamp<int64_t>(pass.valid - units.from, 0, units.size());
    const hg_tile at{rows.size(), units.size(), valid, in_.get(), in_stride_.get(), out_.get(), out_stride_.get(), run_.keep};
    pass.point(&at);
    if (run_.back && units.to > pass.valid) clear_padding(pass, rows, units, out_.get(), out_stride_.get());
  }

  // What stands beyond a row's end is multiplied with zeros in the products after the loop, so it must be finite.
  static void clear_padding(const hg_pass& pass, range rows, range units, void* const* out, const int64_t* stride) {
    for (int k = 0; k < pass.n_out; ++k) {
      if (pass.out[k].where != HG_PACKED || pass.out[k].once) continue;
      for (int64_t r = 0; r < rows.size(); ++r) {
        T* row = static_cast<T*>(out[k]) + r * stride[k] - units.from;
        std::fill(row + pass.valid, row + units.to, T(0));
      }
    }
  }

  T* buffer(int32_t k) const { return static_cast<T*>(run_.buffers[k]); }

  T* find(const hg_place& place, int64_t row, int64_t unit, int64_t* stride) const {
    T* base = buffer(place.buffer) + place.start;
    *stride = place.stride;
    switch (place.where) {
      case HG_PACKED:
        return base + this->packed(row) * place.stride + (place.once ? 0 : unit);
      case HG_SCRATCH:
        return base + row * place.stride + (place.once ? 0 : unit);
      case HG_ROWLESS:
        *stride = 0;
        return base + mine_.thread * place.stride + unit;
      case HG_OLD_STATE: {
        const hg_state& state = run_.states[place.index];
        if (run_.compose) {
          *stride = state.units;
          return this->composed(state, row) + unit;
        }
        *stride = this->carried_stride(state);
        return const_cast<T*>(this->carried(state, row)) + unit;
      }
      case HG_NEW_STATE:
        *stride = run_.states[place.index].stride;
        return this->new_state(run_.states[place.index], row) + unit;
      case HG_LATER:
        *stride = run_.states[place.index].units;
        return this->gradient(run_.states[place.index], row, step_) + unit;
      case HG_EARLIER:
        *stride = run_.states[place.index].units;
        return this->gradient(run_.states[place.index], row, step_ + 1) + unit;
      default:
        return nullptr;
    }
  }

  vectors_of<operand> vectors(const hg_product& product, int slot, range rows) {
    vectors_of<T> found;
    found.first = find(product.vector, rows.from, 0, &found.stride);
    products_.make_room(slot, rows.size(), product);
    if constexpr (std::is_same_v<operand, uint16_t>)
      if (const uint16_t* rounded = this->already_rounded(product, rows.from, &found.stride))
        return products_.copies(slot, {rounded, found.stride}, rows.size(), product);
    return products_.vectors(slot, 0, found, rows.size(), product);
  }

  void multiply(const hg_product& product, vectors_of<operand> vectors, int64_t rows, range units, int64_t width, T* result) {
    each_strip(product, units, width, is_downward(), result, [&](auto& task, const operand* weight, int panels, T* const*) {
      task.result_stride = result_stride(product, width);
      task.vector = vectors.first, task.vector_stride = vectors.stride;
      products_.strip(product, task, weight, panels, rows);
    });
  }

  template <class Work>
  void each_strip(const hg_product& product, range units, int64_t width, bool down, T* result, const Work& work) const {
    const int64_t own = mine_.units(unit_blocks_ * HG_BLOCK).size();
    strips<T, Products>{run_, units, width, unit_blocks_, own, down}.each(product, result, work);
  }
  bool is_downward() const { return (step_ + run_.turn) & 1; }

  T* const sums_;
  T spare_;
  call_memory memory_;
  const block<T> means_;
  block<T> tile_, masks_, ahead_;
  block<int64_t> base_, in_stride_, out_stride_;
  block<const void*> in_;
  block<void*> out_;
  block<T*> results_;
  block<vectors_of<operand>> vectors_, vectors_ahead_;
  std::vector<const T*> row_ahead_;
  Products products_;
  Pieces input_pieces_;
  std::map<std::pair<const hg_product*, int64_t>, Pieces> step_pieces_;
  bool in_pieces_ = false, steps_in_pieces_ = false, input_far_ = false;
  int64_t steps_ahead_ = 1, low_ = 0, unit_blocks_ = 0;
  uint64_t step_key_ = 0;
};

template <class T, class Products = plain_products<T>, class Pieces = no_pieces>
void run_all(const hg_run& run) {
  const int32_t split = best_split(run, Pieces::enough_rows(run, Products::ENOUGH_ROWS));
  const int32_t threads = threads_worth(run, split);
  struct shared {
    const hg_run& run;
    int32_t split;
    barrier meeting;
    std::vector<T> sums;
  } all{run, split, {}, std::vector<T>(run.n_means * threads * run.B)};
  const auto work = [](void* argument, int32_t thread, int32_t threads) {
    shared& all = *static_cast<shared*>(argument);
    share mine{all.split == BY_UNITS && threads > 1, thread, threads, {0, all.run.B}};
    if (!mine.by_units && threads > 1) mine.rows = rows_of(all.run, thread, threads);
    worker<T, Products, Pieces>(all.run, mine, all.meeting, all.sums.data()).all_steps();
  };
  if (threads == 1) return work(&all, 0, 1);
  hg_parallel(work, &all, threads);
}

}  // namespace
}  // namespace headgate

#if defined(HG_TILES)
extern "C" HG_PUBLIC void HG_JOIN(hg_run, HG_ISA, bf16)(const hg_run* run) {
  headgate::run_all<float, headgate::tile_products<headgate::HG_TILES>>(*run);
}
extern "C" HG_PUBLIC void HG_JOIN(hg_run, HG_ISA, f32)(const hg_run* run) {
  headgate::run_all<float, headgate::plain_products<float>, headgate::piece_products<headgate::HG_TILES>>(*run);
}
#else
extern "C" HG_PUBLIC void HG_JOIN(hg_run, HG_ISA, f32)(const hg_run* run) { headgate::run_all<float>(*run); }
extern "C" HG_PUBLIC void HG_JOIN(hg_run, HG_ISA, f64)(const hg_run* run) { headgate::run_all<double>(*run); }
#endif
