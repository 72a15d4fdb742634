/* Work written down once and done many times: the interface, plain C as in headgate.h. */
#ifndef HEADGATE_TAPE_H
#define HEADGATE_TAPE_H

#include "headgate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where in a tape's block an address belongs: that of a base that comes with the call, and so many bytes on; null where
 * the base is null. Base 0 is the call's own copy of the block. */
typedef struct {
  int64_t at, offset;
  int32_t base, padding;
} hg_address;

/* A function of this library, and where in the block the structure begins that it is given. */
typedef struct {
  void (*work)(const void*);
  int64_t at;
} hg_task;

/* Structures of this library in one block, and what is done with them, in order. Nothing in it is written to. */
typedef struct {
  const void* block;
  int64_t bytes;
  const hg_address* addresses;
  const hg_task* tasks;
  int32_t n_addresses, n_tasks;
} hg_tape;

HG_PUBLIC void hg_play(const hg_tape*, void* const* bases);

/* Rows copied from one width to another: each begins with the sum of `parts` rows that lie `apart`, `columns` wide, and
 * goes on with zeros to `width`. */
typedef struct {
  const void* from;
  void* to;
  int64_t rows, columns, width;
  int64_t from_stride, to_stride;
  int64_t parts, apart;
} hg_copying;

HG_PUBLIC void hg_copy_f32(const hg_copying*);
HG_PUBLIC void hg_copy_f64(const hg_copying*);

#ifdef __cplusplus
}
#endif
#endif
