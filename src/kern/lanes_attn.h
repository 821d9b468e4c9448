/* SPDX-License-Identifier: Apache-2.0
 * Attention over one block of 64 keys, over the lanes of an ISA. Six query rows at a time, over stack memory: their scores
 * (a product with the transposed keys), the running softmax of each row, and the weighted sum of values on top of the
 * shrunk accumulator. Nothing of a row depends on the others. */
#ifndef ILKI_KERN_LANES_ATTN_H
#define ILKI_KERN_LANES_ATTN_H

#include <math.h>
#include <string.h>

#include "kern/lanes_math.h"

enum { KEYS = ILKI_ATTN_KEYS, TILE_ROWS = 6, TILE_COLS = 2 * LANES };

/* out[r][0..n) = out[r] shrink[r] + sum_p a[r][p] b[p], or without the first term where shrink is NULL; n <= TILE_COLS */
typedef struct product {
    float *out;
    const float *shrink, *a, *b;
    size_t ldo, lda, ldb, k, n;
} product;

#define GET(r)                                                                                                         \
    vf c##r##l = vf_set1(0.0f), c##r##h = c##r##l;                                                                     \
    if (rows > r && t->shrink) {                                                                                       \
        const float *from = t->out + r * t->ldo;                                                                       \
        vf s = vf_set1(t->shrink[r]);                                                                                  \
        c##r##l = vf_mul(s, whole ? vf_load(from) : vf_load_head(from, low));                                          \
        c##r##h = vf_mul(s, whole ? vf_load(from + LANES) : vf_load_head(from + LANES, high));                         \
    }
#define STEP(r, from)                                                                                                  \
    if (rows > r) {                                                                                                    \
        vf x = vf_set1(from);                                                                                          \
        c##r##l = vf_fma(x, bl, c##r##l);                                                                              \
        c##r##h = vf_fma(x, bh, c##r##h);                                                                              \
    }
#define PUT(r)                                                                                                         \
    if (rows > r) {                                                                                                    \
        float *to = t->out + r * t->ldo;                                                                               \
        if (whole) {                                                                                                   \
            vf_store(to, c##r##l);                                                                                     \
            vf_store(to + LANES, c##r##h);                                                                             \
        } else {                                                                                                       \
            vf_store_head(to, low, c##r##l);                                                                           \
            vf_store_head(to + LANES, high, c##r##h);                                                                  \
        }                                                                                                              \
    }

INLINE void tile(const int rows, const bool whole, const product *t)
{
    const float *b = t->b;
    const size_t lda = t->lda, ldb = t->ldb;
    const vm low = vm_head(t->n), high = vm_head(t->n > LANES ? t->n - LANES : 0);
    GET(0) GET(1) GET(2) GET(3) GET(4) GET(5) const float *a0 = t->a, *a3 = rows > 3 ? a0 + 3 * lda : a0;
    for (size_t p = 0; p < t->k; p++) {
        vf bl = whole ? vf_load(b) : vf_load_head(b, low),
           bh = whole ? vf_load(b + LANES) : vf_load_head(b + LANES, high);
        b += ldb;
        STEP(0, a0[p])
        STEP(1, a0[lda + p])
        STEP(2, a0[2 * lda + p])
        STEP(3, a3[p])
        STEP(4, a3[lda + p])
        STEP(5, a3[2 * lda + p])
    }
    PUT(0) PUT(1) PUT(2) PUT(3) PUT(4) PUT(5)
}

#define TILE(rows)                                                                                                     \
    static __attribute__((noinline)) void tile##rows(const product *t)                                                 \
    {                                                                                                                  \
        if (t->n == TILE_COLS)                                                                                         \
            tile(rows, true, t);                                                                                       \
        else                                                                                                           \
            tile(rows, false, t);                                                                                      \
    }
TILE(1)
TILE(2)
TILE(3) TILE(4) TILE(5) TILE(6)

    /* Up to six rows of t, all n_cols columns. */
    static void multiply(product t, size_t rows, size_t n_cols)
{
    static void (*const tiles[])(const product *) = {NULL, tile1, tile2, tile3, tile4, tile5, tile6};
    for (size_t j = 0; j < n_cols; j += TILE_COLS) {
        t.n = n_cols - j < TILE_COLS ? n_cols - j : TILE_COLS;
        tiles[rows](&t);
        t.out += TILE_COLS;
        t.b += TILE_COLS;
    }
}

/* Row i, whose scores are at s; the weights take their place. Gives e^(m - m'). A row with all keys masked so far has
 * m' = -inf; 0 in its place makes its weights and its e^(m - m') zeros without a branch. */
static float softmax_row(const ilki_attn_f32 *a, float *s, size_t i)
{
    const vf scale = vf_set1(a->scale), cap = vf_set1(a->softcap), lowest = vf_set1(-INFINITY);
    vf highest = lowest, sum = vf_set1(0.0f);
    for (size_t j = 0; j < a->n_k; j += LANES) {
        vm m = vm_head(a->n_k - j);
        vf v = vf_mul(vf_load(s + j), scale);
        if (a->softcap > 0.0f)
            v = vf_mul(cap, vf_tanh(vf_div(v, cap)));
        if (a->add)
            v = vf_add(v, vf_load_head(a->add + i * a->ldadd + j, m));
        v = vf_head(m, v, lowest);
        vf_store(s + j, v);
        highest = vf_max(v, highest); /* passes a NaN over: its exponential brings it out */
    }
    float max = vf_highest(highest), was = a->m[i];
    a->m[i] = max = max > was ? max : was;
    if (max == -INFINITY)
        max = 0.0f;
    for (size_t j = 0; j < a->n_k; j += LANES) {
        vf e = vf_exp(vf_sub(vf_load(s + j), vf_set1(max)));
        vf_store(s + j, e);
        sum = vf_add(sum, e);
    }
    float less[LANES];
    vf_store(less, vf_exp(vf_set1(was - max)));
    a->l[i] = a->l[i] * less[0] + vf_sum(sum);
    return less[0];
}

static void attn_end_f32(float *out, size_t ldout, const float *acc, size_t ldacc, const float *l, size_t n_q,
                         size_t dv)
{
    for (size_t i = 0; i < n_q; i++) {
        const vf by = vf_set1(l[i] != 0.0f ? 1.0f / l[i] : 0.0f);
        for (size_t x = 0; x < dv; x += LANES) {
            vm m = vm_head(dv - x);
            vf_store_head(out + i * ldout + x, m, vf_mul(by, vf_load_head(acc + i * ldacc + x, m)));
        }
    }
}

static void attn_f32(const ilki_attn_f32 *a)
{
    float s[TILE_ROWS * KEYS] __attribute__((aligned(64))), shrink[TILE_ROWS];
    for (size_t i = 0; i < a->n_q; i += TILE_ROWS) {
        size_t rows = a->n_q - i < TILE_ROWS ? a->n_q - i : TILE_ROWS;
        product scores = {
            .out = s, .a = a->q + i * a->ldq, .b = a->kt, .ldo = KEYS, .lda = a->ldq, .ldb = KEYS, .k = a->d};
        for (size_t r = i; r < i + rows && a->first; r++) {
            a->m[r] = -INFINITY;
            a->l[r] = 0.0f;
            memset(a->acc + r * a->ldacc, 0, a->dv * sizeof *a->acc);
        }
        multiply(scores, rows, (a->n_k + TILE_COLS - 1) / TILE_COLS * TILE_COLS);
        for (size_t r = 0; r < rows; r++)
            shrink[r] = softmax_row(a, s + r * KEYS, i + r);
        product values = {.out = a->acc + i * a->ldacc,
                          .shrink = shrink,
                          .a = s,
                          .b = a->v,
                          .ldo = a->ldacc,
                          .lda = KEYS,
                          .ldb = a->ldv,
                          .k = a->n_k};
        multiply(values, rows, a->dv);
        if (a->out)
            attn_end_f32(a->out + i * a->ldout, a->ldout, a->acc + i * a->ldacc, a->ldacc, a->l + i, rows, a->dv);
    }
}

static void pack_keys_f32(float *kt, const float *k, size_t ldk, size_t n_k, size_t d)
{
    for (size_t p = 0; p < d; p++)
        for (size_t j = 0; j < (n_k + 15) / 16 * 16; j++)
            kt[p * KEYS + j] = j < n_k ? k[j * ldk + p] : 0.0f;
}

#define LANES_ATTN_ENTRIES .pack_keys_f32 = pack_keys_f32, .attn_f32 = attn_f32, .attn_end_f32 = attn_end_f32

#endif
