/* SPDX-License-Identifier: Apache-2.0
 * The comparator, products of 8 bits: codes, packed forms and elements up to the activation bit by bit against plain
 * loops written here, activations within their bound; rows and column ranges against each other bit by bit. */
#include "kern/compare.h"

enum { MAX_K = 4096 };

/* ---- channels */

static uint32_t exact[ILKI_I8_EXACT];
static float keep[70000];

static ilki_i8_channels channels(size_t n_exact, size_t k)
{
    for (size_t i = 0; i < k; i++)
        keep[i] = 1.0f;
    for (size_t e = 0; e < n_exact; e++) {
        exact[e] = (uint32_t)(e * (k - 1) / (n_exact - 1)); /* the first and the last among them */
        keep[exact[e]] = 0.0f;
    }
    return (ilki_i8_channels){exact, n_exact, n_exact ? keep : NULL};
}

/* ---- rows of codes */

static bool same_float(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void expect_row(unsigned char *to, const float *x, size_t k, const ilki_i8_channels *c)
{
    ilki_i8_head head = {0};
    float lo = 0.0f, hi = 0.0f;
    bool finite = true;
    for (size_t p = 0; p < k; p++) {
        finite &= isfinite(x[p]) != 0;
        lo = fminf(lo, c->keep && c->keep[p] == 0.0f ? 0.0f : x[p]);
        hi = fmaxf(hi, c->keep && c->keep[p] == 0.0f ? 0.0f : x[p]);
    }
    for (size_t e = 0; e < c->n_exact; e++)
        head.exact[e] = x[c->exact[e]];
    memset(to, 0, ilki_kern_i8_row_bytes(k));
    volatile float range = hi - lo;
    finite &= isfinite(range) != 0;
    if (!finite)
        head.scale = NAN;
    else if (range >= 0x1p-118f) {
        volatile float by = 255.0f / range, low = -lo * by;
        head.scale = range / 255.0f;
        head.zero = (int32_t)lrintf(low);
        for (size_t p = 0; p < k; p++) {
            volatile float v = (c->keep && c->keep[p] == 0.0f ? 0.0f : x[p]) * by;
            long code = lrintf(v) + head.zero;
            to[sizeof head + p] = (unsigned char)(code < 0 ? 0 : code > 255 ? 255 : code);
        }
    }
    memcpy(to, &head, sizeof head);
}

static bool same_row(const unsigned char *a, const unsigned char *b, size_t k)
{
    ilki_i8_head x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    bool same = same_float(x.scale, y.scale) && x.zero == y.zero;
    for (size_t e = 0; e < ILKI_I8_EXACT; e++)
        same &= same_float(x.exact[e], y.exact[e]);
    return same && memcmp(a + sizeof x, b + sizeof x, ilki_kern_i8_row_bytes(k) - sizeof x) == 0;
}

enum { ROWS = 3 };

/* ROWS rows of a kind, or of what codes are hard for. */
static float *hard_rows(size_t k, size_t ldx, int kind)
{
    float *x = pen_floats(0, span(ROWS, k, ldx), kind < N_KINDS ? (enum kind)kind : PLAIN);
    for (size_t i = 0; i < span(ROWS, k, ldx) && kind >= N_KINDS; i++)
        x[i] = kind == N_KINDS       ? (float)(test_random(&seed) % 511) * 0.5f - 100.0f /* ties */
               : kind == N_KINDS + 1 ? uniform() * 0x1p-125f
               : kind == N_KINDS + 2 ? uniform() * 3e38f
                                     : fabsf(uniform()) + 3.0f; /* of one sign */
    if (kind == N_KINDS + 4 && k)
        x[k / 2] = NAN;
    if (kind == N_KINDS + 5 && k)
        x[k - 1] = -INFINITY;
    for (size_t i = 0; i < span(ROWS, k, ldx) && kind >= N_KINDS + 6; i++)
        x[i] = kind == N_KINDS + 6 ? -2.5f : 0.0f;
    if (kind == N_KINDS + 7 && k) /* beside nothing else */
        x[k / 3] = NAN;
    return x;
}
enum { N_HARD = N_KINDS + 8 };

/* What a product that made x would have kept up, its values dealt out over the lanes. */
static const float *ranges_of(const float *x, size_t ldx, size_t k, const ilki_i8_channels *c)
{
    float *range = pen_take(3, (size_t)ROWS * RANGE * sizeof *range);
    memset(range, 0, (size_t)ROWS * RANGE * sizeof *range);
    for (size_t i = 0; i < ROWS * k; i++) {
        float *lo = range + i / k * RANGE + i % k % ILKI_I8_LANES, v = x[i / k * ldx + i % k];
        if (c->keep && c->keep[i % k] == 0.0f)
            continue;
        *lo = fminf(*lo, v);
        lo[ILKI_I8_LANES] = fmaxf(lo[ILKI_I8_LANES], v);
    }
    return range;
}

static void quant_case(size_t k, size_t n_exact, int kind, bool ranged)
{
    size_t lda = ilki_kern_i8_row_bytes(k) + 64 * (k % 2), ldx = k + k % 3;
    float *x = hard_rows(k, ldx, kind);
    ilki_i8_channels c = channels(n_exact, k);
    unsigned char *a = pen_take(1, span(ROWS, ilki_kern_i8_row_bytes(k), lda)), want[sizeof(ilki_i8_head) + MAX_K + 64];
    table->quant_rows_i8(&(ilki_rows_i8){a, x, &c, ranged ? ranges_of(x, ldx, k, &c) : NULL, lda, ldx, ROWS, k});
    CHECK(pen_kept(1, a));
    for (size_t r = 0; r < ROWS; r++) {
        expect_row(want, x + r * ldx, k, &c);
        test_check(same_row(a + r * lda, want, k), __FILE__, __LINE__,
                   "quant_rows k %zu, %zu exact, kind %d, row %zu, %d", k, n_exact, kind, r, (int)ranged);
    }
    if (lda > ilki_kern_i8_row_bytes(k))
        CHECK(a[ilki_kern_i8_row_bytes(k)] == CANARY && a[lda - 1] == CANARY);
}

/* In every length: by a fused multiply-add, 0 at the exact channels, not finite throughout where the row is. */
static void rest_case(size_t k, size_t n_exact, enum kind kind)
{
    ilki_i8_channels c = channels(n_exact, k);
    float *x = pen_floats(0, k, kind), *rest = pen_take(1, k * sizeof *rest);
    unsigned char *row = pen_take(2, ilki_kern_i8_row_bytes(k));
    if (kind == WIDE && k > 9)
        x[9] = INFINITY;
    expect_row(row, x, k, &c);
    ilki_i8_head head;
    memcpy(&head, row, sizeof head);
    table->rest_i8(rest, x, row, k, &c);
    bool good = pen_kept(1, rest);
    for (size_t p = 0; p < k; p++) {
        float left = fmaf(-head.scale, (float)(row[sizeof head + p] - head.zero), x[p]);
        good &= same_float(rest[p], c.keep ? left * c.keep[p] : left);
        good &= !isfinite(head.scale) || fabsf(rest[p]) <= 0.51f * head.scale || !(head.scale > 0.0f);
    }
    test_check(good, __FILE__, __LINE__, "rest k %zu, %zu exact, kind %d", k, n_exact, (int)kind);
}

static void rest_all(void)
{
    for (size_t k = 1; k < 1000; k += 1 + k / 20)
        for (int kind = 0; kind < N_KINDS; kind++)
            rest_case(k, k >= 8 ? k % 3 * 4 : 0, (enum kind)kind);
}

static void quant_all(void)
{
    static const size_t large[] = {127, 384, 1000, MAX_K};
    for (size_t i = 0; i < N_LENGTHS + sizeof large / sizeof *large; i++)
        for (size_t n_exact = 0; n_exact <= ILKI_I8_EXACT; n_exact += 4)
            for (int kind = 0; kind < N_HARD; kind++) {
                size_t k = i < N_LENGTHS ? i : large[i - N_LENGTHS];
                for (int ranged = 0; ranged < 2 && k >= n_exact; ranged++)
                    quant_case(k, n_exact, kind, ranged);
            }
}

/* Rows as the norm by itself makes them, codes as those of such rows; rows apart, in place and one over the other. */
static void norm_case(size_t k, size_t n_exact, int kind, int where)
{
    size_t lda = ilki_kern_i8_row_bytes(k), ldx = k + k % 3, ldy = where == 0 ? k + 1 : where == 1 ? ldx : 0;
    float *x = hard_rows(k, ldx, kind), *w = pen_floats(2, k, PLAIN), *b = pen_floats(3, k, PLAIN);
    float *want = malloc(span(ROWS, k, k) * sizeof *want + 1);
    ilki_norm_f32 n = {.x = x, .y = want, .w = w, .b = k % 4 ? b : NULL, .rows = ROWS, .n = k, .ldx = ldx, .ldy = k};
    n.eps = 1e-6f;
    n.rms = k % 2;
    n.w_add = k % 3 ? 0.0f : 1.0f;
    table->norm_f32(&n);
    ilki_i8_channels c = channels(n_exact, k);
    unsigned char *a = pen_take(1, span(ROWS, lda, lda)), row[sizeof(ilki_i8_head) + MAX_K + 64];
    n.y = where == 1 ? x : pen_take(4, span(where ? 1 : ROWS, k, ldy) * sizeof *n.y);
    n.ldy = ldy;
    n.a = a;
    n.lda = lda;
    n.channels = &c;
    table->norm_f32(&n);
    bool good = pen_kept(1, a) && (where == 1 || (pen_kept(4, n.y) && gaps_kept(n.y, where ? 1 : ROWS, k, ldy)));
    for (size_t r = 0; r < ROWS; r++) {
        expect_row(row, want + r * k, k, &c);
        good &= same_row(a + r * lda, row, k);
        for (size_t p = 0; p < k && (where < 2 || r == ROWS - 1); p++)
            good &= same_float(n.y[r * ldy + p], want[r * k + p]);
    }
    test_check(good, __FILE__, __LINE__, "norm to codes k %zu, %zu exact, kind %d, %d", k, n_exact, kind, where);
    free(want);
}

static void norm_all(void)
{
    static const size_t large[] = {127, 384, 1000, MAX_K};
    for (size_t i = 1; i < N_LENGTHS + sizeof large / sizeof *large; i++)
        for (size_t n_exact = 0; n_exact <= ILKI_I8_EXACT; n_exact += 4)
            for (int kind = 0; kind < 3 * N_HARD; kind++) {
                size_t k = i < N_LENGTHS ? i : large[i - N_LENGTHS];
                if (k >= n_exact)
                    norm_case(k, n_exact, kind / 3, kind % 3);
            }
}

/* ---- the packed form: its size; what is in it the products show */

/* Codes and scale of a row of the weight. */
static float expect_codes(int8_t *to, const float *w, size_t k, const ilki_i8_channels *c)
{
    float max = 0.0f;
    for (size_t p = 0; p < k; p++)
        max = fmaxf(max, c->keep && c->keep[p] == 0.0f ? 0.0f : fabsf(w[p]));
    volatile float by = max >= 0x1p-118f ? 127.0f / max : 0.0f;
    for (size_t p = 0; p < k; p++) {
        volatile float v = (c->keep && c->keep[p] == 0.0f ? 0.0f : w[p]) * by;
        to[p] = (int8_t)lrintf(v);
    }
    return by > 0.0f ? max / 127.0f : 0.0f;
}

static void pack_case(size_t n, size_t k, size_t n_exact, enum kind kind)
{
    size_t ldw = k + n % 3, total = table->packed_bytes_i8(n, k, n_exact), nr = table->gemm_i8_nr;
    CHECK(total <= (n + 255) * (k + 127) * 2 && total % 4 == 0);
    CHECK(total == (n + nr - 1) / nr * table->packed_bytes_i8(nr, k, n_exact));
    float *w = pen_floats(0, span(n, k, ldw), kind);
    unsigned char *packed = pen_take(1, total);
    ilki_i8_channels c = channels(n_exact, k);
    table->pack_i8(packed, w, ldw, n, k, &c);
    CHECK(pen_kept(1, packed));
}

static void pack_all(void)
{
    size_t nr = table->gemm_i8_nr;
    for (size_t n = 0; n < 2 * nr + 2; n += 1 + n / 5)
        for (size_t k = 1; k < N_LENGTHS; k += 1 + k / 4)
            pack_case(n, k, k >= 8 ? n % 3 * 4 : 0, (enum kind)((n + k) % N_KINDS));
    pack_case(5, 1000, 8, PLAIN);
    pack_case(3, MAX_K, 4, WIDE);
}

/* ---- products */

typedef struct i8_case {
    size_t m, n, k, n_exact, pad;
    ilki_act act;
    bool bias;
    int residual; /* 0 none, 1 an array of its own, 2 c itself */
    int extreme;  /* codes and weights at their ends */
    int range;    /* 0 none, 1 kept up for all columns, 2 for some */
    enum kind kind;
} i8_case;

static const unsigned char *code_rows(const i8_case *t, size_t lda, const ilki_i8_channels *c)
{
    float *x = pen_floats(6, t->m * t->k, t->kind);
    for (size_t i = 0; i < t->m * t->k && t->extreme; i++)
        x[i] = t->extreme == 1 || i % t->k == 0 ? 255.0f : 0.0f;
    unsigned char *a = pen_take(0, span(t->m, ilki_kern_i8_row_bytes(t->k), lda));
    for (size_t i = 0; i < t->m; i++)
        expect_row(a + i * lda, x + i * t->k, t->k, c);
    return a;
}

/* The element before its activation, in f32 and in the order that ops.h states. */
static float expect_sum(const ilki_gemm_i8 *g, const int8_t *codes, float scale, const float *w, size_t i, size_t j)
{
    ilki_i8_head head;
    const unsigned char *a = g->a + i * g->lda + sizeof head;
    memcpy(&head, g->a + i * g->lda, sizeof head);
    int64_t s = 0;
    for (size_t p = 0; p < g->k; p++)
        s += (a[p] - head.zero) * codes[p];
    volatile float both = head.scale * scale, v = (float)s * both;
    for (size_t e = 0; e < g->n_exact; e++)
        v = fmaf(head.exact[e], w[exact[e]], v);
    if (g->bias)
        v = v + g->bias[j];
    return v;
}

static bool right(const ilki_gemm_i8 *g, float sum, const float *residual, float got)
{
    volatile float plain = sum;
    if (g->act == ILKI_ACT_NONE || g->act == ILKI_ACT_RELU) {
        plain = g->act == ILKI_ACT_RELU && !(sum > 0.0f) ? 0.0f : sum;
        if (residual)
            plain = plain + *residual;
        return got == plain || (isnan(got) && isnan(plain));
    }
    double out = act_exact((double)sum, g->act), bound = act_bound((double)sum, g->act);
    if (g->act == ILKI_ACT_GELU)
        bound = 1e-4 * fmax(1.0, fabs((double)sum));
    if (residual) {
        bound += U * (fabs(out) + fabs((double)*residual) + bound);
        out += (double)*residual;
    }
    return within((double)got, out, bound);
}

static void gemm_case(const i8_case *t)
{
    size_t lda = ilki_kern_i8_row_bytes(t->k) + 64 * (t->pad % 2), ldw = t->k + t->pad, ldc = t->n + t->pad;
    ilki_i8_channels c = channels(t->n_exact, t->k);
    const unsigned char *a = code_rows(t, lda, &c);
    float *w = pen_floats(1, span(t->n, t->k, ldw), t->kind == ZEROS ? PLAIN : t->kind);
    for (size_t i = 0; i < span(t->n, t->k, ldw) && t->extreme; i++)
        w[i] = i / ldw % 2 ? -1.0f : 1.0f;
    float *bias = pen_floats(2, t->n, PLAIN), *residual = pen_floats(5, span(t->m, t->n, ldc), PLAIN);
    void *packed = pen_take(3, table->packed_bytes_i8(t->n, t->k, t->n_exact));
    float *out = pen_take(4, span(t->m, t->n, ldc) * sizeof *out);
    int8_t *codes = malloc(t->k + 1);
    table->pack_i8(packed, w, ldw, t->n, t->k, &c);
    for (size_t i = 0; i < t->m && t->residual == 2; i++)
        memcpy(out + i * ldc, residual + i * ldc, t->n * sizeof *out);
    ilki_gemm_i8 g = {
        .a = a, .packed = packed, .bias = t->bias ? bias : NULL, .c = out, .m = t->m, .n = t->n, .k = t->k};
    g.lda = lda;
    g.ldc = g.ldr = ldc;
    g.n_exact = t->n_exact;
    g.j1 = t->n;
    g.act = t->act;
    g.residual = t->residual == 2 ? out : t->residual ? residual : NULL;
    float *range = pen_take(7, t->m * RANGE * sizeof *range), *kept = malloc((t->n + 1) * sizeof *kept);
    for (size_t j = 0; j < t->n; j++)
        kept[j] = (j * 7 + t->n) % 5 ? 1.0f : 0.0f;
    range_begin(range, t->m);
    g.range = t->range ? range : NULL;
    g.keep = t->range == 2 ? kept : NULL;
    table->gemm_i8(&g);
    CHECK(pen_kept(4, out) && gaps_kept(out, t->m, t->n, ldc));
    for (size_t i = 0; i < t->m && t->range; i++)
        test_check(range_right(range + i * RANGE, out + i * ldc, t->n, g.keep), __FILE__, __LINE__,
                   "gemm_i8 %zux%zux%zu, act %d: range of row %zu", t->m, t->n, t->k, (int)t->act, i);
    free(kept);
    for (size_t j = 0; j < t->n && codes; j++) {
        float scale = expect_codes(codes, w + j * ldw, t->k, &c);
        for (size_t i = 0; i < t->m; i++) {
            float sum = expect_sum(&g, codes, scale, w + j * ldw, i, j), got = out[i * ldc + j];
            if (!right(&g, sum, t->residual ? residual + i * ldc + j : NULL, got)) {
                test_check(false, __FILE__, __LINE__,
                           "gemm_i8 %zux%zux%zu, %zu exact, act %d: [%zu][%zu] %.9g, sum %.9g", t->m, t->n, t->k,
                           t->n_exact, (int)t->act, i, j, (double)got, (double)sum);
                j = t->n;
                break;
            }
        }
    }
    free(codes);
}

static void gemm_values(void)
{
    size_t n_done = 0;
    for (size_t n = 1; n < N_LENGTHS; n += 1 + n / 6)
        for (size_t k = 1; k < N_LENGTHS; k += 1 + k / 4, n_done++) {
            i8_case t = {
                .m = 1 + n_done % 20, .n = n, .k = k, .n_exact = k >= 8 ? n_done % 3 * 4 : 0, .pad = n_done % 3};
            t.act = (ilki_act)(n_done / 3 % N_ACTS);
            t.bias = n_done % 5 != 0;
            t.residual = (int)(n_done / 2 % 3);
            t.kind = (enum kind)(n_done % N_KINDS);
            t.range = (int)(n_done / 2 % 3);
            gemm_case(&t);
        }
    static const size_t large[][3] = {{37, 130, 384},
                                      {16, 64, 1536},
                                      {33, 200, 100},
                                      {70, 65, 320},
                                      {5, 300, 769},
                                      {64, 3, 50},
                                      /* of more weights, or longer, than a kernel may take in one go */
                                      {45, 700, 770},
                                      {70, 70, 1100},
                                      {290, 40, 1030},
                                      {33, 70, 2100},
                                      {63, 40, 4000}};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        for (size_t n_exact = 0; n_exact <= ILKI_I8_EXACT; n_exact += 4) {
            i8_case t = {
                .m = large[i][0], .n = large[i][1], .k = large[i][2], .n_exact = n_exact, .pad = i % 2, .bias = true};
            t.act = (i + n_exact) % 8 ? ILKI_ACT_GELU : ILKI_ACT_NONE;
            t.residual = (int)(i % 3);
            for (t.range = 0; t.range < 3; t.range++)
                gemm_case(&t);
        }
    for (int extreme = 1; extreme <= 2; extreme++) { /* the greatest sums there are */
        i8_case t = {.m = 3, .n = 3, .k = ILKI_I8_MAX_K, .extreme = extreme};
        gemm_case(&t);
        t.k = 300;
        t.m = t.n = 17;
        gemm_case(&t);
    }
}

/* A row has the same bits alone and among others, a column in every range that holds it; a bad row stays alone. */
static void gemm_same_bits(void)
{
    enum { M = 40 };
    static const size_t ks[] = {9, 63, 384};
    size_t nr = table->gemm_i8_nr, n = 3 * nr + 5;
    for (size_t x = 0; x < sizeof ks / sizeof *ks; x++) {
        size_t k = ks[x], lda = ilki_kern_i8_row_bytes(k);
        ilki_i8_channels c = channels(4 * x, k);
        i8_case t = {.m = M, .k = k};
        const unsigned char *a = code_rows(&t, lda, &c);
        float *w = pen_floats(1, n * k, PLAIN), *bias = pen_floats(2, n, PLAIN);
        void *packed = pen_take(3, table->packed_bytes_i8(n, k, c.n_exact));
        float *all = pen_take(4, M * n * sizeof *all), *some = pen_take(5, M * n * sizeof *some);
        ilki_i8_head bad = {.scale = NAN};
        memcpy(pens[0].end - lda, &bad, sizeof bad); /* the last row */
        table->pack_i8(packed, w, k, n, k, &c);
        ilki_gemm_i8 g = {
            .a = a, .packed = packed, .bias = bias, .c = all, .m = M, .n = n, .k = k, .lda = lda, .ldc = n};
        g.n_exact = c.n_exact;
        g.j1 = n;
        g.act = x == 1 ? ILKI_ACT_GELU : ILKI_ACT_NONE;
        table->gemm_i8(&g);
        for (size_t i = 0; i < M * n; i++)
            CHECK(isnan(all[i]) == (i / n == M - 1));
        g.c = some;
        for (g.m = 1; g.m <= M; g.m++)
            for (size_t i = 0; i + g.m <= M; i += M - g.m > 7 ? 7 : 1) {
                g.a = a + i * lda;
                table->gemm_i8(&g);
                if (memcmp(some, all + i * n, g.m * n * sizeof *some))
                    test_check(false, __FILE__, __LINE__, "k %zu: rows %zu to %zu have other bits than in %d", k, i,
                               i + g.m - 1, M);
            }
        g.a = a;
        g.m = M;
        for (g.j0 = 0; g.j0 < n; g.j0 += nr) {
            g.j1 = min_size(g.j0 + (g.j0 ? nr : 2 * nr), n);
            memset(some, CANARY, M * n * sizeof *some);
            table->gemm_i8(&g);
            bool same = true;
            for (size_t i = 0; i < M; i++) {
                same &= memcmp(some + i * n + g.j0, all + i * n + g.j0, (g.j1 - g.j0) * sizeof *some) == 0;
                for (size_t j = 0; j < n * sizeof *some; j++)
                    same &= (j / sizeof *some >= g.j0 && j / sizeof *some < g.j1) ||
                            ((unsigned char *)(some + i * n))[j] == CANARY;
            }
            test_check(same, __FILE__, __LINE__, "k %zu: columns %zu to %zu differ from the whole", k, g.j0, g.j1);
        }
    }
}

static void gemm_all(void)
{
    gemm_values();
    gemm_same_bits();
}

static void quant(void)
{
    each_table(E_quant_rows_i8, quant_all);
    each_table(E_norm_f32, norm_all);
    each_table(E_rest_i8, rest_all);
}

static void pack(void)
{
    each_table(E_packed_bytes_i8, pack_all);
    each_table(E_pack_i8, pack_all);
}

static void gemm(void)
{
    each_table(E_gemm_i8, gemm_all);
}

static void all_ran(void)
{
    static const enum entry entries[] = {E_packed_bytes_i8, E_pack_i8,  E_gemm_i8,
                                         E_quant_rows_i8,   E_norm_f32, E_rest_i8};
    check_all_ran(entries, sizeof entries / sizeof *entries);
}

TEST_MAIN({"quant", quant}, {"pack", pack}, {"gemm", gemm}, {"all_ran", all_ran})
