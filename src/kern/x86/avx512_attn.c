/* SPDX-License-Identifier: Apache-2.0
 * Attention over one block of 64 keys, AVX-512. Twelve query rows at a time, over 3 KiB of stack: their scores (a product
 * with the transposed keys), the running softmax, and the weighted sum of values on top of the shrunk accumulator. Both
 * products use one tile of 12 rows by 32 columns: 24 named accumulators. The softmax goes by four rows, whose maxima and
 * sums are reduced together; nothing of a row depends on the others. */
#include "kern/x86/avx512_math.h"
#include "kern/x86/avx512_transpose.h"

#include <math.h>

enum {
    KEYS = ILKI_ATTN_KEYS,
    TILE_ROWS = 12,
    TILE_COLS = 32,
    AHEAD = 8 /* rows of b asked for early: they may lie pages apart */
};

/* ---- out[r][0..32) = (from[r] shrink[r] + sum_p a[r][p] b[p]) by[r], without a term or factor that is NULL */

typedef struct product {
    float *out;
    const float *from, *shrink, *by, *a, *b;
    size_t ldo, ldf, lda, ldb, k;
    __mmask16 low, high; /* columns of the two registers that exist */
} product;

#define GET(r)                                                                                                         \
    __m512 c##r##l = _mm512_setzero_ps(), c##r##h = c##r##l;                                                           \
    if (rows > r && shrink) {                                                                                          \
        __m512 s = _mm512_set1_ps(shrink[r]);                                                                          \
        c##r##l = _mm512_mul_ps(s, _mm512_maskz_loadu_ps(low, t->from + r * t->ldf));                                  \
        c##r##h = _mm512_mul_ps(s, _mm512_maskz_loadu_ps(high, t->from + r * t->ldf + 16));                            \
    }
#define STEP(r, from)                                                                                                  \
    if (rows > r) {                                                                                                    \
        __m512 x = _mm512_set1_ps(from);                                                                               \
        c##r##l = _mm512_fmadd_ps(x, bl, c##r##l);                                                                     \
        c##r##h = _mm512_fmadd_ps(x, bh, c##r##h);                                                                     \
    }
#define PUT(r)                                                                                                         \
    if (rows > r) {                                                                                                    \
        if (t->by) {                                                                                                   \
            __m512 s = _mm512_set1_ps(t->by[r]);                                                                       \
            c##r##l = _mm512_mul_ps(s, c##r##l);                                                                       \
            c##r##h = _mm512_mul_ps(s, c##r##h);                                                                       \
        }                                                                                                              \
        _mm512_mask_storeu_ps(t->out + r * t->ldo, low, c##r##l);                                                      \
        _mm512_mask_storeu_ps(t->out + r * t->ldo + 16, high, c##r##h);                                                \
    }
#define TWELVE(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)

INLINE void tile(const int rows, const product *t)
{
    const float *shrink = t->shrink, *b = t->b;
    const size_t lda = t->lda, ldb = t->ldb;
    const __mmask16 low = t->low, high = t->high;
    TWELVE(GET)
    const float *a0 = t->a, *a3 = a0 + 3 * lda, *a6 = a3 + 3 * lda, *a9 = a6 + 3 * lda;
    for (size_t p = 0; p < t->k; p++) {
        __m512 bl = _mm512_maskz_loadu_ps(low, b), bh = _mm512_maskz_loadu_ps(high, b + 16);
        _mm_prefetch((const char *)(b + AHEAD * ldb), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + AHEAD * ldb + 16), _MM_HINT_T0);
        b += ldb;
        STEP(0, a0[p])
        STEP(1, a0[lda + p])
        STEP(2, a0[2 * lda + p])
        STEP(3, a3[p])
        STEP(4, a3[lda + p])
        STEP(5, a3[2 * lda + p])
        STEP(6, a6[p])
        STEP(7, a6[lda + p]) STEP(8, a6[2 * lda + p]) STEP(9, a9[p]) STEP(10, a9[lda + p]) STEP(11, a9[2 * lda + p])
    }
    TWELVE(PUT)
}

#define TILE(rows)                                                                                                     \
    static __attribute__((noinline)) void tile##rows(const product *t)                                                 \
    {                                                                                                                  \
        tile(rows, t);                                                                                                 \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)

/* Up to 12 rows of t, all n_cols columns; t goes along. A copy of it would wait for every store before. */
static void multiply(product *t, size_t rows, size_t n_cols)
{
    static void (*const tiles[])(const product *) = {NULL,  tile1, tile2, tile3,  tile4,  tile5, tile6,
                                                     tile7, tile8, tile9, tile10, tile11, tile12};
    for (size_t j = 0; j < n_cols; j += TILE_COLS) {
        t->low = head_mask(n_cols - j);
        t->high = n_cols - j > 16 ? head_mask(n_cols - j - 16) : 0;
        tiles[rows](t);
        t->out += TILE_COLS;
        t->from = t->shrink ? t->from + TILE_COLS : NULL;
        t->b += TILE_COLS;
    }
}

/* ---- softmax of four rows */

/* Lane r of each four: the sum (or maximum) of row r's 16 lanes; a tree, the same for every row. */
#define REDUCE4(name, op)                                                                                              \
    INLINE __m512 name(__m512 a, __m512 b, __m512 c, __m512 d)                                                         \
    {                                                                                                                  \
        __m512d ab = _mm512_castps_pd(op(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));                         \
        __m512d cd = _mm512_castps_pd(op(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));                         \
        __m512 x = op(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));     \
        x = op(x, _mm512_shuffle_f32x4(x, x, 0x4e));                                                                   \
        return op(x, _mm512_shuffle_f32x4(x, x, 0xb1));                                                                \
    }
REDUCE4(sum4, _mm512_add_ps)
REDUCE4(max4, _mm512_max_ps)

/* Maxima of the lanes of one row of plain scores, which still lack the scale. Places from n_k on become -inf. */
INLINE __m512 plain_max(const size_t n_k, float *s)
{
    __m512 max = _mm512_set1_ps(-INFINITY);
    for (size_t j = 0; j < n_k; j += 16) {
        __m512 v = _mm512_load_ps(s + j);
        if (n_k - j < 16) {
            v = _mm512_mask_blend_ps(head_mask(n_k - j), _mm512_set1_ps(-INFINITY), v);
            _mm512_store_ps(s + j, v);
        }
        max = _mm512_max_ps(v, max); /* passes a NaN over: its exponential brings it out */
    }
    return max;
}

/* Scores of one row made final, in place; gives the lanes' maxima. Places from n_k on become -inf. */
INLINE __m512 finish_scores(const ilki_attn_f32 *a, const size_t n_k, float *s, size_t i)
{
    const __m512 scale = _mm512_set1_ps(a->scale), cap = _mm512_set1_ps(a->softcap), lowest = _mm512_set1_ps(-INFINITY);
    __m512 max = lowest;
    for (size_t j = 0; j < n_k; j += 16) {
        __mmask16 mask = head_mask(n_k - j);
        __m512 v = _mm512_mul_ps(_mm512_load_ps(s + j), scale);
        if (a->softcap > 0.0f)
            v = _mm512_mul_ps(cap, tanh_ps(_mm512_div_ps(v, cap)));
        if (a->add)
            v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, a->add + i * a->ldadd + j));
        v = _mm512_mask_blend_ps(mask, lowest, v);
        _mm512_store_ps(s + j, v);
        max = _mm512_max_ps(v, max); /* passes a NaN over: its exponential brings it out */
    }
    return max;
}

/* s = e^(scale s - max), scale 1 for final scores; gives the lanes' sums. */
INLINE __m512 exponentials(float *s, const size_t n_k, const bool plain, __m512 scale, __m512 max)
{
    __m512 sum = _mm512_setzero_ps();
    for (size_t j = 0; j < n_k; j += 16) {
        __m512 v = _mm512_load_ps(s + j);
        __m512 e = exp_weight_ps(_mm512_sub_ps(plain ? _mm512_mul_ps(v, scale) : v, max));
        _mm512_store_ps(s + j, e);
        sum = _mm512_add_ps(sum, e);
    }
    return sum;
}

/* What the softmax of a block does to four rows and gives to the product with the values. */
typedef struct weights {
    float s[TILE_ROWS * KEYS] __attribute__((aligned(64)));
    float shrink[TILE_ROWS], by[TILE_ROWS]; /* e^(m - m'), 1 / l or 0 */
} weights;

/* Rows i + r to i + r + n, n <= 4, whose scores are at w->s; the weights take their place. A row with all keys masked so
 * far has m' = -inf; 0 in its place makes its weights and its e^(m - m') zeros without a branch. Scores are plain where
 * nothing is done to them but a product with a positive scale, which commutes with the maximum to the bit. */
INLINE void softmax4(const ilki_attn_f32 *a, const size_t n_k, const bool plain, weights *w, size_t i, size_t r)
{
    const __m512 lowest = _mm512_set1_ps(-INFINITY), scale = _mm512_set1_ps(a->scale), zero = _mm512_setzero_ps();
    const size_t n = a->n_q - i - r;
    const __mmask16 rows = n >= 4 ? 0xf : (__mmask16)((1U << n) - 1U);
    float *s = w->s + r * KEYS;
    __m512 x[4] = {lowest, lowest, lowest, lowest}, y[4] = {zero, zero, zero, zero};
#define MAX(q)                                                                                                         \
    if (n > q)                                                                                                         \
        x[q] = plain ? plain_max(n_k, s + q * KEYS) : finish_scores(a, n_k, s + q * KEYS, i + r + q);
#define EXP(q, places)                                                                                                 \
    if (n > q)                                                                                                         \
        y[q] = exponentials(s + q * KEYS, n_k, plain, scale, _mm512_permute_ps(max, places));
    MAX(0)
    MAX(1)
    MAX(2)
    MAX(3)
    __m512 was = a->first ? lowest : _mm512_maskz_loadu_ps(rows, a->m + i + r), max = max4(x[0], x[1], x[2], x[3]);
    if (plain)
        max = _mm512_mul_ps(max, scale);
    max = _mm512_max_ps(max, _mm512_shuffle_f32x4(was, was, 0));
    _mm512_mask_storeu_ps(a->m + i + r, rows, max);
    max = _mm512_mask_blend_ps(_mm512_cmp_ps_mask(max, lowest, _CMP_EQ_OQ), max, zero);
    EXP(0, 0x00)
    EXP(1, 0x55)
    EXP(2, 0xaa)
    EXP(3, 0xff)
#undef MAX
#undef EXP
    __m512 less = exp_weight_ps(_mm512_sub_ps(was, max));
    __m512 l = a->first ? zero : _mm512_maskz_loadu_ps(rows, a->l + i + r);
    l = _mm512_fmadd_ps(l, less, sum4(y[0], y[1], y[2], y[3]));
    _mm512_mask_storeu_ps(a->l + i + r, rows, l);
    _mm512_mask_storeu_ps(w->shrink + r, rows, less);
    l = _mm512_maskz_div_ps(_mm512_cmp_ps_mask(l, zero, _CMP_NEQ_UQ), _mm512_set1_ps(1.0f), l);
    _mm512_mask_storeu_ps(w->by + r, rows, l);
}

#define SOFTMAX(name, n_k, plain)                                                                                      \
    static __attribute__((noinline)) void name(const ilki_attn_f32 *a, weights *w, size_t i, size_t r)                 \
    {                                                                                                                  \
        softmax4(a, n_k, plain, w, i, r);                                                                              \
    }
SOFTMAX(softmax_plain_whole, KEYS, true)
SOFTMAX(softmax_plain_part, a->n_k, true)
SOFTMAX(softmax_whole, KEYS, false)
SOFTMAX(softmax_part, a->n_k, false)

static void attn_f32(const ilki_attn_f32 *a)
{
    const bool plain = !a->add && !(a->softcap > 0.0f) && a->scale > 0.0f, whole = a->n_k == KEYS;
    void (*softmax)(const ilki_attn_f32 *, weights *, size_t,
                    size_t) = plain ? (whole ? softmax_plain_whole : softmax_plain_part)
                                    : (whole ? softmax_whole : softmax_part);
    weights w;
    for (size_t i = 0; i < a->n_q; i += TILE_ROWS) {
        size_t rows = a->n_q - i < TILE_ROWS ? a->n_q - i : TILE_ROWS;
        product scores = {
            .out = w.s, .a = a->q + i * a->ldq, .b = a->kt, .ldo = KEYS, .lda = a->ldq, .ldb = KEYS, .k = a->d};
        multiply(&scores, rows, (a->n_k + 15) / 16 * 16);
        for (size_t r = 0; r < rows; r += 4)
            softmax(a, &w, i, r);
        product values = {.out = a->out ? a->out + i * a->ldout : a->acc + i * a->ldacc,
                          .from = a->first ? NULL : a->acc + i * a->ldacc,
                          .shrink = a->first ? NULL : w.shrink,
                          .by = a->out ? w.by : NULL,
                          .a = w.s,
                          .b = a->v,
                          .ldo = a->out ? a->ldout : a->ldacc,
                          .ldf = a->ldacc,
                          .lda = KEYS,
                          .ldb = a->ldv,
                          .k = a->n_k};
        multiply(&values, rows, a->dv);
    }
}

static void pack_keys_f32(float *kt, const float *k, size_t ldk, size_t n_k, size_t d)
{
    for (size_t j = 0; j < n_k; j += 16)
        for (size_t p = 0; p < d; p += 16)
            transpose16(kt + p * KEYS + j, KEYS, k + j * ldk + p, ldk, n_k - j, d - p < 16 ? d - p : 16);
}

static void attn_end_f32(float *out, size_t ldout, const float *acc, size_t ldacc, const float *l, size_t n_q,
                         size_t dv)
{
    for (size_t i = 0; i < n_q; i++) {
        const __m512 by = _mm512_set1_ps(l[i] != 0.0f ? 1.0f / l[i] : 0.0f);
        for (size_t x = 0; x < dv; x += 16) {
            __mmask16 mask = head_mask(dv - x);
            _mm512_mask_storeu_ps(out + i * ldout + x, mask,
                                  _mm512_mul_ps(by, _mm512_maskz_loadu_ps(mask, acc + i * ldacc + x)));
        }
    }
}

const ilki_kern_ops ilki_kern_avx512_attn = {
    .name = "avx512",
    .pack_keys_f32 = pack_keys_f32,
    .attn_f32 = attn_f32,
    .attn_end_f32 = attn_end_f32,
};
