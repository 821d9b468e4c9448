/* SPDX-License-Identifier: Apache-2.0
 * The context of a pass. Layers are functions over flat token rows [n_tokens][dim] without padding; sequences are told by
 * offsets. Each layer function works on the pool when ctx->pool is set, cutting its rows into tasks of at most 5 ms, and
 * on the calling thread when it is NULL; ilki_nn_rows runs a chain of row-wise layers as one task per row block, with a
 * sub-context whose pool is NULL, so that a block's activations stay in the cache. The bits are the same either way.
 *
 * Nothing is allocated in a pass: memory comes from ctx->ws, planned before with a measuring workspace. With a tape,
 * every layer saves what its backward needs in the tape's memory. Models do no float arithmetic outside these calls, so
 * that another device is another table beside this one. The first failure (cancelled, workspace overrun) is kept in
 * ctx->status and later calls return at once: a model checks once, at the end. */
#ifndef ILKI_NN_NN_H
#define ILKI_NN_NN_H

#include "base/mem.h"
#include "base/runtime.h"
#include "kern/ops.h"

typedef struct ilki_tape ilki_tape;
typedef struct ilki_watch ilki_watch;
typedef struct ilki_stream ilki_stream;

typedef struct ilki_nn {
    const ilki_kern_ops *ops;
    ilki_pool *pool; /* NULL: this thread */
    ilk_job *job;
    ilki_ws *ws;         /* base NULL: measuring, layers take and count memory but compute nothing */
    ilki_tape *tape;     /* NULL: inference */
    ilki_watch *watch;   /* NULL: but where exact channels are chosen (watch.h) */
    ilki_stream *stream; /* NULL: but where weights are packed as they are needed (stream.h) */
    unsigned slot;       /* of this thread in the running task */
    bool attend_f32;     /* attention in f32 also where a layer may have it in bf16 (ilki_attn.half) */
    bool awake;          /* products are shared out however short: the pool's threads are at hand */
    ilk_status status;
    ilk_error *err;
} ilki_nn;

static inline bool ilki_nn_measuring(const ilki_nn *ctx)
{
    return ctx->ws->base == NULL;
}

/* n objects from the workspace; NULL while measuring, and on overrun, which fails the pass. */
void *ilki_nn_take(ilki_nn *ctx, size_t n, size_t size);

/* p + n, and NULL for NULL: what a chain uses on buffers that are NULL while measuring. */
static inline float *ilki_nn_at(float *p, size_t n)
{
    return p ? p + n : NULL;
}
static inline const float *ilki_nn_at_const(const float *p, size_t n)
{
    return p ? p + n : NULL;
}

/* Keeps the first failure: status and message. Later calls do nothing. */
void ilki_nn_fail(ilki_nn *ctx, ilk_status status, const char *fmt, ...) ILKI_PRINTF(3, 4);

/* ---- a chain of row-wise layers as one task per row block
 *
 * fn is called with a sub-context (pool NULL, a workspace of its own, the slot of its thread) and a range of rows; it
 * calls layers with the sub-context on pointers advanced to `first` (ilki_nn_at), takes its intermediates from sub->ws
 * and leaves all else alone. It is also called with a measuring sub-context on the first block, and on the last where that
 * is smaller, at every call of ilki_nn_rows, so it must do nothing but that. With a tape it is called once with all rows,
 * and the layers in it use the pool. */
typedef void (*ilki_rows_fn)(ilki_nn *sub, void *arg, size_t first, size_t n);
typedef struct ilki_rows_args {
    ilki_rows_fn fn;
    void *arg;
    size_t n_rows;
    uint64_t row_ns; /* estimate of one row on one thread: ilki_nn_linear_ns and the like, added up */
} ilki_rows_args;
void ilki_nn_rows(ilki_nn *ctx, const ilki_rows_args *a);

/* Poolings of sentence-transformers; several are concatenated in this order. */
enum {
    ILKI_POOL_CLS = 1,
    ILKI_POOL_MAX = 2,
    ILKI_POOL_MEAN = 4,
    ILKI_POOL_MEAN_SQRT = 8,
    ILKI_POOL_WEIGHTED = 16, /* weights 1 … n */
    ILKI_POOL_LAST = 32
};

/* ---- what attention is told, one per layer */

typedef enum ilki_mask {
    ILKI_MASK_FULL = 0,
    ILKI_MASK_CAUSAL,
    ILKI_MASK_PREFIX, /* causal, but the first prefix_len positions of a sequence see each other */
    ILKI_MASK_GROUP   /* a token sees the tokens of its own group id */
} ilki_mask;

typedef struct ilki_attn {
    float scale, softcap;         /* softcap 0: none */
    uint32_t n_heads, n_kv_heads; /* n_heads a multiple of n_kv_heads */
    uint32_t d_qk, d_v;
    ilki_mask mask;
    /* keys i - left … i + right, on top of the mask; UINT32_MAX: no bound */
    uint32_t window_left, window_right;
    /* additive, per head by relative position: [n_heads][2 * bias_span + 1], entry (key - query) + bias_span, the
     * distance clamped; or NULL. Extra rows get none */
    const float *bias;
    uint32_t bias_span;
    /* learned rows that every query sees: [n_extra][n_kv_heads * d], or NULL */
    const float *extra_k, *extra_v;
    uint32_t n_extra;
    /* in bf16 (kern/ops.h) where the kernel table says that it pays and the pass lets it: of models whose precision is
     * under f32 */
    bool half;
} ilki_attn;

/* ---- rotary positions: one to three axes */

typedef enum ilki_rope_pairing { ILKI_ROPE_HALF = 0, ILKI_ROPE_INTERLEAVED } ilki_rope_pairing;
typedef enum ilki_rope_sections { ILKI_ROPE_CONTIGUOUS = 0, ILKI_ROPE_STRIDED } ilki_rope_sections;

typedef struct ilki_rope {
    float theta;
    uint32_t dim;      /* rotated entries of a head, even; the rest passes through (rotated share) */
    uint32_t freq_dim; /* denominator of the exponent; 0: dim */
    float freq_div;    /* every frequency is divided by it (NTK scaling); 0: 1 */
    ilki_rope_pairing pairing;
    unsigned n_axes;     /* 1 to 3 */
    uint32_t section[3]; /* frequencies per axis, together dim / 2; unused with one axis */
    /* CONTIGUOUS: axis 0's frequencies first; STRIDED: frequency f belongs to axis f % n_axes while that axis has some
     * left, else to axis 0 (Qwen3-VL) */
    ilki_rope_sections sections;
} ilki_rope;

/* ---- cached keys and values of a sequence's beginning, read-only while in use */

typedef struct ilki_kv {
    uint32_t n_layers, n_tokens, n_kv_heads, d_qk, d_v;
    float **k, **v; /* per layer: [n_tokens][n_kv_heads * d_qk], [n_tokens][n_kv_heads * d_v]; keys already rotated */
} ilki_kv;

#endif
