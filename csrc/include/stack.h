/* Single steps of a stack of layers, whose weights were packed before: the interface, plain C as in headgate.h. */
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

/* A stack of layers in one direction, packed for single steps; nothing in it is written to. */
typedef struct {
  void (*run)(const hg_run*); /* of its number type */
  const hg_run* layers;       /* T = 1, every state kept; without rows, threads, and what comes with a step */
  const int64_t* sizes;       /* units of each state, without padding */
  const hg_sample* sample;    /* of all weights */
  int32_t n_layers, n_states, n_buffers;
  int32_t x, kept; /* buffers: the input, and what is kept within a step or -1 */
  int32_t width;   /* bytes of a number */
  int64_t scratch; /* bytes of what is kept within a step, a row */
} hg_stack;

typedef struct {
  int64_t B, threads;
  const void* x; /* [B, I] */
  void* output;  /* [B, O] */
  struct {
    const void* before; /* [layers, B, units], without padding */
    void* after;
  } states[];
} hg_step;

/* 1; or 0, with nothing done, if the weights are no longer those that were packed. */
HG_PUBLIC int32_t hg_step_layers(const hg_stack*, const hg_step*);

#ifdef __cplusplus
}
#endif
#endif
