// The way back as the watch takes it, see adjoint.h. Compiled once for each instruction set.
#include <algorithm>
#include <memory>
#include <new>
#include <vector>

#include "adjoint.h"
#include "barrier.h"
#include "headgate.h"
#include "lanes.h"
#include "masks.h"
#include "product.h"
#include "scales.h"
#include "share.h"
#include "states.h"
#include "step.h"
#include "strips.h"

namespace headgate {
namespace {

template <class T>
class adjoint_worker : scaled_walk<T> {
  using scaled_walk<T>::run_, scaled_walk<T>::mine_, scaled_walk<T>::meeting_, scaled_walk<T>::at_;
  using scaled_walk<T>::step_, scaled_walk<T>::rows_, scaled_walk<T>::call_, scaled_walk<T>::R_;

 public:
  // `sums` is all threads' memory for sums over units.
  adjoint_worker(const hg_adjoint& call, const share& mine, barrier& meeting, T* largest, T* sums)
      : scaled_walk<T>(call, mine, meeting, largest), sums_(sums), means_(run_.n_means * run_.B * R_),
        group_(std::max<int64_t>(1, TILE_ROWS / R_)) {
    int64_t results = 0, masks = 0;
    size_t places = 0;
    for (int p = 0; p < run_.n_passes; ++p) {
      const hg_pass& pass = run_.passes[p];
      int64_t widest = 0;
      for (int64_t rows = 1; rows <= std::min(mine.rows.size(), group_); ++rows)
        widest = std::max(widest, rows * units_of_tile<T>(pass.units, panels_of(pass), rows * R_));
      results = std::max(results, widest * R_ * memory_of(pass));
      masks = std::max(masks, widest * run_.n_masks);
      places = std::max<size_t>({places, size_t(pass.n_in), size_t(pass.n_out), size_t(pass.n_products)});
    }
    in_.resize(places), out_.resize(places), sum_.resize(places), handed_.resize(places), vectors_.resize(places);
    in_stride_.resize(places), out_stride_.resize(places), in_step_.resize(places), out_step_.resize(places);
    memory_.reset(allocate(results));
    masks_.reset(allocate(masks));
  }

  void all_steps() {
    for (int64_t step = call_.first; step < call_.last; ++step) {
      this->enter(step);
      if (run_.n_masks) step_key_ = step_key(run_.seed, at_);
      block_ = call_.block;
      for (int p = 0; p < run_.n_passes; ++p) {
        pass(run_.passes[p]);
        block_ += run_.passes[p].n_products;
        if (mine_.by_units && run_.passes[p].barrier) meeting_.wait(mine_.threads);
      }
      this->leave();
    }
    this->finish();
  }

 private:
  struct release {
    void operator()(T* memory) const { ::operator delete(memory, std::align_val_t(64)); }
  };
  static T* allocate(int64_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T) + 64, std::align_val_t(64)));
  }

  int64_t blocks_of(const hg_product& product) const { return call_.apart ? product.segments : 1; }
  int64_t panels_of(const hg_pass& pass) const {
    int64_t sum = 0;
    for (int k = 0; k < pass.n_products; ++k) sum += blocks_of(pass.products[k]);
    return sum;
  }
  // Results that a tile's row and unit has room for: every block's, their sum, and what is handed on of it.
  int64_t memory_of(const hg_pass& pass) const {
    const int64_t blocks = panels_of(pass);
    return blocks + (call_.apart ? 2 * pass.n_products : 0);
  }

  T* sum_of(int32_t mean, int64_t thread) const {
    return sums_ + (int64_t{mean} * mine_.threads + thread) * run_.B * R_;
  }

  // Sums over units begin at zero, and those that are complete become means.
  void add_up(const hg_pass& pass) {
    for (int k = 0; k < pass.n_out; ++k) {
      if (pass.out[k].where != HG_MEAN) continue;
      T* own = sum_of(pass.out[k].index, mine_.thread);
      std::fill(own + rows_.from * R_, own + rows_.to * R_, T(0));
    }
    const range threads = mine_.by_units ? range{0, mine_.threads} : range{mine_.thread, mine_.thread + 1};
    for (int k = 0; k < pass.n_in; ++k) {
      const hg_place& place = pass.in[k];
      if (place.where != HG_MEAN) continue;
      for (int64_t own = rows_.from * R_; own < rows_.to * R_; ++own) {
        T sum = 0;
        for (int64_t t = threads.from; t < threads.to; ++t) sum += sum_of(place.index, t)[own];
        means_[place.index * run_.B * R_ + own] = sum / static_cast<T>(place.start);
      }
    }
  }

  void pass(const hg_pass& pass) {
    if (run_.n_means) add_up(pass);
    const range own = mine_.units(pass.units);
    const int64_t groups = (rows_.size() + group_ - 1) / group_;
    for (int64_t g = 0; g < groups; ++g) {
      const range rows{rows_.from + rows_.size() * g / groups, rows_.from + rows_.size() * (g + 1) / groups};
      const int64_t width = units_of_tile<T>(pass.units, panels_of(pass), rows.size() * R_);
      for (int k = 0; k < pass.n_products; ++k)
        vectors_[k].first = find(pass.products[k].vector, rows.from, 0, &vectors_[k].stride, nullptr);
      const int64_t tiles = (own.size() + width - 1) / width;
      for (int64_t k = 0; k < tiles; ++k) {
        const int64_t unit = own.from + (step_ & 1 ? tiles - 1 - k : k) * width;
        tile(pass, rows, {unit, std::min(unit + width, own.to)}, width);
      }
    }
  }

  void tile(const hg_pass& pass, range rows, range units, int64_t width) {
    T* next = memory_.get();
    for (int k = 0; k < pass.n_products; ++k) next = multiply(pass, k, rows, units, width, next);
    T* mask = masks_.get();
    for (int k = 0; k < pass.n_in; ++k) {
      const hg_place& place = pass.in[k];
      if (place.where == HG_PRODUCT || place.where == HG_HANDED) {
        in_[k] = place.where == HG_PRODUCT ? sum_[place.index] : handed_[place.index];
        in_stride_[k] = width, in_step_[k] = R_ * width;
      } else if (place.where == HG_MASK) {
        in_[k] = mask;
        for (int64_t r = rows.from; r < rows.to; ++r, mask += units.size())
          draw(step_key_, run_.row ? run_.row[r] : r, run_.masks[place.index], units.from, units.size(), mask);
        shared(units.size(), &in_stride_[k], &in_step_[k]);
      } else if (place.where == HG_MEAN) {
        in_[k] = means_.data() + (place.index * run_.B + rows.from) * R_;
        in_stride_[k] = 1, in_step_[k] = R_;
      } else {
        in_[k] = find(place, rows.from, units.from, &in_stride_[k], &in_step_[k]);
      }
    }
    for (int k = 0; k < pass.n_out; ++k) {
      const hg_place& place = pass.out[k];
      if (place.where == HG_MEAN) {
        out_[k] = sum_of(place.index, mine_.thread) + rows.from * R_;
        out_stride_[k] = 1, out_step_[k] = R_;
      } else if (place.once && units.from) {
        // What a row has once is written by the thread whose units come first.
        out_[k] = &spare_;
        out_stride_[k] = out_step_[k] = 0;
      } else {
        out_[k] = find(place, rows.from, units.from, &out_stride_[k], &out_step_[k]);
      }
    }
    run_pass(pass, rows, units);
  }

  // All rows at once where there is one gradient; else all gradients of one row, which read the same values, at once.
  void run_pass(const hg_pass& pass, range rows, range units) {
    const int64_t valid = std::clamp<int64_t>(pass.valid - units.from, 0, units.size());
    const int64_t times = R_ == 1 ? 1 : rows.size();
    const hg_tile at{R_ == 1 ? rows.size() : R_, units.size(), valid, in_.data(), in_stride_.data(), out_.data(),
                     out_stride_.data(), call_.told};
    for (int64_t k = 0; k < times; ++k) {
      pass.point(&at);
      for (int i = 0; i < pass.n_in; ++i) in_[i] = static_cast<const T*>(in_[i]) + in_step_[i];
      for (int i = 0; i < pass.n_out; ++i) out_[i] = static_cast<T*>(out_[i]) + out_step_[i];
    }
  }

  // How rows lie whose values all gradients share.
  void shared(int64_t distance, int64_t* stride, int64_t* step) const {
    *stride = R_ == 1 ? distance : 0;
    if (step) *step = distance;
  }

  // Where row `row` of the first gradient lies, how far the next of the rows that a pass takes at once, and how far the
  // next row of the batch.
  T* find(const hg_place& place, int64_t row, int64_t unit, int64_t* stride, int64_t* step) const {
    T* base = static_cast<T*>(run_.buffers[place.buffer]) + place.start;
    const auto own = [&](int64_t distance) {
      *stride = distance;
      if (step) *step = R_ * distance;
    };
    const hg_state& state = run_.states[place.index < run_.n_states ? place.index : 0];
    if (place.once) unit = 0;
    switch (place.where) {
      case HG_EACH:
        own(place.stride);
        return base + this->relative(row) * R_ * place.stride + unit;
      case HG_SCRATCH:
        own(place.stride);
        return base + row * R_ * place.stride + unit;
      case HG_LATER:
        own(state.units);
        return this->gradient(state, row * R_, step_) + unit;
      case HG_EARLIER:
        own(state.units);
        return this->gradient(state, row * R_, step_ + 1) + unit;
      case HG_PACKED:
        shared(place.stride, stride, step);
        return base + this->packed(row) * place.stride + unit;
      case HG_OLD_STATE:
        shared(run_.compose ? state.units : this->carried_stride(state), stride, step);
        return (run_.compose ? this->composed(state, row) : const_cast<T*>(this->carried(state, row))) + unit;
      case HG_NEW_STATE:
        shared(state.stride, stride, step);
        return this->new_state(state, row) + unit;
      default:  // HG_ROWLESS
        shared(0, stride, step);
        return base + unit;
    }
  }

  // Product k of a pass; returns where its memory ends.
  T* multiply(const hg_pass& pass, int k, range rows, range units, int64_t width, T* memory) {
    using products = plain_products<T>;
    const hg_product& product = pass.products[k];
    const int64_t count = rows.size() * R_, size = count * width, blocks = blocks_of(product);
    const auto& vectors = vectors_[k];
    const int64_t unit_blocks = pass.units / HG_BLOCK;
    products multiplied;
    strips<T, products>{run_, units, width, unit_blocks, mine_.units(pass.units).size(), (step_ & 1) != 0}.each(
        product, memory, [&](auto& task, const T* weight, int panels, T* const* at) {
          task.result_stride = width;
          task.vector = vectors.first, task.vector_stride = vectors.stride;
          if (!call_.apart) return multiplied.strip(product, task, weight, panels, count);
          hg_product one = product;
          one.segments = 1;
          const T* const next = task.next;
          for (int s = 0; s < product.segments; ++s) {
            const T* const after = weight + product.length[s] * panels * HG_BLOCK;
            for (int p = 0; p < panels; ++p) task.result[p] = at[p] + s * size;
            products::announce(task, s + 1 < product.segments ? after : next);
            multiplied.strip(one, task, weight, panels, count);
            weight = after;
            ++one.start, ++one.length;
          }
        });
    sum_[k] = handed_[k] = memory;
    if (!call_.apart) return memory + size;
    sum_[k] = memory + blocks * size;
    handed_[k] = call_.cut ? sum_[k] + size : sum_[k];
    for (int64_t r = 0; r < count; ++r) {
      T* parts = nullptr;
      if (call_.parts && r % R_ == 0)
        parts = static_cast<T*>(call_.parts) + this->relative(rows.from + r / R_) * call_.parts_stride + units.from;
      add_blocks(blocks, size, units.size(), memory + r * width, sum_[k] + r * width, 0, parts, block_[k]);
      if (call_.cut)
        add_blocks(blocks, size, units.size(), memory + r * width, handed_[k] + r * width, call_.cut[r % R_], nullptr,
                   block_[k]);
    }
    return memory + (blocks + 2) * size;
  }

  // One row's sum of a product's blocks, of which `first` is the number of the first, without those that are cut; each is
  // also told where there are `parts`.
  void add_blocks(int64_t blocks, int64_t distance, int64_t units, const T* from, T* to, uint64_t cut, T* parts,
                  int32_t first) const {
    using V = lanes_of<T>;
    const int64_t* const start = call_.parts_start + first;
    for (int64_t u = 0; u < units; u += lanes<V>) {
      V sum{};
      for (int64_t b = 0; b < blocks; ++b) {
        const V part = load<V>(from + b * distance + u);
        if (parts) store<V>(parts + start[b] + u, part);
        if (!(cut >> (first + b) & 1)) sum += part;
      }
      store<V>(to + u, sum);
    }
  }

  T* const sums_;
  std::vector<T> means_;
  const int64_t group_;  // rows of the batch that are taken at once
  T spare_;
  std::unique_ptr<T, release> memory_, masks_;
  std::vector<int64_t> in_stride_, out_stride_, in_step_, out_step_;
  std::vector<const void*> in_;
  std::vector<void*> out_;
  std::vector<T*> sum_, handed_;
  std::vector<vectors_of<T>> vectors_;
  const int32_t* block_ = nullptr;
  uint64_t step_key_ = 0;
};

template <class T>
void follow_all(const hg_adjoint& call) {
  const hg_run& run = *call.run;
  const int32_t split = best_split(run, plain_products<T>::ENOUGH_ROWS), threads = threads_worth(run, split);
  const int64_t values = threads * run.B * call.gradients;
  struct shared {
    const hg_adjoint& call;
    int32_t split;
    barrier meeting;
    std::vector<T> largest, sums;
  } all{call, split, {}, std::vector<T>(values), std::vector<T>(run.n_means * values)};
  const auto work = [](void* argument, int32_t thread, int32_t threads) {
    shared& all = *static_cast<shared*>(argument);
    const hg_run& run = *all.call.run;
    share mine{all.split == BY_UNITS && threads > 1, thread, threads, {0, run.B}};
    if (!mine.by_units) mine.rows = rows_of(run, thread, threads);
    adjoint_worker<T>(all.call, mine, all.meeting, all.largest.data(), all.sums.data()).all_steps();
  };
  if (threads == 1) return work(&all, 0, 1);
  hg_parallel(work, &all, threads);
}

}  // namespace
}  // namespace headgate

#define HG_FOLLOW(type, T) \
  extern "C" HG_PUBLIC void HG_JOIN(hg_adjoint, HG_ISA, type)(const hg_adjoint* call) { headgate::follow_all<T>(*call); }
HG_FOLLOW(f32, float)
HG_FOLLOW(f64, double)
