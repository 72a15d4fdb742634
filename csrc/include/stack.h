/* A stack of layers whose weights were packed before, forward only: the interface, plain C as in headgate.h. */
#ifndef HEADGATE_STACK_H
#define HEADGATE_STACK_H

#include "headgate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Some memory, and a number for what it holds: `hg_checksum` of an instruction set. */
typedef struct {
  const void* start;
  int64_t bytes;
  uint64_t sum;
} hg_stretch;

/* What memory held: numbers of `width` bytes (2, 4 or 8) at some places, for a short look, and all of it in stretches. */
typedef struct {
  const void* const* places;
  const void* values;
  int64_t count, width;
  void (*checksum)(hg_stretch*);
  const hg_stretch* stretches;
  int64_t n_stretches, next; /* `next` goes on with every look, by any thread */
} hg_held;

/* Whether it still does, as far as the places tell, and so many stretches from the next one on, on up to so many threads. */
HG_PUBLIC int32_t hg_unchanged(hg_held*, int64_t stretches, int64_t threads);

/* Nothing in it is written to, but for `held->next`. A layer is what each of its directions is, one after the other. */
typedef struct {
  void (*run)(const hg_run*); /* of its number type */
  const hg_run* parts;        /* [layers * directions]; without steps, rows, threads, and what comes with a call */
  const int64_t* sizes;       /* units of each state, without padding */
  const int64_t* input_bytes; /* of each part: weights that are read once in any number of steps */
  hg_held* held;              /* of all weights */
  int32_t n_layers, n_directions, n_states, n_buffers;
  int32_t x, kept; /* buffers: the input, and what is kept within a step or -1 */
  int32_t width;   /* bytes of a number */
  int32_t rounds;  /* whether the output is bfloat16; of tiles */
  int64_t scratch; /* bytes of what is kept within a step, a row */
} hg_stack;

typedef struct {
  int64_t T, B, threads, turn; /* see hg_run */
  int64_t stretches; /* of the weights: how many to look at, see hg_unchanged */
  const void* x; /* [T, B, I] */
  void* output;  /* [T, B, directions * O]; see `rounds` */
  struct {
    const void* before; /* [layers * directions, B, units], without padding */
    void* after;
  } states[];
} hg_call;

/* 1; or 0, with nothing done, if the weights are no longer those that were packed. */
HG_PUBLIC int32_t hg_run_stack(const hg_stack*, const hg_call*);

#ifdef __cplusplus
}
#endif
#endif
