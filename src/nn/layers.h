/* SPDX-License-Identifier: Apache-2.0
 * The layers. Rows are flat tokens; `ld…` is the distance of rows in elements, 0: dense (the row's own width). Every
 * function works in three modes (nn.h): on the pool, on this thread, and measuring, where it takes and gives back its
 * scratch and touches no data, so that pointers to data may be NULL (offsets and prefixes are read). A call after a failure does nothing. Outputs may not
 * overlap inputs unless said. Tensors read per token (embedding tables) are converted row by row, never as a whole. */
#ifndef ILKI_NN_LAYERS_H
#define ILKI_NN_LAYERS_H

#include "nn/nn.h"
#include "tensor/linear.h"

typedef struct ilki_norm {
    const float *w, *b; /* [dim]; b NULL: none (and never for RMS) */
    size_t dim;
    float eps;
    float w_add; /* RMS: the weight is w + w_add (Gemma: 1) */
    bool rms;
} ilki_norm;

/* ---- linear and MLP: dense.c */

typedef struct ilki_linear_args {
    const float *x;        /* [n_rows][n_in] */
    const ilki_norm *norm; /* x is normalised first, in products of 8 bits on the way to its codes; NULL: as it is */
    float *normed;         /* [n_rows][n_in] where the normalised rows go, may be x with ldn as ldx; if: */
    bool wants_normed;     /* else nobody does, and they may stand nowhere */
    float *y;              /* [n_rows][n_out] */
    const float *residual; /* [n_rows][n_out], may be y or normed, or NULL */
    size_t n_rows, ldx, ldy, ldr, ldn;
    ilki_act act;
} ilki_linear_args;

/* y = act(norm(x) W^T + b + delta) + residual. The packed form must not be stale. */
void ilki_nn_linear(ilki_nn *ctx, const ilki_linear *l, const ilki_linear_args *a);

/* Estimated ns of one row on one thread; for the cost of a chain given to ilki_nn_rows. */
uint64_t ilki_nn_linear_ns(const ilki_nn *ctx, const ilki_linear *l);

typedef struct ilki_mlp {
    const ilki_linear *in;  /* n_out = hidden; gated: 2 * hidden */
    const ilki_linear *out; /* n_in = hidden */
    ilki_act act;
    bool gated;       /* h = act(first half) * second half */
    bool gate_second; /* gated: h = first half * act(second half) */
} ilki_mlp;

/* y = out(h) + residual, h = act(in(norm(x))) or gated. a->act is not used. */
void ilki_nn_mlp(ilki_nn *ctx, const ilki_mlp *mlp, const ilki_linear_args *a);
uint64_t ilki_nn_mlp_ns(const ilki_nn *ctx, const ilki_mlp *mlp);

/* x[i] = act(x[i]) over n_rows rows of n, in place. */
void ilki_nn_act(ilki_nn *ctx, ilki_act act, float *x, size_t ldx, size_t n_rows, size_t n);
/* y += x, row by row */
void ilki_nn_add(ilki_nn *ctx, float *y, size_t ldy, const float *x, size_t ldx, size_t n_rows, size_t n);

/* ---- norms: norm.c */

/* LayerNorm or RMSNorm, as n->rms says; y may be x with the same ld. */
void ilki_nn_norm(ilki_nn *ctx, const ilki_norm *n, float *y, size_t ldy, const float *x, size_t ldx, size_t n_rows);
/* The same over each of n_heads heads of width n->dim that lie side by side in a row, in place (q and k norms). */
void ilki_nn_norm_heads(ilki_nn *ctx, const ilki_norm *n, float *x, size_t ldx, size_t n_rows, size_t n_heads);

/* ---- rows in: lookup.c */

typedef struct ilki_lookup_args {
    const ilki_tensor *word, *position, *type; /* [n][dim] each; one that is NULL adds nothing */
    const int32_t *ids, *positions, *types;    /* [n_rows]; types NULL: zeros */
    float word_scale;                          /* 0: 1 (Gemma: sqrt(dim)) */
    float *y;                                  /* [n_rows][dim] */
    size_t n_rows, dim, ldy;
} ilki_lookup_args;

/* y = (word[id] * word_scale + type[t]) + position[p], in this order of addition. Indices out of a table's range are
 * BAD_ARGUMENT, a NaN in a table NOT_FINITE. */
void ilki_nn_lookup(ilki_nn *ctx, const ilki_lookup_args *a);

/* out[t] = prefix length of the sequence + 0, 1, 2 …; prefix may be NULL, as may its entries. */
void ilki_nn_positions(ilki_nn *ctx, int32_t *out, const uint32_t *offsets, size_t n_seqs,
                       const ilki_kv *const *prefix);

/* x[first + i] = rows[i] (spans replaced by another tower's rows); rows [n][dim] dense */
void ilki_nn_replace_rows(ilki_nn *ctx, float *x, size_t ldx, size_t first, const float *rows, size_t n, size_t dim);
/* x[at[i]] += rows[i] (DeepStack) */
void ilki_nn_add_rows(ilki_nn *ctx, float *x, size_t ldx, const uint32_t *at, const float *rows, size_t n, size_t dim);
/* y[i] = x[at[i]], at NULL: x[i]; y dense (chosen rows, all tokens, layer k) */
void ilki_nn_take_rows(ilki_nn *ctx, float *y, const float *x, size_t ldx, const uint32_t *at, size_t n, size_t dim);

/* ---- rope: rope.c */

/* cos_ and sin_ [n_rows][dim / 2] for positions [n_axes][n_rows]; once per pass and descriptor. Frequencies and angles
 * are rounded to f32 as torch has them, their cosine and sine computed in double. */
void ilki_nn_rope_table(ilki_nn *ctx, const ilki_rope *r, const int32_t *positions, size_t n_rows, float *cos_,
                        float *sin_);

typedef struct ilki_rope_args {
    float *x;                 /* n_heads heads of width d_head side by side in a row, rotated in place */
    const float *cos_, *sin_; /* [n_rows][r->dim / 2] */
    size_t n_rows, n_heads, d_head, ldx;
} ilki_rope_args;
void ilki_nn_rope(ilki_nn *ctx, const ilki_rope *r, const ilki_rope_args *a);

/* ---- attention: attention.c */

typedef struct ilki_attn_args {
    const float *q, *k,
        *v;     /* head h of token t at q[t * ldq + h * d_qk]; views of one buffer are usual. No default ld */
    float *out; /* [n_tokens][n_heads * d_v] */
    size_t ldq, ldk, ldv, ldout;
    const uint32_t *offsets; /* [n_seqs + 1] */
    size_t n_seqs;
    const ilki_kv *const *prefix; /* [n_seqs] keys and values before the sequence's own, of layer `layer`; or NULL */
    uint32_t layer;
    const uint32_t *groups;     /* [n_tokens], needed by ILKI_MASK_GROUP, which takes no cached prefix */
    const uint32_t *prefix_len; /* [n_seqs], needed by ILKI_MASK_PREFIX */
} ilki_attn_args;

/* Softmax attention of every sequence over its cached prefix, its own tokens and the extra rows. Positions of mask,
 * window and bias are indices in the sequence, the prefix counted. A query that sees no key gets zeros. Keys are taken in
 * blocks cut at multiples of ILKI_ATTN_KEYS of that index, extra rows in blocks of their own before them, so a row's bits
 * depend neither on the batch nor on what of its sequence was cached. Scratch does not grow with a sequence's length but
 * for the packed keys (n_tokens * n_kv_heads * d_qk floats, of long sequences only; in bf16 about half of that, and the
 * values). */
void ilki_nn_attention(ilki_nn *ctx, const ilki_attn *d, const ilki_attn_args *a);

/* kv (of n_tokens = prefix's + n) gets layer `layer` of the prefix and then rows k, v [n][n_kv_heads * d] behind it.
 * MISMATCH where shapes differ. */
typedef struct ilki_kv_args {
    const ilki_kv *prefix; /* NULL: none */
    const float *k, *v;
    size_t ldk, ldv, n;
    uint32_t layer;
} ilki_kv_args;
void ilki_nn_kv_fill(ilki_nn *ctx, ilki_kv *kv, const ilki_kv_args *a);

/* ---- rows out: pooling.c */

typedef struct ilki_pool_args {
    unsigned modes; /* ILKI_POOL_… or-ed; concatenated in the order of their values */
    const float *x; /* [n_tokens][dim] */
    float *out;     /* [n_seqs][dim * number of modes] */
    size_t ldx, dim;
    const uint32_t *offsets; /* [n_seqs + 1] */
    size_t n_seqs;
    const uint32_t
        *skip; /* [n_seqs] first tokens left out, or NULL. CLS is the first row whatever is left out; WEIGHTED
                             weighs a row by its place in the sequence, left-out rows counted. BAD_ARGUMENT where nothing
                             is left */
} ilki_pool_args;

/* Sums in double. */
void ilki_nn_pool(ilki_nn *ctx, const ilki_pool_args *a);
size_t ilki_nn_pool_count(unsigned modes); /* number of modes set */

/* x / max(|x|, 1e-12) per row, in place, the sum of squares in double. */
void ilki_nn_normalise(ilki_nn *ctx, float *x, size_t ldx, size_t n_rows, size_t n);

#endif
