/* SPDX-License-Identifier: Apache-2.0
 * Sequences laid end to end for one tower, and what is made of them: pass.c. Filled and run by batch.c. */
#ifndef ILKI_EMBED_PASS_H
#define ILKI_EMBED_PASS_H

#include "embed/state.h"

/* Inputs whose vector is the sum of several: [n] of a window. */
typedef struct ilki_fusion {
    float *sums;     /* [n_fused][dim] */
    uint32_t *at;    /* [n] row of sums; UINT32_MAX: the input's vector is one alone */
    size_t first, n; /* the window's inputs among those of the result */
} ilki_fusion;

typedef struct ilki_pass {
    ilk_model *m;
    ilk_job *job;
    const ilki_embed_plan *plan;
    const ilki_fusion *fusion;
    unsigned tower;
    /* of a tower of texts; of another rows [cap_tokens][row_dim] and the parts they are made of */
    int32_t *ids, *types;
    float *rows;
    const ilk_part **parts; /* [cap_seqs] */
    uint32_t *offsets, *skip;
    size_t *row;  /* of the result, per sequence */
    float *share; /* of the sum, per sequence of a fused vector */
    float *x, *y; /* [n_seqs][width]: pooled, and what a dense module makes of it */
    size_t width;
    size_t cap_tokens, cap_seqs, n_tokens, n_seqs;
    bool typed;
    void *ws_memory;
    uint64_t ws_bytes;
} ilki_pass;

void ilki_embed_pass_init(ilki_pass *p, ilk_model *m, ilk_job *job, const ilki_embed_plan *plan, unsigned tower);
void ilki_embed_pass_deinit(ilki_pass *p);
/* Room for a pass of n_tokens in n_seqs; what was there is lost. */
ilk_status ilki_embed_pass_reserve(ilki_pass *p, size_t n_tokens, size_t n_seqs, ilk_error *err);
void ilki_embed_pass_add(ilki_pass *p, const ilki_input_tokens *t, size_t row, float share);
void ilki_embed_pass_add_part(ilki_pass *p, const ilk_part *part, size_t row, float share);
/* Of a pass of parts: p->rows, each part's failure its input's alone (fill_rows.c). */
ilk_status ilki_embed_fill_rows(ilki_pass *p, ilk_vectors *v, ilk_error *err);
/* Runs what was added, into its rows of v or into the sums, and empties the pass. */
ilk_status ilki_embed_pass_run(ilki_pass *p, ilk_vectors *v, ilk_error *err);

#endif
