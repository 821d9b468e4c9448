/* SPDX-License-Identifier: Apache-2.0
 * The weights of a linear layer y = x W^T + b: a mapped source or an owned, writable master, the packed form a kernel
 * reads, and an optional low-rank delta y += scale * (x A^T) B^T. */
#ifndef ILKI_TENSOR_LINEAR_H
#define ILKI_TENSOR_LINEAR_H

#include "tensor/tensor.h"

/* How weights are kept and multiplied. */
typedef enum ilki_form {
    ILKI_FORM_F32 = 0,
    ILKI_FORM_BF16, /* weights kept, and both operands multiplied, as bf16 */
    ILKI_FORM_I8,   /* weights and activations of 8 bits (kern/ops.h) */
    ILKI_FORM_I8W   /* weights of 8 bits, activations of two codes, 16 bits together */
} ilki_form;

/* Beside weights of 8 bits: which channels are exact. */
typedef struct ilki_linear_i8 {
    ilki_i8_channels channels;
    uint32_t exact[ILKI_I8_EXACT];
    float *
        seen; /* [n_in] the greatest magnitude of each input that a watching pass met (nn/watch.h); NULL: none watches */
    float keep[]; /* [n_in] */
} ilki_linear_i8;

#define ILKI_LINEAR_PARTS 3
typedef struct ilki_linear {
    size_t n_in, n_out;
    ilki_form form;
    ilki_linear_i8 *i8;                          /* owned; NULL in forms of floats */
    const ilki_tensor *parts[ILKI_LINEAR_PARTS]; /* what was stacked, mapped; n_parts 0: from a master */
    size_t n_parts;
    const ilki_tensor *source;  /* [n_out][n_in], mapped; or NULL and: */
    float *master;              /* [n_out][n_in], owned, writable: set `stale` after a change */
    void *packed;               /* by ops->pack_… of the form; owned unless: */
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
/* The same in another form, which the weights' tensors outlive, or with the packed form in memory of the caller's that
 * outlives the linear: `room`, aligned to ILKI_ALIGN, of as many bytes as packed_bytes says (false: too many). */
typedef struct ilki_packing {
    ilki_form form;
    void *room;            /* NULL: the linear's own */
    bool streamed;         /* nothing is packed now, only checked; see is_streamed */
    bool ready;            /* `room` holds what was packed before, with these exact channels; only read from now on */
    size_t n_exact;        /* 0, 4 or 8 */
    const uint32_t *exact; /* [n_exact] ascending, under n_in */
} ilki_packing;
ilk_status ilki_tensor_linear_init_at(ilki_linear *l, const ilki_packing *how, const ilki_kern_ops *ops,
                                      const ilki_tensor *const *weights, const ilki_tensor *const *biases,
                                      size_t n_parts, ilk_error *err);
bool ilki_tensor_packed_bytes(const ilki_kern_ops *ops, ilki_form form, size_t n_out, size_t n_in, size_t *n);
/* Its packed form is made anew where it is used, in bands of rows, into room of packed_bytes that begins with zeros or with
 * anything: it lives as long as the room. A band fails as init would have. */
static inline bool ilki_tensor_linear_is_streamed(const ilki_linear *l)
{
    return !l->packed && l->n_parts;
}
size_t ilki_tensor_linear_bands(const ilki_linear *l, const ilki_kern_ops *ops);
ilk_status ilki_tensor_linear_pack_band(const ilki_linear *l, const ilki_kern_ops *ops, void *room, size_t i,
                                        ilk_error *err);
/* The form that such a linear can have: products of 8 bits have an end. */
ilki_form ilki_tensor_form_for(ilki_form wanted, size_t n_in);
/* Chooses the exact channels of a linear of 8 bits by l->i8->seen and packs it anew: the 4 that were greatest, and 8 where
 * the fifth is still twice the ninth. Nothing else may use the linear meanwhile. */
ilk_status ilki_tensor_linear_settle(const ilki_linear *l, const ilki_kern_ops *ops, ilk_error *err);
/* A linear of its own master, zeroed. */
ilk_status ilki_tensor_linear_init_master(ilki_linear *l, const ilki_kern_ops *ops, size_t n_out, size_t n_in,
                                          bool bias, ilk_error *err);
/* Copies a [rank][n_in] and b [n_out][rank]; in place of a delta that was there. Rank 0 takes it away. */
ilk_status ilki_tensor_linear_set_delta(ilki_linear *l, const ilki_kern_ops *ops, size_t rank, float scale,
                                        const float *a, const float *b, ilk_error *err);
void ilki_tensor_linear_repack(ilki_linear *l, const ilki_kern_ops *ops);
void ilki_tensor_linear_deinit(ilki_linear *l);

#endif
