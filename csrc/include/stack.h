/* A stack of layers whose weights were packed before, forward only: the interface, plain C as in headgate.h. */
#ifndef HEADGATE_STACK_H
#define HEADGATE_STACK_H

#include "headgate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers of `width` bytes (2, 4 or 8) at some places, and what they were. */
typedef struct {
  const void* const* places;
  const void* values;
  int64_t count, width;
} hg_sample;

/* Whether they still are. */
HG_PUBLIC int32_t hg_unchanged(const hg_sample*);

/* Nothing in it is written to. A layer is what each of its directions is, one after the other. */
typedef struct {
  void (*run)(const hg_run*); /* of its number type */
  const hg_run* parts;        /* [layers * directions]; without steps, rows, threads, and what comes with a call */
  const int64_t* sizes;       /* units of each state, without padding */
  const int64_t* input_bytes; /* of each part: weights that are read once in any number of steps */
  const hg_sample* sample;    /* of all weights */
  int32_t n_layers, n_directions, n_states, n_buffers;
  int32_t x, kept; /* buffers: the input, and what is kept within a step or -1 */
  int32_t width;   /* bytes of a number */
  int64_t scratch; /* bytes of what is kept within a step, a row */
} hg_stack;

typedef struct {
  int64_t T, B, threads, turn; /* see hg_run */
  const void* x; /* [T, B, I] */
  void* output;  /* [T, B, directions * O] */
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
