/* SPDX-License-Identifier: Apache-2.0
 * The weights of a linear layer y = x W^T + b: a mapped source or an owned, writable master, the packed form a kernel
 * reads, and an optional low-rank delta y += scale * (x A^T) B^T. */
#ifndef ILKI_TENSOR_LINEAR_H
#define ILKI_TENSOR_LINEAR_H

#include "tensor/tensor.h"

typedef struct ilki_linear {
    size_t n_in, n_out;
    const ilki_tensor *source;  /* [n_out][n_in], mapped; or NULL and: */
    float *master;              /* [n_out][n_in], owned, writable: set `stale` after a change */
    void *packed;               /* by ops->pack_f32; owned unless: */
    bool borrowed;              /* it lies in a block of all of a model's linears */
    float *bias;                /* [n_out], owned, or NULL */
    bool stale;                 /* packed is behind the master: ilki_tensor_linear_repack before the next pass */
    struct ilki_lowrank *delta; /* NULL: none */
} ilki_linear;

typedef struct ilki_lowrank {
    size_t rank;
    float scale;
    float *a, *b; /* masters: [rank][n_in], [n_out][rank] */
    void *packed_a, *packed_b;
    bool stale;
} ilki_lowrank;

/* Several sources stacked along n_out become one linear (q, k and v in one GEMM); each has n_in columns. */
ilk_status ilki_tensor_linear_init(ilki_linear *l, const ilki_kern_ops *ops, const ilki_tensor *const *weights,
                                   const ilki_tensor *const *biases, size_t n_parts, ilk_error *err);
/* The same with the packed form in memory of the caller's that outlives the linear: `room`, aligned to ILKI_ALIGN, of as
 * many bytes as packed_bytes says (false: too many). */
ilk_status ilki_tensor_linear_init_at(ilki_linear *l, void *room, const ilki_kern_ops *ops,
                                      const ilki_tensor *const *weights, const ilki_tensor *const *biases,
                                      size_t n_parts, ilk_error *err);
bool ilki_tensor_packed_bytes(const ilki_kern_ops *ops, size_t n_out, size_t n_in, size_t *n);
/* A linear of its own master, zeroed. */
ilk_status ilki_tensor_linear_init_master(ilki_linear *l, const ilki_kern_ops *ops, size_t n_out, size_t n_in,
                                          bool bias, ilk_error *err);
/* Copies a [rank][n_in] and b [n_out][rank]; in place of a delta that was there. Rank 0 takes it away. */
ilk_status ilki_tensor_linear_set_delta(ilki_linear *l, const ilki_kern_ops *ops, size_t rank, float scale,
                                        const float *a, const float *b, ilk_error *err);
void ilki_tensor_linear_repack(ilki_linear *l, const ilki_kern_ops *ops);
void ilki_tensor_linear_deinit(ilki_linear *l);

#endif
