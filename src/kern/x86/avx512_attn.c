/* SPDX-License-Identifier: Apache-2.0
 * Attention over one block of 64 keys, AVX-512, in three steps over stack memory: scores of all query rows (a product with
 * the transposed keys), the running softmax of each row, and the weighted sum of values on top of the shrunk accumulator.
 * Both products use one tile of 12 rows by 32 columns: 24 named accumulators. Nothing of a row depends on the others. */
#include "kern/x86/avx512_math.h"
#include "kern/x86/avx512_transpose.h"

#include <math.h>
#include <string.h>

enum { ROWS = ILKI_ATTN_ROWS, KEYS = ILKI_ATTN_KEYS, TILE_ROWS = 12, TILE_COLS = 32 };

/* ---- out[r][0..32) = out[r] shrink[r] + sum_p a[r][p] b[p], or without the first term where shrink is NULL */

typedef struct product {
    float *out;
    const float *shrink, *a, *b;
    size_t ldo, lda, ldb, k;
    __mmask16 low, high; /* columns of the two registers that exist */
} product;

#define GET(r)                                                                                                         \
    __m512 c##r##l = _mm512_setzero_ps(), c##r##h = c##r##l;                                                           \
    if (rows > r && shrink) {                                                                                          \
        __m512 s = _mm512_set1_ps(shrink[r]);                                                                          \
        c##r##l = _mm512_mul_ps(s, _mm512_maskz_loadu_ps(low, t->out + r * t->ldo));                                   \
        c##r##h = _mm512_mul_ps(s, _mm512_maskz_loadu_ps(high, t->out + r * t->ldo + 16));                             \
    }
#define STEP(r, from)                                                                                                  \
    if (rows > r) {                                                                                                    \
        __m512 x = _mm512_set1_ps(from);                                                                               \
        c##r##l = _mm512_fmadd_ps(x, bl, c##r##l);                                                                     \
        c##r##h = _mm512_fmadd_ps(x, bh, c##r##h);                                                                     \
    }
#define PUT(r)                                                                                                         \
    if (rows > r) {                                                                                                    \
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
        b += ldb;
        STEP(0, a0[p])
        STEP(1, a0[lda + p])
        STEP(2, a0[2 * lda + p]) STEP(3, a3[p]) STEP(4, a3[lda + p]) STEP(5, a3[2 * lda + p]) STEP(6, a6[p])
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
TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)

    /* All rows and columns of t, whose out, a, b and shrink stand at the first. */
    static void multiply(product t, size_t n_rows, size_t n_cols)
{
    static void (*const tiles[])(const product *) = {NULL,  tile1, tile2, tile3,  tile4,  tile5, tile6,
                                                     tile7, tile8, tile9, tile10, tile11, tile12};
    float *out = t.out;
    const float *a = t.a, *b = t.b, *shrink = t.shrink;
    for (size_t j = 0; j < n_cols; j += TILE_COLS) {
        t.b = b + j;
        t.low = head_mask(n_cols - j);
        t.high = n_cols - j > 16 ? head_mask(n_cols - j - 16) : 0;
        for (size_t i = 0; i < n_rows; i += TILE_ROWS) {
            size_t rows = n_rows - i < TILE_ROWS ? n_rows - i : TILE_ROWS;
            t.out = out + i * t.ldo + j;
            t.a = a + i * t.lda;
            t.shrink = shrink ? shrink + i : NULL;
            tiles[rows](&t);
        }
    }
}

/* ---- softmax */

/* Scores of one row made final, in place; gives their maximum. Places from n_k on become -inf. */
INLINE float finish_scores(float *s, const float *add, size_t n_k, float scale, float softcap)
{
    const __m512 scales = _mm512_set1_ps(scale), cap = _mm512_set1_ps(softcap), lowest = _mm512_set1_ps(-INFINITY);
    __m512 max = lowest;
    for (size_t j = 0; j < n_k; j += 16) {
        __mmask16 mask = head_mask(n_k - j);
        __m512 v = _mm512_mul_ps(_mm512_load_ps(s + j), scales);
        if (softcap > 0.0f)
            v = _mm512_mul_ps(cap, tanh_ps(_mm512_div_ps(v, cap)));
        if (add)
            v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, add + j));
        v = _mm512_mask_blend_ps(mask, lowest, v);
        _mm512_store_ps(s + j, v);
        max = _mm512_max_ps(v, max);
    }
    return _mm512_reduce_max_ps(max);
}

/* Whether a row without a maximum has NaNs, which must come out, or is masked. */
static bool any_nan(const float *s, size_t n_k)
{
    for (size_t j = 0; j < n_k; j++)
        if (s[j] != s[j])
            return true;
    return false;
}

/* s = e^(s - max); gives the sum. */
INLINE float exponentials(float *s, size_t n_k, float max)
{
    const __m512 m = _mm512_set1_ps(max);
    __m512 sum = _mm512_setzero_ps();
    for (size_t j = 0; j < n_k; j += 16) {
        __m512 e = exp_ps(_mm512_sub_ps(_mm512_load_ps(s + j), m));
        _mm512_store_ps(s + j, e);
        sum = _mm512_add_ps(sum, e);
    }
    return _mm512_reduce_add_ps(sum);
}

static void attn_f32(const ilki_attn_f32 *a)
{
    float s[ROWS * KEYS] __attribute__((aligned(64))), shrink[ROWS] __attribute__((aligned(64))), sum[ROWS];
    product scores = {.out = s, .a = a->q, .b = a->kt, .ldo = KEYS, .lda = a->ldq, .ldb = KEYS, .k = a->d};
    multiply(scores, a->n_q, (a->n_k + 15) / 16 * 16);
    for (size_t i = 0; i < a->n_q; i++) {
        float *row = s + i * KEYS;
        float max = finish_scores(row, a->add ? a->add + i * a->ldadd : NULL, a->n_k, a->scale, a->softcap);
        max = max > a->m[i] ? max : a->m[i];
        sum[i] = 0.0f;
        shrink[i] = 0.0f;                                /* e^0 */
        if (max == -INFINITY && !any_nan(row, a->n_k)) { /* all masked so far: weights are zeros, sums stay */
            memset(row, 0, a->n_k * sizeof *row);
            continue;
        }
        sum[i] = exponentials(row, a->n_k, max);
        shrink[i] = a->m[i] - max;
        a->m[i] = max;
    }
    for (size_t i = 0; i < a->n_q; i += 16) {
        __mmask16 mask = head_mask(a->n_q - i);
        __m512 e = exp_ps(_mm512_maskz_load_ps(mask, shrink + i));
        _mm512_store_ps(shrink + i, e);
        e = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a->l + i), e, _mm512_maskz_loadu_ps(mask, sum + i));
        _mm512_mask_storeu_ps(a->l + i, mask, e);
    }
    product values = {
        .out = a->acc, .shrink = shrink, .a = s, .b = a->v, .ldo = a->ldacc, .lda = KEYS, .ldb = a->ldv, .k = a->n_k};
    multiply(values, a->n_q, a->dv);
}

static void pack_keys_f32(float *kt, const float *k, size_t ldk, size_t n_k, size_t d)
{
    for (size_t j = 0; j < KEYS; j += 16)
        for (size_t p = 0; p < d; p += 16)
            transpose16(kt + p * KEYS + j, KEYS, k + (j < n_k ? j * ldk + p : 0), ldk, n_k > j ? n_k - j : 0,
                        d - p < 16 ? d - p : 16);
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
