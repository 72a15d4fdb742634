/* The compiled engine's interface: plain C over pointers. It knows neither Python nor torch.
 *
 * Dimensions: T steps, B rows, N the valid steps of all rows together; a state's units are padded to a multiple of
 * HG_BLOCK, so that vectors never straddle a row's end. Rows are sorted from the longest to the shortest, and step t
 * holds its rows[t] valid rows from row offset[t] on, as a packed sequence does.
 */
#ifndef HEADGATE_H
#define HEADGATE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HG_INTERFACE 12
#define HG_BLOCK 16
#define HG_PUBLIC __attribute__((visibility("default")))
/* The name of a function for an instruction set and a type. */
#define HG_JOIN_(name, isa, type) name##_##isa##_##type
#define HG_JOIN(name, isa, type) HG_JOIN_(name, isa, type)

/* What one call of a printed pass works on: `rows` times `units` (a multiple of HG_BLOCK) values of each input and
 * output, value u of row r at in[k][r * in_stride[k] + u], or at in[k][r * in_stride[k]] where a row has it once. Sums
 * over rows are added to, and have no stride; so are sums over units, of which the first `valid` count. `keep` says whether
 * values that only the way back needs are to be stored. */
typedef struct {
  int64_t rows, units, valid;
  const void* const* in;
  const int64_t* in_stride;
  void* const* out;
  const int64_t* out_stride;
  int32_t keep;
  int64_t from; /* the first unit to compute */
} hg_tile;

typedef void (*hg_point)(const hg_tile*);

/* Where a pass finds or puts a value. */
enum {
  HG_PRODUCT,    /* the result of product `index` of this pass, block `block` */
  HG_PACKED,     /* base + (offset[t] + row) * stride: kept for every step */
  HG_SCRATCH,    /* base + row * stride: kept within a step */
  HG_ROWLESS,    /* base: the same for every row; as an output, summed over rows (one copy a thread, `stride` apart) */
  HG_OLD_STATE,  /* state `index` before the step */
  HG_NEW_STATE,  /* state `index` after it */
  HG_LATER,      /* gradient of state `index` that came from the step run before this one (later in the sequence) */
  HG_EARLIER,    /* gradient to hand on */
  HG_INPUT,      /* the input's part of gate `block`, made by the run's input product some steps ahead */
  HG_MEAN,       /* as an output, what mean `index` adds up over units; as an input that sum, divided by `start` */
  HG_MASK        /* the run's mask `index`, drawn for this step */
};

/* `buffer` counts hg_run's buffers, so that a place is the same for every call. */
typedef struct {
  int32_t where, index, block, buffer;
  int64_t start; /* in values, from the buffer's beginning: the `base` above */
  int64_t stride;
  int32_t once; /* kept, but one value a row and not one a unit */
  int32_t padding;
} hg_place;

/* A mask is 1 with probability below / 2^32, drawn for every row, unit, step and state. */
typedef struct {
  uint32_t state;
  uint32_t below;
} hg_mask;

/* One matrix product of a step. Its vector is read from `vector`, in segments (start, length); its result has `blocks`
 * blocks of the pass's units. Weights lie in strips, see hg_pack. */
typedef struct {
  hg_place vector;
  int32_t segments, blocks;
  const int64_t* start;
  const int64_t* length;
  int32_t packed, bias; /* buffers: weights, and [units / 16][blocks][16] or -1 */
} hg_product;

typedef struct {
  hg_point point;
  int64_t units; /* padded */
  int64_t valid; /* without padding */
  int32_t n_products, n_in, n_out;
  int32_t barrier; /* whether other units' results of this pass are read later in the step or in the next */
  const hg_product* products;
  const hg_place* in;
  const hg_place* out;
} hg_pass;

typedef struct {
  int64_t units;       /* padded */
  const void* initial; /* [B, units] */
  void* old_state;     /* [N, units], or [B, units] if not kept; used where `compose` */
  void* new_state;     /* [N, stride], or [2, B, stride] if not kept */
  int64_t stride;
  int32_t kept;        /* whether new_state is kept for every step */
  int32_t padding;
  void* final;         /* [B, units]; rows without any step are left alone */
  /* the way back: */
  const void* d_final; /* [B, units] */
  void* d_initial;     /* [B, units], added to */
  void* d_state;       /* [2, B, units] */
  /* forward, of tiles: */
  uint16_t* rounded;   /* [N, rounded_stride], the first `rounded_units` of new_state in bfloat16; or null */
  int64_t rounded_stride, rounded_units;
} hg_state;

typedef struct {
  int64_t T, B;
  const int64_t* offset; /* [T] */
  const int64_t* rows;   /* [T] */
  const uint8_t* fresh;  /* [N], whether a row starts afresh before that step, or null */
  int32_t descending;    /* steps are run from T - 1 to 0 */
  int32_t back;          /* the way back, not forward */
  int32_t keep;          /* store what the way back needs */
  int32_t compose;       /* old states are put together row by row (resets, or rows that start later) */
  int32_t n_states, n_passes;
  const hg_state* states;
  const hg_pass* passes;
  void* const* buffers;
  const hg_product* input; /* the product that makes the input parts, its vector packed; or null */
  int64_t input_units;     /* of its blocks, padded */
  int32_t threads;
  int32_t split; /* 0: as it seems best, 1: by rows, 2: by units */
  int64_t weight_bytes;
  int32_t turn; /* odd: the first step goes through the weights from the last to the first */
  int32_t n_means;
  int32_t n_masks;
  const hg_mask* masks; /* of this run, or null: then no pass reads one */
  const int64_t* row;   /* [B], each row's number in the batch, which its masks are drawn for; or null: as they come */
  uint64_t seed;
} hg_run;

/* Runs `work(argument, thread, threads)` on up to `threads` threads, and returns when all are done. */
typedef void (*hg_work)(void* argument, int32_t thread, int32_t threads);

HG_PUBLIC int32_t hg_interface(void);
/* 0 portable, 1 AVX2, 2 AVX-512 */
HG_PUBLIC int32_t hg_instructions(void);
HG_PUBLIC void hg_parallel(hg_work work, void* argument, int32_t threads);
/* Lend another runtime's threads (GOMP_parallel, omp_get_thread_num, omp_get_num_threads); nulls take them back. */
HG_PUBLIC void hg_lend_threads(void* parallel, void* thread_number, void* thread_count);

/* Products over all steps at once: left^T right, and sums of left over its rows, for the gradients of weights. */
typedef struct {
  const void* part[2]; /* rows 0 .. first - 1, and the others */
  int64_t stride[2];
  int64_t first;
  int64_t columns;
} hg_right;

/* What comes of some of left's columns. */
typedef struct {
  int64_t from, units;  /* which columns */
  const hg_right* right;
  void* result;         /* [units, right's columns], or null */
  void* sum;            /* [units], over rows, or null */
} hg_block;

typedef struct hg_summing {
  const void* left; /* [rows, ...]; with segments, [units, ...], and no sums of it are made */
  int64_t stride, rows;
  const hg_block* blocks;
  int32_t n_blocks, threads;
  int32_t segments; /* where the rows lie in each of left's units, or 0 */
  int32_t padding;
  const int64_t* start;
  const int64_t* length;
} hg_summing;

/* All rows of a matrix times packed weights: result = vector weight, of `units` columns; for the gradient of the input. */
typedef struct hg_multiplying {
  const void* vector;
  int64_t stride, rows;
  int32_t segments, threads; /* see hg_product */
  const int64_t* start;
  const int64_t* length;
  const void* packed;
  void* result; /* [rows, units] */
  int64_t units;
} hg_multiplying;

/* Asks the system for large pages where memory is not filled yet. */
HG_PUBLIC void hg_large_pages(void* start, int64_t bytes);

#define HG_DECLARE(isa, type)                              \
  HG_PUBLIC void hg_run_##isa##_##type(const hg_run*); \
  HG_PUBLIC void hg_pack_##isa##_##type(const struct hg_packing*); \
  HG_PUBLIC void hg_sum_##isa##_##type(const hg_summing*); \
  HG_PUBLIC void hg_multiply_##isa##_##type(const hg_multiplying*);

/* Packs a matrix for products. Forward: block b's result unit u is row b * rows + u of the matrix, its K columns are
 * read in order. Transposed (`back`): result unit u is column u, and K runs over the segments' rows. */
typedef struct hg_packing {
  const void* weight; /* row-major, `columns` wide */
  const void* bias;   /* [blocks * rows] or null; forward only */
  int64_t rows, columns;
  int32_t blocks, back;
  int32_t threads;
  int32_t wide; /* for tiles: whether weights and biases are float32, to be rounded; they are bfloat16 otherwise */
  void* packed;
  void* packed_bias;
} hg_packing;

#define HG_DECLARE_ALL(isa) HG_DECLARE(isa, f32) HG_DECLARE(isa, f64)
HG_DECLARE_ALL(portable)
HG_DECLARE_ALL(avx2)
HG_DECLARE_ALL(avx512)

/* Runs, sums and products of bfloat16, by tiles; all else, passes too, is float32. Weights are packed to bfloat16, biases
 * to float32. And runs and sums of float32, whose products are made of pieces where that pays. `amx` uses the processor's
 * tiles, `emulated` computes what they would. */
#define HG_DECLARE_TILES(isa) \
  HG_DECLARE(isa, bf16) \
  HG_PUBLIC void hg_run_##isa##_f32(const hg_run*); \
  HG_PUBLIC void hg_sum_##isa##_f32(const hg_summing*);
HG_DECLARE_TILES(amx)
HG_DECLARE_TILES(emulated)

/* Whether `amx` can be used: the processor and the operating system have it and it computes what `emulated` does. */
enum { HG_NO_TILES, HG_TILES_RIGHT, HG_TILES_WRONG };
HG_PUBLIC int32_t hg_tiles(void);
/* The last of these alone, asked of a processor that has the instructions. */
HG_PUBLIC int32_t hg_check_tiles(void);

#ifdef __cplusplus
}
#endif
#endif
