/* SPDX-License-Identifier: Apache-2.0
 * Attention over one block of 64 keys in bf16 on tiles. Sixteen query rows at a time: their scores are a product with keys
 * that lie as pairs along d; the softmax writes weights as bf16; these times pairs of values, and times ones for their
 * sum, go on top of the shrunk accumulator in f32. Rows that a group lacks are zeros that nobody keeps. The tiles take a
 * third of the time, the exponentials most of the rest. */
#include "kern/x86/amx_tile.h"
#include "kern/x86/avx512_math.h"
#include "kern/x86/avx512_transpose.h"

#include <math.h>

enum {
    KEYS = ILKI_ATTN_KEYS,
    ROWS = TILE_ROWS,
    STEP = 32,      /* of d or of keys in a product */
    PAIR = 2 * ROWS /* columns of values that go at once */
};

static const float LOG2E = 1.44269504f;

static size_t steps_of(size_t d)
{
    return (d + STEP - 1) / STEP;
}

/* Tiles of keys [KEYS / 16][steps of d], then of values [dv / 16][KEYS / 32]. */
static size_t attn_bytes_bf16(size_t d, size_t dv)
{
    return (KEYS / ROWS * steps_of(d) + (dv + ROWS - 1) / ROWS * (KEYS / STEP)) * TILE_BYTES;
}

/* 16 and 16 values as bf16, `low` first. */
INLINE __m512i round_2(__m512 low, __m512 high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

INLINE __m512i round_32(const float *x, size_t n)
{
    return round_2(_mm512_maskz_loadu_ps(head_mask(n), x),
                   n > 16 ? _mm512_maskz_loadu_ps(head_mask(n - 16), x + 16) : _mm512_setzero_ps());
}

/* to [16][STEP]: rows of x from column p on; those from n on are zeros. */
INLINE void round_rows(unsigned char *to, const float *x, size_t ldx, size_t n, size_t width)
{
    for (size_t r = 0; r < ROWS; r++)
        _mm512_storeu_si512(to + r * TILE_ROW_BYTES, r < n ? round_32(x + r * ldx, width) : _mm512_setzero_si512());
}

static void pack_keys(unsigned char *to, const ilki_attn_block *b)
{
    unsigned char rows[TILE_BYTES] __attribute__((aligned(64)));
    for (size_t j = 0; j < b->n_k; j += ROWS)
        for (size_t p = 0; p < b->d; p += STEP) {
            round_rows(rows, b->k + j * b->ldk + p, b->ldk, b->n_k - j, b->d - p);
            transpose16((float *)(void *)(to + (j / ROWS * steps_of(b->d) + p / STEP) * TILE_BYTES), ROWS,
                        (const float *)(const void *)rows, ROWS, ROWS, ROWS);
        }
}

/* Two rows of values side by side: pairs of each column. */
static void pack_values(unsigned char *to, const ilki_attn_block *b)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (size_t x = 0; x < b->dv; x += ROWS) {
        const __mmask16 mask = head_mask(b->dv - x);
        for (size_t j = 0; j < (b->n_k + STEP - 1) / STEP * STEP; j += 2, to += TILE_ROW_BYTES) {
            const float *v = b->v + j * b->ldv + x;
            __m512 first = j < b->n_k ? _mm512_maskz_loadu_ps(mask, v) : _mm512_setzero_ps();
            __m512 second = j + 1 < b->n_k ? _mm512_maskz_loadu_ps(mask, v + b->ldv) : _mm512_setzero_ps();
            _mm512_storeu_si512(to, _mm512_permutexvar_epi16(order, round_2(first, second)));
        }
        to += (KEYS - (b->n_k + STEP - 1) / STEP * STEP) / 2 * TILE_ROW_BYTES;
    }
}

static void pack_attn_bf16(void *packed, const ilki_attn_block *b)
{
    pack_keys(packed, b);
    pack_values((unsigned char *)packed + KEYS / ROWS * steps_of(b->d) * TILE_BYTES, b);
}

/* ---- tiles: 0 and 1 sums, 2 a column of sums, 3 and 6 operands B, 4 and 5 operands A, 7 a column of ones */

static void open_tiles(void)
{
    static const tile_shapes shapes = {{16, 16, 16, 16, 16, 16, 16, 16}, {64, 64, 4, 64, 64, 64, 64, 4}};
    static const uint32_t ones[ROWS] __attribute__((aligned(64))) = {
        0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80,
        0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};
    tiles_shape(&shapes);
    _tile_loadd(7, ones, 4);
}

/* What the softmax of a block does to 16 rows and gives to the product with the values. */
typedef struct weights {
    float s[ROWS * KEYS] __attribute__((aligned(64)));
    uint16_t p[ROWS * KEYS] __attribute__((aligned(64)));
    float o[ROWS * PAIR] __attribute__((aligned(64)));
    float max[ROWS], shrink[ROWS], l[ROWS], by[ROWS];
} weights;

enum { FEW_STEPS = 4 };

/* Query rows as bf16: [n_q / 16][steps] tiles where steps are few; else one tile, made anew for each product. */
typedef struct queries {
    unsigned char tiles[ILKI_ATTN_ROWS / ROWS * FEW_STEPS * TILE_BYTES] __attribute__((aligned(64)));
} queries;

INLINE void round_query(const ilki_attn_f32 *a, unsigned char *to, size_t i, size_t p)
{
    round_rows(to, a->q + i * a->ldq + p * STEP, a->ldq, a->n_q - i, a->d - p * STEP);
}

static void round_queries(const ilki_attn_f32 *a, queries *q)
{
    const size_t steps = steps_of(a->d);
    for (size_t i = 0; i < a->n_q && steps <= FEW_STEPS; i += ROWS)
        for (size_t p = 0; p < steps; p++)
            round_query(a, q->tiles + (i / ROWS * steps + p) * TILE_BYTES, i, p);
}

/* s = q kT, the columns of two tiles a turn */
INLINE void scores(const ilki_attn_f32 *a, queries *q, float *s, size_t i)
{
    const size_t steps = steps_of(a->d);
    const unsigned char *keys = (const unsigned char *)a->kt;
    tiles_fence();
    for (size_t j = 0; j < a->n_k; j += PAIR, keys += 2 * steps * TILE_BYTES) {
        _tile_zero(0);
        _tile_zero(1);
        for (size_t p = 0; p < steps; p++) {
            if (steps > FEW_STEPS) {
                round_query(a, q->tiles, i, p);
                tiles_fence();
                _tile_loadd(4, q->tiles, TILE_ROW_BYTES);
            } else {
                _tile_loadd(4, q->tiles + (i / ROWS * steps + p) * TILE_BYTES, TILE_ROW_BYTES);
            }
            _tile_loadd(3, keys + p * TILE_BYTES, TILE_ROW_BYTES);
            _tile_dpbf16ps(0, 4, 3);
            if (a->n_k - j > ROWS) {
                _tile_loadd(6, keys + (steps + p) * TILE_BYTES, TILE_ROW_BYTES);
                _tile_dpbf16ps(1, 4, 6);
            }
        }
        _tile_stored(0, s + j, KEYS * 4);
        _tile_stored(1, s + j + ROWS, KEYS * 4);
    }
    tiles_fence();
}

/* ---- softmax */

/* 2^x within 2^-13.7 of itself: 2^floor(x) by a polynomial of the rest. */
INLINE __m512 exp2_weight_ps(__m512 x)
{
    __m512 r = _mm512_reduce_ps(x, 9); /* x - floor(x), no exception */
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0x1.3f96a4p-4f), r, _mm512_set1_ps(0x1.cefc4cp-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.64444cp-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.fff632p-1f));
    return _mm512_scalef_ps(p, x);
}

/* Lane r: the maximum of row r's 16 lanes; a tree, the same for every row. */
#define MAX_4(a, b, c, d)                                                                                              \
    max_2(_mm512_castps_pd(_mm512_max_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b))),                         \
          _mm512_castps_pd(_mm512_max_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d))))
INLINE __m512 max_2(__m512d ab, __m512d cd)
{
    return _mm512_max_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
}
INLINE __m512 max_of_lanes(__m512 a, __m512 b)
{
    return _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

/* Maxima of the lanes of row r's scores, made final (in powers of two: `by` is what they are multiplied by) but where they
 * are plain and lack the factor alone, which commutes with the maximum to the bit; places from n_k on become -inf. A
 * maximum passes a NaN over: its exponential brings it out. */
INLINE __m512 row_max(const ilki_attn_f32 *a, const size_t n_k, const bool plain, weights *w, size_t i, size_t r)
{
    const __m512 two = _mm512_set1_ps(LOG2E), by = _mm512_set1_ps(a->scale * LOG2E), lowest = _mm512_set1_ps(-INFINITY);
    float *s = w->s + r * KEYS;
    __m512 max = lowest;
    for (size_t j = 0; j < n_k; j += 16) {
        __mmask16 mask = head_mask(n_k - j);
        __m512 v = _mm512_load_ps(s + j);
        if (!plain) {
            if (a->softcap > 0.0f) {
                v = _mm512_mul_ps(v, _mm512_set1_ps(a->scale));
                v = _mm512_mul_ps(_mm512_set1_ps(a->softcap * LOG2E),
                                  tanh_ps(_mm512_div_ps(v, _mm512_set1_ps(a->softcap))));
            } else {
                v = _mm512_mul_ps(v, by);
            }
            if (a->add && i + r < a->n_q) /* adding 0 changes no bit */
                v = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a->add + (i + r) * a->ldadd + j), two, v);
        }
        if (!plain || n_k - j < 16) {
            v = _mm512_mask_blend_ps(mask, lowest, v);
            _mm512_store_ps(s + j, v);
        }
        max = _mm512_max_ps(v, max);
    }
    return max;
}

/* p = 2^(s - max) as bf16, zeros from n_k to a whole step */
INLINE void exponentials(const ilki_attn_f32 *a, const size_t n_k, const bool plain, weights *w, size_t r)
{
    const float *s = w->s + r * KEYS;
    const __m512 max = _mm512_set1_ps(w->max[r]), by = _mm512_set1_ps(a->scale * LOG2E);
    for (size_t j = 0; j < n_k; j += STEP) {
        __m512 low = _mm512_load_ps(s + j),
               high = n_k - j > 16 ? _mm512_load_ps(s + j + 16) : _mm512_set1_ps(-INFINITY);
        if (plain) {
            low = _mm512_mul_ps(low, by);
            high = _mm512_mul_ps(high, by);
        }
        low = exp2_weight_ps(_mm512_sub_ps(low, max));
        high = n_k - j > 16 ? exp2_weight_ps(_mm512_sub_ps(high, max)) : _mm512_setzero_ps();
        _mm512_store_si512(w->p + r * KEYS + j, round_2(low, high));
    }
}

/* m counts in powers of two. A row with all keys masked so far has m' = -inf; 0 in its place makes its weights and its
 * 2^(m - m') zeros without a branch. */
INLINE void softmax(const ilki_attn_f32 *a, const size_t n_k, const bool plain, weights *w, size_t i)
{
    const __m512 lowest = _mm512_set1_ps(-INFINITY);
    const __mmask16 rows = head_mask(a->n_q - i);
    __m512 four[4];
#pragma GCC unroll 4
    for (size_t r = 0; r < ROWS; r += 4) {
        __m512 x = row_max(a, n_k, plain, w, i, r), y = row_max(a, n_k, plain, w, i, r + 1);
        __m512 z = row_max(a, n_k, plain, w, i, r + 2), t = row_max(a, n_k, plain, w, i, r + 3);
        four[r / 4] = MAX_4(x, y, z, t);
    }
    __m512 max = max_of_lanes(max_of_lanes(four[0], four[1]), max_of_lanes(four[2], four[3]));
    __m512 was = a->first ? lowest : _mm512_mask_loadu_ps(lowest, rows, a->m + i);
    if (plain)
        max = _mm512_mul_ps(max, _mm512_set1_ps(a->scale * LOG2E));
    max = _mm512_max_ps(max, was);
    _mm512_mask_storeu_ps(a->m + i, rows, max);
    max = _mm512_mask_blend_ps(_mm512_cmp_ps_mask(max, lowest, _CMP_EQ_OQ), max, _mm512_setzero_ps());
    _mm512_storeu_ps(w->max, max);
    /* exactly 1 where the maximum stays, so that a block of masked keys changes nothing */
    _mm512_storeu_ps(w->shrink, exp_weight_ps(_mm512_mul_ps(_mm512_sub_ps(was, max), _mm512_set1_ps(0.693147181f))));
    for (size_t r = 0; r < ROWS; r++)
        exponentials(a, n_k, plain, w, r);
}

#define SOFTMAX(name, n_k, plain)                                                                                      \
    static __attribute__((noinline)) void name(const ilki_attn_f32 *a, weights *w, size_t i)                           \
    {                                                                                                                  \
        softmax(a, n_k, plain, w, i);                                                                                  \
    }
SOFTMAX(softmax_plain_whole, KEYS, true)
SOFTMAX(softmax_plain_part, a->n_k, true)
SOFTMAX(softmax_part, a->n_k, false)

/* ---- values */

/* o = p v of two tiles of columns. */
INLINE void products(weights *w, const unsigned char *values, size_t columns, const bool two)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_loadd(3, values, TILE_ROW_BYTES);
    _tile_dpbf16ps(0, 4, 3);
    if (two) {
        _tile_loadd(6, values + TILE_BYTES, TILE_ROW_BYTES);
        _tile_dpbf16ps(0, 5, 6);
    }
    _tile_stored(0, w->o, PAIR * 4);
    if (columns > ROWS) {
        _tile_loadd(3, values + 2 * TILE_BYTES, TILE_ROW_BYTES);
        _tile_dpbf16ps(1, 4, 3);
        if (two) {
            _tile_loadd(6, values + 3 * TILE_BYTES, TILE_ROW_BYTES);
            _tile_dpbf16ps(1, 5, 6);
        }
        _tile_stored(1, w->o + ROWS, PAIR * 4);
    }
    tiles_fence();
}

INLINE void sum_weights(const ilki_attn_f32 *a, weights *w, size_t i)
{
    const __mmask16 rows = head_mask(a->n_q - i);
    __m512 was = a->first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(rows, a->l + i);
    __m512 l = _mm512_fmadd_ps(was, _mm512_loadu_ps(w->shrink), _mm512_loadu_ps(w->l));
    _mm512_mask_storeu_ps(a->l + i, rows, l);
    _mm512_storeu_ps(
        w->by, _mm512_maskz_div_ps(_mm512_cmp_ps_mask(l, _mm512_setzero_ps(), _CMP_NEQ_UQ), _mm512_set1_ps(1.0f), l));
}

/* Columns from x on, at most 16. */
INLINE void end_columns(const ilki_attn_f32 *a, const weights *w, size_t i, size_t x)
{
    const __mmask16 mask = head_mask(a->dv - x);
    const float *o = w->o + x % PAIR;
    for (size_t r = 0; r < ROWS && i + r < a->n_q; r++) {
        __m512 v = _mm512_load_ps(o + r * PAIR);
        float *acc = a->acc + (i + r) * a->ldacc + x;
        if (!a->first)
            v = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, acc), _mm512_set1_ps(w->shrink[r]), v);
        if (a->out)
            _mm512_mask_storeu_ps(a->out + (i + r) * a->ldout + x, mask, _mm512_mul_ps(v, _mm512_set1_ps(w->by[r])));
        else
            _mm512_mask_storeu_ps(acc, mask, v);
    }
}

/* The weighted values of rows i to i + 15, and the sums of the weights. */
INLINE void weigh(const ilki_attn_f32 *a, weights *w, size_t i)
{
    const unsigned char *values = (const unsigned char *)a->kt + KEYS / ROWS * steps_of(a->d) * TILE_BYTES;
    const bool two = a->n_k > STEP;
    tiles_fence();
    _tile_zero(2);
    _tile_loadd(4, w->p, KEYS * 2);
    _tile_dpbf16ps(2, 4, 7);
    if (two) {
        _tile_loadd(5, w->p + STEP, KEYS * 2);
        _tile_dpbf16ps(2, 5, 7);
    }
    _tile_stored(2, w->l, 4);
    tiles_fence();
    for (size_t x = 0; x < a->dv; x += PAIR, values += 2 * (KEYS / STEP) * TILE_BYTES) {
        products(w, values, a->dv - x, two);
        if (x == 0)
            sum_weights(a, w, i);
        end_columns(a, w, i, x);
        if (a->dv - x > ROWS)
            end_columns(a, w, i, x + ROWS);
    }
    if (a->dv == 0)
        sum_weights(a, w, i);
}

/* Loads of tiles wait until stores have reached the cache, and stored tiles until products are done: so the scores of the
 * rows after are on their way under a softmax, and values are weighted one turn behind it. */
static void attn_bf16(const ilki_attn_f32 *a)
{
    const bool plain = !a->add && !(a->softcap > 0.0f) && a->scale > 0.0f;
    void (*soften)(const ilki_attn_f32 *, weights *, size_t) = !plain           ? softmax_part
                                                               : a->n_k == KEYS ? softmax_plain_whole
                                                                                : softmax_plain_part;
    weights w[2];
    queries q;
    if (a->n_q == 0)
        return;
    round_queries(a, &q);
    open_tiles();
    scores(a, &q, w[0].s, 0);
    for (size_t i = 0; i < a->n_q; i += ROWS) {
        const size_t turn = i / ROWS % 2;
        if (i + ROWS < a->n_q)
            scores(a, &q, w[1 - turn].s, i + ROWS);
        soften(a, &w[turn], i);
        if (i > 0)
            weigh(a, &w[1 - turn], i - ROWS);
    }
    weigh(a, &w[(a->n_q - 1) / ROWS % 2], (a->n_q - 1) / ROWS * ROWS);
    tiles_close();
}

const ilki_kern_ops ilki_kern_amx_attn = {
    .name = "amx",
    .attn_bf16_pays = true,
    .attn_bytes_bf16 = attn_bytes_bf16,
    .pack_attn_bf16 = pack_attn_bf16,
    .attn_bf16 = attn_bf16,
};
