/* SPDX-License-Identifier: Apache-2.0
 * Backward passes of linear, activations, norms and attention: plain loops, sums in double, on this thread. They prove
 * that the tape holds what a gradient needs, and are the oracle of faster ones. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/tape.h"
#include "nn/work.h"

/* ---- activations */

static double act_slope(double x, ilki_act act)
{
    double s, t;
    switch (act) {
    case ILKI_ACT_GELU: /* F(x) + x f(x) of the normal distribution */
        return 0.5 * erfc(-x * 0.70710678118654752440) + x * 0.39894228040143267794 * exp(-0.5 * x * x);
    case ILKI_ACT_GELU_TANH:
        t = tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x));
        return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * 0.79788456080286535588 * (1.0 + 3.0 * 0.044715 * x * x);
    case ILKI_ACT_GELU_QUICK:
        s = 1.0 / (1.0 + exp(-1.702 * x));
        return s + 1.702 * x * s * (1.0 - s);
    case ILKI_ACT_SILU:
        s = 1.0 / (1.0 + exp(-x));
        return s + x * s * (1.0 - s);
    case ILKI_ACT_RELU:
        return x > 0.0 ? 1.0 : 0.0;
    case ILKI_ACT_TANH:
        t = tanh(x);
        return 1.0 - t * t;
    case ILKI_ACT_SIGMOID:
        s = 1.0 / (1.0 + exp(-x));
        return s * (1.0 - s);
    case ILKI_ACT_NONE:
        break;
    }
    return 1.0;
}

void ilki_nn_act_backward(const ilki_tape_entry *e, const float *dy, float *dx)
{
    for (size_t i = 0; i < e->n_rows * e->n; i++)
        dx[i] += (float)((double)dy[i] * act_slope((double)e->x[i], e->act));
}

/* ---- linear */

/* W[j][p] out of the packed form */
static double weight(const ilki_tape_entry *e, size_t j, size_t p)
{
    return (double)e->weight_at(e->linear->packed, e->linear->n_in, j, p);
}

/* c[i][j] += scale * sum_k a(i, k) b(k, j) over row-major a, b or their transposes */
typedef struct product {
    const double *a;
    const float *b;
    bool at, bt;
    size_t m, n, k;
    double scale;
} product;

static void add_product(float *c, const product *p)
{
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double s = 0.0;
            for (size_t k = 0; k < p->k; k++)
                s += p->a[p->at ? k * p->m + i : i * p->k + k] * (double)p->b[p->bt ? j * p->k + k : k * p->n + j];
            c[i * p->n + j] += (float)(p->scale * s);
        }
}

/* dh: gradient behind the activation's input [n_rows][n_out] */
static void weight_grads(const ilki_tape_entry *e, const double *dh, const ilki_linear_grad *g)
{
    size_t n_out = e->linear->n_out, n_in = e->linear->n_in;
    for (size_t j = 0; g->db && j < n_out; j++) {
        double s = 0.0;
        for (size_t i = 0; i < e->n_rows; i++)
            s += dh[i * n_out + j];
        g->db[j] += (float)s;
    }
    if (g->dw)
        add_product(g->dw, &(product){dh, e->x, true, false, n_out, n_in, e->n_rows, 1.0});
    for (size_t i = 0; g->dx && i < e->n_rows; i++)
        for (size_t p = 0; p < n_in; p++) {
            double s = 0.0;
            for (size_t j = 0; j < n_out; j++)
                s += dh[i * n_out + j] * weight(e, j, p);
            g->dx[i * n_in + p] += (float)s;
        }
}

/* y += scale (x A^T) B^T: low = x A^T, dlow = scale dh B */
static void delta_grads(const ilki_tape_entry *e, const double *dh, double *dlow, float *low, const ilki_linear_grad *g)
{
    const ilki_lowrank *d = e->linear->delta;
    size_t n_out = e->linear->n_out, n_in = e->linear->n_in, rank = d->rank;
    for (size_t i = 0; i < e->n_rows; i++)
        for (size_t r = 0; r < rank; r++) {
            double s = 0.0, t = 0.0;
            for (size_t j = 0; j < n_out; j++)
                s += dh[i * n_out + j] * (double)d->b[j * rank + r];
            for (size_t p = 0; p < n_in; p++)
                t += (double)e->x[i * n_in + p] * (double)d->a[r * n_in + p];
            dlow[i * rank + r] = (double)d->scale * s;
            low[i * rank + r] = (float)t;
        }
    if (g->db_)
        add_product(g->db_, &(product){dh, low, true, false, n_out, rank, e->n_rows, (double)d->scale});
    if (g->da)
        add_product(g->da, &(product){dlow, e->x, true, false, rank, n_in, e->n_rows, 1.0});
    if (g->dx)
        add_product(g->dx, &(product){dlow, d->a, false, false, e->n_rows, n_in, rank, 1.0});
}

ilk_status ilki_nn_linear_backward(const ilki_tape_entry *e, const float *dy, const ilki_linear_grad *g, ilk_error *err)
{
    size_t n = e->n_rows * e->linear->n_out, n_low = e->linear->delta ? e->n_rows * e->linear->delta->rank : 0;
    double *dh = ilki_base_zalloc(n + n_low, sizeof *dh);
    float *low = ilki_base_zalloc(n_low, sizeof *low);
    ilk_status status = ILK_OK;
    if (!dh || !low) {
        status = ilki_base_fail_memory(err, (n + n_low) * sizeof *dh, "the backward of a linear layer");
        goto end;
    }
    for (size_t i = 0; i < n; i++)
        dh[i] = (double)dy[i] * (e->pre ? act_slope((double)e->pre[i], e->act) : 1.0);
    weight_grads(e, dh, g);
    if (e->linear->delta)
        delta_grads(e, dh, dh + n, low, g);
end:
    free(dh);
    free(low);
    return status;
}

/* ---- norms */

typedef struct row_stats {
    double mean, r; /* r = 1 / sqrt(variance + eps) */
} row_stats;

static row_stats get_stats(const ilki_norm *n, const float *x)
{
    row_stats s = {0};
    double square = 0.0;
    for (size_t j = 0; j < n->dim && !n->rms; j++)
        s.mean += (double)x[j] / (double)n->dim;
    for (size_t j = 0; j < n->dim; j++)
        square += ((double)x[j] - s.mean) * ((double)x[j] - s.mean);
    s.r = 1.0 / sqrt(square / (double)n->dim + (double)n->eps);
    return s;
}

/* dx += r (g - mean g - h mean(g h)), h the normalised row, g = dy w; without mean g for RMS */
static void norm_row(const ilki_norm *n, const row_stats *s, const float *x, const float *dy, float *dx)
{
    double mean_g = 0.0, mean_gh = 0.0;
    for (size_t j = 0; j < n->dim; j++) {
        double g = (double)dy[j] * (double)(n->rms ? n->w[j] + n->w_add : n->w[j]);
        mean_g += g / (double)n->dim;
        mean_gh += g * ((double)x[j] - s->mean) * s->r / (double)n->dim;
    }
    if (n->rms)
        mean_g = 0.0;
    for (size_t j = 0; j < n->dim; j++) {
        double g = (double)dy[j] * (double)(n->rms ? n->w[j] + n->w_add : n->w[j]);
        dx[j] += (float)(s->r * (g - mean_g - ((double)x[j] - s->mean) * s->r * mean_gh));
    }
}

ilk_status ilki_nn_norm_backward(const ilki_tape_entry *e, const float *dy, float *dx, float *dw, float *db,
                                 ilk_error *err)
{
    size_t n = e->norm.dim;
    row_stats *stats = ilki_base_zalloc(e->n_rows, sizeof *stats);
    if (!stats)
        return ilki_base_fail_memory(err, e->n_rows * sizeof *stats, "the backward of a norm");
    for (size_t i = 0; i < e->n_rows; i++) {
        stats[i] = get_stats(&e->norm, e->x + i * n);
        if (dx)
            norm_row(&e->norm, &stats[i], e->x + i * n, dy + i * n, dx + i * n);
    }
    for (size_t j = 0; j < n; j++) {
        double w = 0.0, b = 0.0;
        for (size_t i = 0; i < e->n_rows; i++) {
            w += (double)dy[i * n + j] * ((double)e->x[i * n + j] - stats[i].mean) * stats[i].r;
            b += (double)dy[i * n + j];
        }
        if (dw)
            dw[j] += (float)w;
        if (db)
            db[j] += (float)b;
    }
    free(stats);
    return ILK_OK;
}

/* ---- attention */

typedef struct head_pass {
    const ilki_tape_entry *e;
    const float *dy;
    float *dq;
    size_t first, n, seq; /* the sequence's flat rows */
    size_t head, kv_head;
    double *p, *slope; /* [n_extra + n] probabilities (keys that are not seen: 0), slopes of the soft cap */
    double *dk, *dv;   /* [n][d_qk], [n][d_v] of this key head */
} head_pass;

/* scale q k, capped; *slope gets the derivative of the cap */
static double score(const ilki_attn *d, const float *q, const float *k, double *slope)
{
    double s = 0.0, cap = (double)d->softcap;
    for (size_t x = 0; x < d->d_qk; x++)
        s += (double)q[x] * (double)k[x];
    s *= (double)d->scale;
    *slope = 1.0;
    if (cap > 0.0) {
        double t = tanh(s / cap);
        *slope = 1.0 - t * t;
        s = cap * t;
    }
    return s;
}

static double bias_of(const ilki_attn *d, size_t head, size_t i, size_t j)
{
    if (!d->bias)
        return 0.0;
    ptrdiff_t span = (ptrdiff_t)d->bias_span, r = (ptrdiff_t)j - (ptrdiff_t)i;
    r = r < -span ? -span : r > span ? span : r;
    return (double)d->bias[(ptrdiff_t)(head * (2 * (size_t)d->bias_span + 1)) + r + span];
}

/* The softmax of query i of the sequence into h->p. */
static void probabilities(const head_pass *h, size_t i)
{
    const ilki_attn *d = &h->e->attn;
    const ilki_attn_args *a = &h->e->attn_args;
    const float *q = h->e->x + (h->first + i) * d->n_heads * d->d_qk + h->head * d->d_qk;
    size_t prefix = d->mask == ILKI_MASK_PREFIX ? a->prefix_len[h->seq] : 0, ldk = (size_t)d->n_kv_heads * d->d_qk;
    ilki_nn_interval v = ilki_nn_attn_seen(d, prefix, h->n, i);
    const uint32_t *groups = d->mask == ILKI_MASK_GROUP ? a->groups + h->first : NULL;
    double max = -INFINITY, sum = 0.0;
    size_t n = d->n_extra + h->n;
    for (size_t j = 0; j < n; j++) {
        size_t key = j - d->n_extra;
        h->p[j] = -INFINITY;
        h->slope[j] = 0.0;
        if (j < d->n_extra)
            h->p[j] = score(d, q, d->extra_k + j * ldk + h->kv_head * d->d_qk, &h->slope[j]);
        else if (key >= v.lo && key < v.hi && (!groups || groups[key] == groups[i]))
            h->p[j] = score(d, q, h->e->k + (h->first + key) * ldk + h->kv_head * d->d_qk, &h->slope[j]) +
                      bias_of(d, h->head, i, key);
        max = h->p[j] > max ? h->p[j] : max;
    }
    for (size_t j = 0; j < n; j++) {
        h->p[j] = isfinite(max) ? exp(h->p[j] - max) : 0.0;
        sum += h->p[j];
    }
    for (size_t j = 0; j < n && sum > 0.0; j++)
        h->p[j] /= sum;
}

static double dot(const float *a, const float *b, size_t n)
{
    double s = 0.0;
    for (size_t i = 0; i < n; i++)
        s += (double)a[i] * (double)b[i];
    return s;
}

/* ds_j = p_j (dy v_j - sum_l p_l dy v_l); dq += scale ds_j k_j and so on */
static void query_grads(const head_pass *h, size_t i)
{
    const ilki_attn *d = &h->e->attn;
    size_t ldk = (size_t)d->n_kv_heads * d->d_qk, ldv = (size_t)d->n_kv_heads * d->d_v, at = h->first + i;
    const float *q = h->e->x + at * d->n_heads * d->d_qk + h->head * d->d_qk;
    const float *dy = h->dy + at * d->n_heads * d->d_v + h->head * d->d_v;
    float *dq = h->dq + at * d->n_heads * d->d_qk + h->head * d->d_qk;
    double mean = 0.0;
    probabilities(h, i);
    for (size_t j = 0; j < d->n_extra + h->n; j++) {
        const float *v = j < d->n_extra ? d->extra_v + j * ldv : h->e->v + (h->first + j - d->n_extra) * ldv;
        mean += h->p[j] * dot(dy, v + h->kv_head * d->d_v, d->d_v);
    }
    for (size_t j = 0; j < d->n_extra + h->n; j++) {
        size_t key = j - d->n_extra;
        bool extra = j < d->n_extra;
        const float *v = (extra ? d->extra_v + j * ldv : h->e->v + (h->first + key) * ldv) + h->kv_head * d->d_v;
        const float *k = (extra ? d->extra_k + j * ldk : h->e->k + (h->first + key) * ldk) + h->kv_head * d->d_qk;
        double ds = h->p[j] * (dot(dy, v, d->d_v) - mean) * h->slope[j] * (double)d->scale;
        for (size_t x = 0; x < d->d_qk; x++) {
            dq[x] += (float)(ds * (double)k[x]);
            if (!extra)
                h->dk[key * d->d_qk + x] += ds * (double)q[x];
        }
        for (size_t x = 0; x < d->d_v && !extra; x++)
            h->dv[key * d->d_v + x] += h->p[j] * (double)dy[x];
    }
}

/* All query heads of one key head of one sequence. */
static void key_head_grads(head_pass *h, float *dk, float *dv)
{
    const ilki_attn *d = &h->e->attn;
    size_t group = d->n_heads / d->n_kv_heads;
    memset(h->dk, 0, h->n * d->d_qk * sizeof *h->dk);
    memset(h->dv, 0, h->n * d->d_v * sizeof *h->dv);
    for (h->head = h->kv_head * group; h->head < (h->kv_head + 1) * group; h->head++)
        for (size_t i = 0; i < h->n; i++)
            query_grads(h, i);
    for (size_t i = 0; i < h->n; i++) {
        for (size_t x = 0; x < d->d_qk; x++)
            dk[((h->first + i) * d->n_kv_heads + h->kv_head) * d->d_qk + x] += (float)h->dk[i * d->d_qk + x];
        for (size_t x = 0; x < d->d_v; x++)
            dv[((h->first + i) * d->n_kv_heads + h->kv_head) * d->d_v + x] += (float)h->dv[i * d->d_v + x];
    }
}

ilk_status ilki_nn_attention_backward(const ilki_tape_entry *e, const float *dy, float *dq, float *dk, float *dv,
                                      ilk_error *err)
{
    const uint32_t *offsets = e->attn_args.offsets;
    size_t most = 0;
    for (size_t s = 0; s < e->attn_args.n_seqs; s++)
        most = offsets[s + 1] - offsets[s] > most ? offsets[s + 1] - offsets[s] : most;
    size_t n_p = most + e->attn.n_extra, n = 2 * n_p + most * ((size_t)e->attn.d_qk + e->attn.d_v);
    double *memory = ilki_base_zalloc(n, sizeof *memory);
    if (!memory)
        return ilki_base_fail_memory(err, n * sizeof *memory, "the backward of attention");
    head_pass h = {.e = e, .dy = dy, .dq = dq, .p = memory, .slope = memory + n_p, .dk = memory + 2 * n_p};
    h.dv = h.dk + most * e->attn.d_qk;
    for (h.seq = 0; h.seq < e->attn_args.n_seqs; h.seq++) {
        h.first = offsets[h.seq];
        h.n = offsets[h.seq + 1] - h.first;
        for (h.kv_head = 0; h.kv_head < e->attn.n_kv_heads; h.kv_head++)
            key_head_grads(&h, dk, dv);
    }
    free(memory);
    return ILK_OK;
}
