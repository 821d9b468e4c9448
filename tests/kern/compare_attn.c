/* SPDX-License-Identifier: Apache-2.0
 * The comparator, attention: blocks of keys in a row against one softmax in double precision, and rows bit by bit against
 * themselves in other company; in f32, and in bf16 with the operands rounded here. */
#include "kern/compare.h"

static bool half; /* the bf16 entries are under test */
static void (*end_rows)(float *, size_t, const float *, size_t, const float *, size_t, size_t);

static double operand(float x)
{
    return (double)(half ? rounded(x) : x);
}

typedef struct attn_case {
    size_t n_q, n_k, d, dv, pad;
    float scale, softcap;
    int mask; /* 0 none; 1 additive; 2 causal-like with whole rows masked; 3 the first block masked for some rows */
    enum kind kind;
} attn_case;

typedef struct attn_data {
    const attn_case *t;
    float *q, *k, *v, *add; /* add is [n_q][n_k] over all keys, or NULL */
    size_t ldq, ldk, ldv, ldadd;
} attn_data;

static void mask_fill(const attn_case *t, float *add, size_t ldadd)
{
    for (size_t i = 0; i < t->n_q; i++)
        for (size_t j = 0; j < t->n_k; j++) {
            float x = uniform();
            if (t->mask == 2 && (i % 5 == 4 || j > i + t->n_k / 2))
                x = -INFINITY;
            if (t->mask == 3 && (i % 2 ? j < ILKI_ATTN_KEYS + 3 : j % 3 == 1))
                x = -INFINITY;
            add[i * ldadd + j] = x;
        }
}

static attn_data data_take(const attn_case *t)
{
    attn_data x = {.t = t, .ldq = t->d + t->pad, .ldk = t->d + t->pad, .ldv = t->dv + t->pad, .ldadd = t->n_k + t->pad};
    x.q = pen_floats(0, span(t->n_q, t->d, x.ldq), t->kind);
    x.k = pen_floats(1, span(t->n_k, t->d, x.ldk), t->kind);
    x.v = pen_floats(2, span(t->n_k, t->dv, x.ldv), t->kind);
    if (t->mask) {
        x.add = pen_take(3, span(t->n_q, t->n_k, x.ldadd) * sizeof(float));
        mask_fill(t, x.add, x.ldadd);
    }
    return x;
}

/* Keys (and in bf16 values) from j on, packed behind the forbidden page's front. */
static float *block_take(const attn_data *x, size_t j, size_t n_k)
{
    const attn_case *t = x->t;
    const float *k = x->k + j * x->ldk;
    ilki_attn_block b = {.k = k, .v = x->v + j * x->ldv, .n_k = n_k, .d = t->d, .dv = t->dv};
    b.ldk = x->ldk;
    b.ldv = x->ldv;
    size_t n = half ? table->attn_bytes_bf16(t->d, t->dv) : t->d * ILKI_ATTN_KEYS * sizeof(float);
    CHECK(n % 4 == 0 && n <= (t->d + t->dv + 62) * ILKI_ATTN_KEYS * 4);
    float *kt = pen_take(7, n);
    if (half)
        table->pack_attn_bf16(kt, &b);
    else
        table->pack_keys_f32(kt, k, x->ldk, n_k, t->d);
    CHECK(pen_kept(7, kt));
    return kt;
}

/* Rows i0 to i0 + n_q through every block of keys; out is [n_q][dv]. `quick`: nothing is set up before the first block, and
 * the last one gives the rows. */
static void attn_way(const attn_data *x, size_t i0, size_t n_q, bool quick, float *out, size_t ldout)
{
    const attn_case *t = x->t;
    size_t ldacc = t->dv + t->pad % 3;
    float *m = pen_take(4, n_q * sizeof *m), *l = pen_take(5, n_q * sizeof *l);
    float *acc = pen_take(6, span(n_q, t->dv, ldacc) * sizeof *acc);
    for (size_t i = 0; i < n_q; i++) {
        m[i] = quick ? NAN : -INFINITY;
        l[i] = quick ? NAN : 0.0f;
        memset(acc + i * ldacc, quick ? 0xff : 0, t->dv * sizeof *acc);
    }
    for (size_t j = 0; j < t->n_k; j += ILKI_ATTN_KEYS) {
        size_t n_k = min_size(t->n_k - j, ILKI_ATTN_KEYS);
        const float *kt = block_take(x, j, n_k);
        bool last = quick && j + n_k == t->n_k;
        ilki_attn_f32 a = {.q = x->q + i0 * x->ldq,
                           .kt = kt,
                           .v = half ? NULL : x->v + j * x->ldv,
                           .m = m,
                           .l = l,
                           .acc = acc,
                           .out = last ? out : NULL,
                           .n_q = n_q,
                           .n_k = n_k,
                           .d = t->d,
                           .dv = t->dv,
                           .ldq = x->ldq,
                           .ldv = x->ldv,
                           .ldadd = x->ldadd,
                           .ldacc = ldacc,
                           .ldout = ldout,
                           .first = quick && j == 0,
                           .scale = t->scale,
                           .softcap = t->softcap};
        a.add = x->add ? x->add + i0 * x->ldadd + j : NULL;
        (half ? table->attn_bf16 : table->attn_f32)(&a);
    }
    CHECK(pen_kept(4, m) && pen_kept(5, l) && pen_kept(6, acc) && gaps_kept(acc, n_q, t->dv, ldacc));
    if (!quick || t->n_k == 0)
        end_rows(out, ldout, acc, ldacc, l, n_q, t->dv);
}

/* Both ways, which must agree to the bit. */
static void attn_run(const attn_data *x, size_t i0, size_t n_q, float *out, size_t ldout)
{
    const attn_case *t = x->t;
    attn_way(x, i0, n_q, false, out, ldout);
    if (t->n_k == 0)
        return;
    float *quick = pen_take(10, n_q * t->dv * sizeof *quick);
    attn_way(x, i0, n_q, true, quick, t->dv);
    CHECK(pen_kept(10, quick));
    for (size_t i = 0; i < n_q; i++)
        if (memcmp(quick + i * t->dv, out + i * ldout, t->dv * sizeof *out)) {
            test_check(false, __FILE__, __LINE__, "attn q %zu k %zu d %zu dv %zu: row %zu has other bits the quick way",
                       n_q, t->n_k, t->d, t->dv, i);
            return;
        }
}

/* Weights of row i into p, and how far each may be off relative to itself. */
static double weights_exact(const attn_data *x, size_t i, double *p)
{
    const attn_case *t = x->t;
    double max = -HUGE_VAL, off = 0.0, sum = 0.0;
    for (size_t j = 0; j < t->n_k; j++) {
        double s = 0.0, size = 0.0, lost = 0.0;
        for (size_t c = 0; c < t->d; c++) {
            double q = operand(x->q[i * x->ldq + c]), k = operand(x->k[j * x->ldk + c]), term = q * k;
            s += term;
            size += fabs(term);
            lost += half ? 0x1p-126 * (fabs(q) + fabs(k) + 2.0) : 0.0; /* what is denormal may count as 0 */
        }
        s *= (double)t->scale;
        double wrong = fabs((double)t->scale) * ((double)(t->d + 2) * (U * size + TINY) + lost);
        if (t->softcap > 0.0f) {
            s = (double)t->softcap * tanh(s / (double)t->softcap);
            wrong += 1.5e-7 * (double)t->softcap + 4 * U * fabs(s);
        }
        if (x->add) {
            s += (double)x->add[i * x->ldadd + j];
            wrong += isfinite(s) ? U * fabs(s) : 0.0;
        }
        p[j] = s;
        off = fmax(off, wrong);
        max = fmax(max, s);
    }
    for (size_t j = 0; j < t->n_k; j++) {
        double d = p[j] - max;
        if (d > -100.0) /* beyond that the weight is nothing either way */
            off = fmax(off, U * fabs(d));
        p[j] = isinf(max) ? 0.0 : exp(d);
        sum += p[j];
    }
    for (size_t j = 0; j < t->n_k; j++)
        p[j] /= sum > 0.0 ? sum : 1.0;
    /* the score's error twice (weight and sum), two exponentials a block, sums over n_k, the division */
    double all = 4.0 * off + (double)(t->n_k + 8 * (t->n_k / ILKI_ATTN_KEYS + 1) + 8) * U;
    return half ? all + 2.02 * (0x1p-9 + 0x1p-13) : all; /* a weight's rounding and its exponential, above and below */
}

static void attn_check(const attn_case *t)
{
    attn_data x = data_take(t);
    size_t ldout = t->dv + t->pad;
    float *out = pen_take(8, span(t->n_q, t->dv, ldout) * sizeof *out);
    double *p = calloc(t->n_k + 1, sizeof *p);
    attn_run(&x, 0, t->n_q, out, ldout);
    CHECK(pen_kept(8, out) && gaps_kept(out, t->n_q, t->dv, ldout));
    for (size_t i = 0; i < t->n_q; i++) {
        double relative = weights_exact(&x, i, p);
        for (size_t c = 0; c < t->dv; c++) {
            double want = 0.0, size = 0.0;
            for (size_t j = 0; j < t->n_k; j++) {
                want += p[j] * operand(x.v[j * x.ldv + c]);
                size += p[j] * fabs(operand(x.v[j * x.ldv + c]));
            }
            double bound = relative * size + 1e-37 * (double)t->n_k;
            if (!within((double)out[i * ldout + c], want, bound)) {
                test_check(false, __FILE__, __LINE__,
                           "attn q %zu k %zu d %zu dv %zu mask %d cap %g kind %d: [%zu][%zu] got %.9g, want %.9g +- %g",
                           t->n_q, t->n_k, t->d, t->dv, t->mask, (double)t->softcap, t->kind, i, c,
                           (double)out[i * ldout + c], want, bound);
                free(p);
                return;
            }
        }
    }
    free(p);
}

static void attn_values(void)
{
    static const size_t widths[] = {0, 1, 5, 16, 20, 32, 48, 64, 72, 80, 128, 256};
    enum { N_WIDTHS = sizeof widths / sizeof *widths };
    static const enum kind kinds[] = {PLAIN, PLAIN, SPARSE, SUBNORMAL, ZEROS};
    for (size_t i = 0; i < 2 * N_LENGTHS; i++) {
        uint64_t r = test_random(&seed);
        attn_case t = {.n_q = i % N_LENGTHS,
                       .n_k = (r >> 8) % 200,
                       .d = widths[(r >> 16) % N_WIDTHS],
                       .dv = widths[(r >> 24) % N_WIDTHS],
                       .pad = (r >> 32) % 4,
                       .softcap = (r >> 40) % 5 == 0 ? 5.0f : 0.0f,
                       .mask = (int)((r >> 44) % 4),
                       .kind = kinds[(r >> 48) % 5]};
        t.n_q = min_size(t.n_q, ILKI_ATTN_ROWS);
        t.scale = (r >> 56) % 3 ? 1.0f / sqrtf((float)t.d + 1.0f)
                                : 30.0f; /* 30: weights that meet the end of the range */
        attn_check(&t);
    }
}

static void attn_same_bits(void)
{
    static const attn_case cases[] = {
        {.n_q = 64, .n_k = 150, .d = 32, .dv = 32, .pad = 1, .scale = 0.2f, .mask = 3},
        {.n_q = 64, .n_k = 64, .d = 64, .dv = 64, .scale = 0.1f},
        {.n_q = 64, .n_k = 70, .d = 80, .dv = 40, .pad = 2, .scale = 0.1f, .softcap = 2.0f, .mask = 1},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const attn_case *t = &cases[c];
        attn_data x = data_take(t);
        float *all = pen_take(8, t->n_q * t->dv * sizeof *all), *out = pen_take(9, t->n_q * t->dv * sizeof *out);
        attn_run(&x, 0, t->n_q, all, t->dv);
        for (size_t n_q = 1; n_q <= t->n_q; n_q++)
            for (size_t i = 0; i + n_q <= t->n_q; i += 29) {
                attn_run(&x, i, n_q, out, t->dv);
                if (memcmp(out, all + i * t->dv, n_q * t->dv * sizeof *out)) {
                    test_check(false, __FILE__, __LINE__, "case %zu: rows %zu to %zu have other bits than in %zu", c, i,
                               i + n_q - 1, t->n_q);
                    break;
                }
            }
    }
}

/* A NaN in a row's query comes out, and in no other row. */
static void attn_apart(void)
{
    attn_case t = {.n_q = 30, .n_k = 40, .d = 32, .dv = 32, .scale = 0.2f};
    attn_data x = data_take(&t);
    float *out = pen_take(8, t.n_q * t.dv * sizeof *out);
    x.q[17 * t.d + 3] = NAN;
    attn_run(&x, 0, t.n_q, out, t.dv);
    for (size_t i = 0; i < t.n_q; i++)
        for (size_t c = 0; c < t.dv; c++)
            CHECK(isnan(out[i * t.dv + c]) == (i == 17));
}

/* A table without an end of its own goes by the one that it is laid over. */
static void attn_all(void)
{
    ilki_kern_ops best;
    CHECK(ilki_kern_select(&best, NULL, ilki_base_cpu_features(), NULL, 0, NULL) == ILK_OK);
    end_rows = table->attn_end_f32 ? table->attn_end_f32 : best.attn_end_f32;
    attn_values();
    attn_same_bits();
    attn_apart();
}

static void pack_keys_all(void)
{
    for (size_t d = 0; d < 140; d += 1 + d / 6)
        for (size_t n_k = 0; n_k <= ILKI_ATTN_KEYS; n_k++) {
            size_t ldk = d + n_k % 3;
            float *k = pen_floats(0, span(n_k, d, ldk), WIDE), *kt = pen_take(1, d * ILKI_ATTN_KEYS * sizeof *kt);
            table->pack_keys_f32(kt, k, ldk, n_k, d);
            bool good = pen_kept(1, kt);
            for (size_t x = 0; x < d * ILKI_ATTN_KEYS; x++) {
                size_t j = x % ILKI_ATTN_KEYS;
                good &= j >= (n_k + 15) / 16 * 16 || kt[x] == (j < n_k ? k[j * ldk + x / ILKI_ATTN_KEYS] : 0.0f);
            }
            test_check(good, __FILE__, __LINE__, "keys %zu of %zu", n_k, d);
        }
}

static void attn_end_all(void)
{
    for (size_t dv = 0; dv < N_LENGTHS; dv++) {
        enum { N_Q = 9 };
        size_t ldacc = dv + dv % 2, ldout = dv + dv % 3;
        float *acc = pen_floats(0, span(N_Q, dv, ldacc), WIDE), *l = pen_floats(1, N_Q, PLAIN);
        float *out = pen_take(2, span(N_Q, dv, ldout) * sizeof *out);
        l[3] = 0.0f;
        table->attn_end_f32(out, ldout, acc, ldacc, l, N_Q, dv);
        bool good = pen_kept(2, out) && gaps_kept(out, N_Q, dv, ldout);
        for (size_t i = 0; i < N_Q; i++)
            for (size_t c = 0; c < dv; c++) {
                double want = i == 3 ? 0.0 : (double)acc[i * ldacc + c] / (double)l[i];
                good &= within((double)out[i * ldout + c], want, 2.1 * U * fabs(want));
            }
        test_check(good, __FILE__, __LINE__, "attn_end dv %zu", dv);
    }
}

static void pack_keys(void)
{
    each_table(E_pack_keys_f32, pack_keys_all);
}
static void attn(void)
{
    each_table(E_attn_f32, attn_all);
}
static void attn_half(void)
{
    half = true;
    each_table(E_attn_bf16, attn_all);
    half = false;
}
static void attn_end(void)
{
    each_table(E_attn_end_f32, attn_end_all);
}
static void all_ran(void)
{
    static const enum entry entries[] = {E_pack_keys_f32, E_attn_f32, E_attn_end_f32, E_attn_bf16};
    check_all_ran(entries, sizeof entries / sizeof *entries);
}

TEST_MAIN({"pack_keys", pack_keys}, {"attn", attn}, {"attn_half", attn_half}, {"attn_end", attn_end},
          {"all_ran", all_ran})
