/* SPDX-License-Identifier: Apache-2.0
 * The tape: what the layers of a pass saved for their backward, newest first, copied into the tape's own memory (the one
 * place where a pass allocates, and only with a tape). Who trains walks it from the end and calls the backward of each
 * entry with the gradient of its output; layers that save nothing (sums, chosen rows, rope, means) leave no entry, since
 * their backward needs only what the caller has. A layer whose backward is not built fails with UNSUPPORTED.
 *
 * The backward functions are scalar C on the calling thread, their sums in double; they add into the gradients given. */
#ifndef ILKI_NN_TAPE_H
#define ILKI_NN_TAPE_H

#include "nn/layers.h"

typedef enum ilki_tape_op { ILKI_TAPE_LINEAR = 1, ILKI_TAPE_ACT, ILKI_TAPE_NORM, ILKI_TAPE_ATTENTION } ilki_tape_op;

typedef struct ilki_tape_entry {
    struct ilki_tape_entry *prev;
    ilki_tape_op op;
    size_t n_rows, n;   /* rows and width of the saved input */
    ilki_act act;       /* LINEAR, ACT */
    const float *x;     /* [n_rows][n] input of LINEAR, ACT, NORM; q of ATTENTION [n_rows][n_heads * d_qk] */
    const float *pre;   /* LINEAR with an activation: [n_rows][n_out] before it */
    const float *k, *v; /* ATTENTION */
    const ilki_linear *linear;
    float (*weight_at)(const void *packed, size_t k, size_t j, size_t p); /* LINEAR: of the table that packed them */
    ilki_norm norm;
    ilki_attn attn;
    ilki_attn_args attn_args; /* with its own copies of offsets, groups and prefix_len */
} ilki_tape_entry;

struct ilki_tape {
    ilki_arena arena; /* max_bytes bounds it */
    ilki_tape_entry *last;
    size_t n_entries;
};

/* A zeroed tape is valid and empty. */
void ilki_nn_tape_reset(ilki_tape *t);

/* For the layers: a new entry with a dense copy of x; NULL, and the pass failed, when the tape's memory is short. */
ilki_tape_entry *ilki_nn_tape_add(ilki_nn *ctx, ilki_tape_op op, const float *x, size_t ldx, size_t n_rows, size_t n);
const float *ilki_nn_tape_copy(ilki_nn *ctx, const float *x, size_t ldx, size_t n_rows, size_t n);

/* ---- backward: dy is dense, a gradient that is NULL is not wanted, the others are added to */

typedef struct ilki_linear_grad {
    float *dx;       /* [n_rows][n_in] */
    float *dw, *db;  /* [n_out][n_in], [n_out] */
    float *da, *db_; /* of the low-rank delta: [rank][n_in], [n_out][rank] */
} ilki_linear_grad;

/* The weights are read from their packed form. The residual's gradient is dy itself. */
ilk_status ilki_nn_linear_backward(const ilki_tape_entry *e, const float *dy, const ilki_linear_grad *g,
                                   ilk_error *err);
void ilki_nn_act_backward(const ilki_tape_entry *e, const float *dy, float *dx);
ilk_status ilki_nn_norm_backward(const ilki_tape_entry *e, const float *dy, float *dx, float *dw, float *db,
                                 ilk_error *err);
/* dq [n_rows][n_heads * d_qk], dk, dv alike; softmax recomputed row by row. Bias and extra rows get no gradient yet. */
ilk_status ilki_nn_attention_backward(const ilki_tape_entry *e, const float *dy, float *dq, float *dk, float *dv,
                                      ilk_error *err);

#endif
