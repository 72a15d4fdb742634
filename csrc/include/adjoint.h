/* The way back as the watch takes it: any number of gradients side by side over one run, each with a scale of its own,
 * what comes to every state told at every step, and the recurrent products told block by block.
 *
 * A gradient's rows lie beside those of the others: row r of gradient g, of R, is row r R + g of everything that is each
 * gradient's own. All of them read one forward run's values.
 */
#ifndef HEADGATE_ADJOINT_H
#define HEADGATE_ADJOINT_H

#include "headgate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Beside those of headgate.h. HG_SCRATCH, HG_LATER, HG_EARLIER, HG_PRODUCT and HG_MEAN are each gradient's own here. */
enum {
  HG_EACH = 11, /* base + ((offset[t] - the offset of this call's first time) R + row R + g) * stride */
  HG_HANDED     /* as HG_PRODUCT, without the blocks that are cut from the gradient */
};

#define HG_NOTHING INT32_MIN /* for a scale: nothing has come yet */

/* The loss's own derivatives by one state: value (set, t, row of the batch, unit), strides in values. */
typedef struct {
  const void* values; /* or null: none */
  int64_t set, step, row;
  int64_t units; /* without padding */
} hg_local;

typedef struct {
  /* With `back` and `keep`; each state's d_final, d_initial and d_state hold B * R rows. What d_final holds is in units of
   * `scale`; what comes to d_initial is not scaled. */
  const hg_run* run;
  int64_t first, last; /* steps of this call, in the order of the way back; what they hand on lies in d_state and `scale` */
  int32_t gradients;   /* R */
  int32_t every;       /* steps after which scales are set anew */
  int32_t room;        /* by how many powers of two a gradient may leave its scale before it is */
  int32_t lowest;      /* no loss is added in a smaller scale */
  const int32_t* set;      /* [R], which of the local losses a gradient follows */
  const int64_t* source;   /* [B, R], the time whose loss alone it follows, or -1 for all */
  const int64_t* number;   /* [B], each row's number in the batch of the local losses; or null: as they come */
  const hg_local* local;   /* [n_states] */
  const int32_t* scale;    /* [B, R], as the steps before left it */
  int32_t* scale_after;    /* [B, R], as these leave it; not the same memory */
  int32_t* scales;         /* [last - first, B, R], at every step; rows that do not take it are left alone */
  const int32_t* block;    /* for every product of the passes, in their order: the number of its first block */
  int32_t apart;           /* multiply block by block, for `cut` or `parts` */
  int32_t told;            /* store what comes along the highway, too */
  const uint64_t* cut;     /* [R], bit b: block b's part is not handed on; or null: everything is */
  void* parts;             /* by block, what the first gradient's product brings, rows as of HG_EACH with R = 1; or null */
  int64_t parts_stride;
  const int64_t* parts_start; /* of every block */
} hg_adjoint;

#define HG_DECLARE_ADJOINT(isa)                         \
  HG_PUBLIC void hg_adjoint_##isa##_f32(const hg_adjoint*); \
  HG_PUBLIC void hg_adjoint_##isa##_f64(const hg_adjoint*);
HG_DECLARE_ADJOINT(portable)
HG_DECLARE_ADJOINT(avx2)
HG_DECLARE_ADJOINT(avx512)

#ifdef __cplusplus
}
#endif
#endif
