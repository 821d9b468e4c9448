/* SPDX-License-Identifier: Apache-2.0
 * The reference kernels: complete, scalar, one accumulator per element, compiled without vectorisation and without
 * contraction. They are the oracle of the comparator and what runs where no other table fits; clarity comes first.
 * Products and sums are rounded apart here (no fused multiply-add), which the bound of docs/NUMERICS.md covers too. */
#include "kern/ops.h"

#include <math.h>
#include <string.h>

enum { NR = 8, MR = 8, WIDE = 8, DEEP = 4 };

#include "kern/pack_i8.inc"

static float act_one(float x, ilki_act act)
{
    switch (act) {
    case ILKI_ACT_GELU:
        return 0.5f * x * erfcf(-0.70710678f * x);
    case ILKI_ACT_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case ILKI_ACT_GELU_QUICK:
        return x / (1.0f + expf(-1.702f * x));
    case ILKI_ACT_SILU:
        return x / (1.0f + expf(-x));
    case ILKI_ACT_RELU:
        return x > 0.0f ? x : 0.0f;
    case ILKI_ACT_TANH:
        return tanhf(x);
    case ILKI_ACT_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case ILKI_ACT_NONE:
        break;
    }
    return x;
}

/* ---- gemm */

#include "kern/panels_f32.inc"

static void pack_f32(void *to, const float *w, size_t ldw, size_t n, size_t k)
{
    float *packed = to;
    for (size_t j0 = 0; j0 < n; j0 += NR)
        for (size_t p = 0; p < k; p++)
            for (size_t j = j0; j < j0 + NR; j++)
                *packed++ = j < n ? w[j * ldw + p] : 0.0f;
}

static size_t gemm_scratch_f32(size_t m, size_t k)
{
    (void)m;
    (void)k;
    return 0;
}

static void gemm_f32(const ilki_gemm_f32 *g)
{
    for (size_t i = 0; i < g->m; i++) {
        const float *a = g->a + i * g->lda;
        for (size_t j = g->j0; j < g->j1; j++) {
            const float *w = (const float *)g->packed + j / NR * NR * g->k + j % NR;
            float s = 0.0f;
            for (size_t p = 0; p < g->k; p++)
                s += a[p] * w[p * NR];
            if (g->bias)
                s += g->bias[j];
            s = act_one(s, g->act);
            if (g->residual)
                s += g->residual[i * g->ldr + j];
            g->c[i * g->ldc + j] = s;
        }
    }
}

/* ---- bf16: rounded here, multiplied as the f32 that they are */

static float round_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x == x)
        bits = (bits + 0x7fffU + (bits >> 16 & 1U)) & 0xffff0000U;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static size_t packed_bytes_bf16(size_t n, size_t k)
{
    return (n + NR - 1) / NR * NR * k * sizeof(float);
}

static void pack_bf16(void *to, const float *w, size_t ldw, size_t n, size_t k)
{
    pack_f32(to, w, ldw, n, k);
    float *packed = to;
    for (size_t i = 0; i < packed_bytes_bf16(n, k) / sizeof *packed; i++)
        packed[i] = round_bf16(packed[i]);
}

static size_t gemm_scratch_bf16(size_t m, size_t k)
{
    return m * k * sizeof(float);
}

static void gemm_bf16(const ilki_gemm_f32 *g)
{
    ilki_gemm_f32 rounded = *g;
    float *a = g->scratch;
    for (size_t i = 0; i < g->m; i++)
        for (size_t p = 0; p < g->k; p++)
            a[i * g->k + p] = round_bf16(g->a[i * g->lda + p]);
    rounded.a = a;
    rounded.lda = g->k;
    gemm_f32(&rounded);
}

/* ---- i8 */

/* v widens a row's range, in lane 0 of each end. */
static void widen(float *range, float v)
{
    range[0] = v < range[0] ? v : range[0];
    range[ILKI_I8_LANES] = v > range[ILKI_I8_LANES] ? v : range[ILKI_I8_LANES];
}

static void gemm_i8(const ilki_gemm_i8 *g)
{
    for (size_t i = 0; i < g->m; i++) {
        ilki_i8_head head;
        const unsigned char *a = g->a + i * g->lda + sizeof head;
        memcpy(&head, g->a + i * g->lda, sizeof head);
        for (size_t j = g->j0; j < g->j1; j++) {
            panel_i8 p = panel_at(g->packed, g->k, g->n_exact, j / NR * NR);
            int64_t s = 0;
            for (size_t x = 0; x < g->k; x++)
                s += (a[x] - head.zero) * p.codes[x / DEEP * DEEP * WIDE + column_at(g->k, j % NR) + x % DEEP];
            float v = (float)s * (head.scale * p.scale[j % NR]);
            for (size_t x = 0; x < g->n_exact; x++)
                v = fmaf(head.exact[x], p.exact[x * NR + j % NR], v);
            if (g->bias)
                v += g->bias[j];
            v = act_one(v, g->act);
            if (g->residual)
                v += g->residual[i * g->ldr + j];
            g->c[i * g->ldc + j] = v;
            if (g->range && (!g->keep || g->keep[j] != 0.0f))
                widen(g->range + i * 2 * ILKI_I8_LANES, v);
        }
    }
}

static void quant_row_i8(unsigned char *a, const float *x, const float *range_of_x, size_t k, const ilki_i8_channels *c)
{
    ilki_i8_head head = {0};
    float lo = 0.0f, hi = 0.0f, bad = 0.0f;
    for (size_t p = 0; p < k; p++) {
        float v = c->keep ? x[p] * c->keep[p] : x[p];
        lo = v < lo && !range_of_x ? v : lo;
        hi = v > hi && !range_of_x ? v : hi;
        bad += v * 0.0f; /* NaN from what is not finite */
    }
    for (size_t i = 0; i < ILKI_I8_LANES && range_of_x; i++) {
        lo = range_of_x[i] < lo ? range_of_x[i] : lo;
        hi = range_of_x[ILKI_I8_LANES + i] > hi ? range_of_x[ILKI_I8_LANES + i] : hi;
    }
    for (size_t e = 0; e < c->n_exact; e++)
        head.exact[e] = x[c->exact[e]];
    memset(a + sizeof head, 0, ilki_kern_i8_row_bytes(k) - sizeof head);
    float range = hi - lo;
    head.scale = bad != bad || range > 3.4028235e38f ? NAN : 0.0f;
    if (head.scale == 0.0f && range >= 0x1p-118f) {
        float by = 255.0f / range, zero = nearbyintf(-lo * by);
        head.scale = range / 255.0f;
        head.zero = (int32_t)zero;
        for (size_t p = 0; p < k; p++) {
            float t = nearbyintf((c->keep ? x[p] * c->keep[p] : x[p]) * by) + zero;
            a[sizeof head + p] = (unsigned char)(t < 0.0f ? 0.0f : t > 255.0f ? 255.0f : t);
        }
    }
    memcpy(a, &head, sizeof head);
}

static void quant_rows_i8(const ilki_rows_i8 *r)
{
    for (size_t i = 0; i < r->rows; i++)
        quant_row_i8(r->a + i * r->lda, r->x + i * r->ldx, r->range ? r->range + i * 2 * ILKI_I8_LANES : NULL, r->k,
                     r->channels);
}

static void rest_i8(float *rest, const float *x, const unsigned char *row, size_t k, const ilki_i8_channels *c)
{
    ilki_i8_head head;
    memcpy(&head, row, sizeof head);
    for (size_t p = 0; p < k; p++) {
        float left = fmaf(-head.scale, (float)(row[sizeof head + p] - head.zero), x[p]);
        rest[p] = c->keep ? left * c->keep[p] : left;
    }
}

/* ---- attention */

static void pack_keys_f32(float *kt, const float *k, size_t ldk, size_t n_k, size_t d)
{
    for (size_t p = 0; p < d; p++)
        for (size_t j = 0; j < ILKI_ATTN_KEYS; j++)
            kt[p * ILKI_ATTN_KEYS + j] = j < n_k ? k[j * ldk + p] : 0.0f;
}

/* The scores of query row i; gives their maximum, or a NaN if there is one. */
static float attn_scores(const ilki_attn_f32 *a, bool half, size_t i, float s[ILKI_ATTN_KEYS])
{
    float max = -INFINITY;
    for (size_t j = 0; j < a->n_k; j++) {
        float t = 0.0f;
        for (size_t p = 0; p < a->d; p++) {
            float q = a->q[i * a->ldq + p];
            t += (half ? round_bf16(q) : q) * a->kt[p * ILKI_ATTN_KEYS + j];
        }
        t *= a->scale;
        if (a->softcap > 0.0f)
            t = a->softcap * tanhf(t / a->softcap);
        if (a->add)
            t += a->add[i * a->ldadd + j];
        s[j] = t;
        if (t > max || t != t)
            max = t;
        if (max != max)
            return max;
    }
    return max;
}

static void attn_end_f32(float *out, size_t ldout, const float *acc, size_t ldacc, const float *l, size_t n_q,
                         size_t dv)
{
    for (size_t i = 0; i < n_q; i++)
        for (size_t x = 0; x < dv; x++)
            out[i * ldout + x] = l[i] != 0.0f ? acc[i * ldacc + x] / l[i] : 0.0f;
}

/* In bf16 kt and v are rounded already. */
static void attend(const ilki_attn_f32 *a, bool half)
{
    float s[ILKI_ATTN_KEYS];
    for (size_t i = 0; i < a->n_q && a->first; i++) {
        a->m[i] = -INFINITY;
        a->l[i] = 0.0f;
        memset(a->acc + i * a->ldacc, 0, a->dv * sizeof *a->acc);
    }
    for (size_t i = 0; i < a->n_q; i++) {
        float max = attn_scores(a, half, i, s);
        if (max < a->m[i])
            max = a->m[i];
        if (max == -INFINITY) /* every key so far is masked: e^(-inf - -inf) must not be taken */
            continue;
        if (max != max) /* an error upstream is to be seen: the row is NaN from here on */
            for (size_t j = 0; j < a->n_k; j++)
                s[j] = max;
        float shrink = expf(a->m[i] - max), l = a->l[i] * shrink;
        float *acc = a->acc + i * a->ldacc;
        for (size_t x = 0; x < a->dv; x++)
            acc[x] *= shrink;
        for (size_t j = 0; j < a->n_k; j++) {
            float e = expf(s[j] - max);
            e = half ? round_bf16(e) : e;
            l += e;
            for (size_t x = 0; x < a->dv; x++)
                acc[x] += e * a->v[j * a->ldv + x];
        }
        a->m[i] = max;
        a->l[i] = l;
    }
    if (a->out)
        attn_end_f32(a->out, a->ldout, a->acc, a->ldacc, a->l, a->n_q, a->dv);
}

static void attn_f32(const ilki_attn_f32 *a)
{
    attend(a, false);
}

/* kt as of f32, behind it the values, both rounded but kept as f32 */
static size_t attn_bytes_bf16(size_t d, size_t dv)
{
    return (d + dv) * ILKI_ATTN_KEYS * sizeof(float);
}

static void pack_attn_bf16(void *packed, const ilki_attn_block *b)
{
    float *kt = packed, *v = kt + b->d * ILKI_ATTN_KEYS;
    pack_keys_f32(kt, b->k, b->ldk, b->n_k, b->d);
    for (size_t i = 0; i < b->d * ILKI_ATTN_KEYS; i++)
        kt[i] = round_bf16(kt[i]);
    for (size_t j = 0; j < b->n_k; j++)
        for (size_t x = 0; x < b->dv; x++)
            v[j * b->dv + x] = round_bf16(b->v[j * b->ldv + x]);
}

static void attn_bf16(const ilki_attn_f32 *a)
{
    ilki_attn_f32 rounded = *a;
    rounded.v = a->kt + a->d * ILKI_ATTN_KEYS;
    rounded.ldv = a->dv;
    attend(&rounded, true);
}

/* ---- rows; sums of rows in double, so that the oracle has no error worth naming */

static void norm_f32(const ilki_norm_f32 *t)
{
    for (size_t i = 0; i < t->rows; i++) {
        const float *x = t->x + i * t->ldx;
        float *y = t->y + i * t->ldy;
        double sum = 0.0, square = 0.0;
        for (size_t j = 0; j < t->n && !t->rms; j++)
            sum += (double)x[j];
        double mean = sum / (double)t->n;
        for (size_t j = 0; j < t->n; j++)
            square += ((double)x[j] - mean) * ((double)x[j] - mean);
        double r = 1.0 / sqrt(square / (double)t->n + (double)t->eps);
        for (size_t j = 0; j < t->n; j++) {
            y[j] = (float)(((double)x[j] - mean) * r) * (t->rms ? t->w[j] + t->w_add : t->w[j]);
            if (t->b && !t->rms)
                y[j] += t->b[j];
        }
        if (t->a)
            quant_row_i8(t->a + i * t->lda, y, NULL, t->n, t->channels);
    }
}

/* ---- vec */

static void act_f32(float *x, size_t n, ilki_act act)
{
    for (size_t i = 0; i < n; i++)
        x[i] = act_one(x[i], act);
}

static void add_f32(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void gate_f32(const ilki_gate_f32 *g)
{
    for (size_t i = 0; i < g->n; i++) {
        g->y[i] = act_one(g->a[i], g->act) * g->b[i];
        if (g->range && (!g->keep || g->keep[i] != 0.0f))
            widen(g->range, g->y[i]);
    }
}

static void axpy_f32(float *y, const float *x, float a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void scale_f32(float *y, float a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] *= a;
}

static void rope_f32(float *x, const float *cos_, const float *sin_, size_t half, bool interleaved)
{
    size_t step = interleaved ? 2 : 1, offset = interleaved ? 1 : half;
    for (size_t i = 0; i < half; i++) {
        float *p = x + i * step, *q = p + offset;
        float a = *p, b = *q;
        *p = a * cos_[i] - b * sin_[i];
        *q = b * cos_[i] + a * sin_[i];
    }
}

/* ---- dot */

static float dot_f32(const float *a, const float *b, size_t n)
{
    float s = 0.0f;
    for (size_t i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

static void dot_f32_rows(float *out, const float *q, const float *rows, size_t stride, size_t n_rows, size_t n)
{
    for (size_t r = 0; r < n_rows; r++)
        out[r] = dot_f32(q, rows + r * stride, n);
}

static void dot_i8_rows(int32_t *out, const int8_t *q, const int8_t *rows, size_t stride, size_t n_rows, size_t n)
{
    for (size_t r = 0; r < n_rows; r++) {
        int32_t s = 0;
        for (size_t i = 0; i < n; i++)
            s += q[i] * rows[r * stride + i];
        out[r] = s;
    }
}

/* The division is correctly rounded everywhere, so every table gives the same codes. */
static float quant_i8(int8_t *codes, const float *x, size_t n)
{
    float max = 0.0f;
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) > max)
            max = fabsf(x[i]);
    float scale = max / 127.0f; /* 0 also where max is a subnormal too small to divide */
    if (scale == 0.0f) {
        memset(codes, 0, n);
        return 0.0f;
    }
    for (size_t i = 0; i < n; i++) {
        float v = x[i] / scale;        /* past 127 only where scale is a subnormal rounded down */
        v = v > -127.0f ? v : -127.0f; /* a NaN ends here */
        v = v < 127.0f ? v : 127.0f;
        codes[i] = (int8_t)nearbyintf(v);
    }
    return scale;
}

/* ---- peak */

static uint64_t peak_f32(uint64_t n_iterations)
{
    float s[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    volatile float once = 0.999f; /* unknown to the compiler */
    float f = once;
    for (uint64_t i = 0; i < n_iterations; i++)
        for (int j = 0; j < 8; j++)
            s[j] = s[j] * f + f;
    float sum = 0.0f;
    for (int j = 0; j < 8; j++)
        sum += s[j];
    once = sum;
    return n_iterations * 16;
}

static uint64_t peak_i8(uint64_t n_iterations)
{
    uint32_t s[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    volatile int8_t once = 3; /* unknown to the compiler */
    int8_t f = once;
    for (uint64_t i = 0; i < n_iterations; i++)
        for (int j = 0; j < 8; j++)
            s[j] += (uint32_t)((int8_t)s[j] * f);
    uint32_t sum = 0;
    for (int j = 0; j < 8; j++)
        sum += s[j];
    once = (int8_t)sum;
    return n_iterations * 16;
}

static uint64_t peak_read(const void *p, size_t n_bytes)
{
    const unsigned char *bytes = p;
    uint64_t x = 0;
    for (size_t i = 0; i < n_bytes / 64 * 8; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * 8, 8);
        x ^= word;
    }
    return x;
}

static uint8_t clip_byte(int32_t sum, unsigned shift)
{
    int32_t v = sum >> shift;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void bytes_down(uint8_t *out, const uint8_t *const *rows, const ilki_kern_taps *t, size_t i, size_t n)
{
    const int32_t *w = t->weight + i * t->step;
    for (size_t x = 0; x < n; x++) {
        int32_t sum = 1 << (t->shift - 1);
        for (size_t k = 0; k < t->count[i]; k++)
            sum += w[k] * rows[k][x];
        out[x] = clip_byte(sum, t->shift);
    }
}

static void row_across(uint8_t *out, const uint8_t *in, const ilki_kern_taps *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const int32_t *w = t->weight + i * t->step;
        const uint8_t *p = in + (size_t)t->first[i] * 3;
        int32_t r = 1 << (t->shift - 1), g = r, b = r;
        for (uint32_t k = 0; k < t->count[i]; k++, p += 3) {
            r += w[k] * p[0];
            g += w[k] * p[1];
            b += w[k] * p[2];
        }
        out[3 * i] = clip_byte(r, t->shift);
        out[3 * i + 1] = clip_byte(g, t->shift);
        out[3 * i + 2] = clip_byte(b, t->shift);
    }
}

static void rgb_across(uint8_t *const *out, const uint8_t *const *in, size_t n_rows, size_t n_in,
                       const ilki_kern_taps *t)
{
    (void)n_in;
    for (size_t y = 0; y < n_rows; y++)
        row_across(out[y], in[y], t);
}

unsigned ilki_kern_cut_weights(int8_t *parts, const int32_t *weight, size_t n)
{
    unsigned n_parts = 2;
    for (size_t i = 0; i < n; i++) {
        int32_t w = weight[i];
        for (size_t p = 0; p < 3; p++) {
            int8_t low = (int8_t)(uint8_t)((uint32_t)w & 255);
            parts[i / 4 * 12 + p * 4 + i % 4] = low;
            n_parts = p == 2 && low ? 3 : n_parts;
            w = (w - low) / 256;
        }
    }
    return n_parts;
}

const ilki_kern_ops ilki_kern_ref = {
    .name = "ref",
    .gemm_f32_nr = NR,
    .gemm_f32_mr = MR,
    .gemm_f32_gflops = 1,
    .layout_f32 = 1,
    .packed_bytes_f32 = packed_bytes_f32,
    .pack_f32 = pack_f32,
    .packed_at_f32 = packed_at_f32,
    .gemm_scratch_f32 = gemm_scratch_f32,
    .gemm_f32 = gemm_f32,
    .gemm_bf16_nr = NR,
    .gemm_bf16_gflops = 1,
    .layout_bf16 = 1,
    .packed_bytes_bf16 = packed_bytes_bf16,
    .pack_bf16 = pack_bf16,
    .gemm_scratch_bf16 = gemm_scratch_bf16,
    .gemm_bf16 = gemm_bf16,
    PACK_I8_ENTRIES,
    .gemm_i8_mr = MR,
    .gemm_i8_gflops = 1,
    .gemm_i8 = gemm_i8,
    .quant_rows_i8 = quant_rows_i8,
    .rest_i8 = rest_i8,
    .pack_keys_f32 = pack_keys_f32,
    .attn_f32 = attn_f32,
    .attn_end_f32 = attn_end_f32,
    .attn_bytes_bf16 = attn_bytes_bf16,
    .pack_attn_bf16 = pack_attn_bf16,
    .attn_bf16 = attn_bf16,
    .norm_f32 = norm_f32,
    .act_f32 = act_f32,
    .add_f32 = add_f32,
    .gate_f32 = gate_f32,
    .axpy_f32 = axpy_f32,
    .scale_f32 = scale_f32,
    .rope_f32 = rope_f32,
    .dot_f32 = dot_f32,
    .dot_f32_rows = dot_f32_rows,
    .dot_i8_rows = dot_i8_rows,
    .quant_i8 = quant_i8,
    .bytes_down = bytes_down,
    .rgb_across = rgb_across,
    .peak_f32 = peak_f32,
    .peak_i8 = peak_i8,
    .peak_read = peak_read,
};
