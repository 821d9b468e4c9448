/* SPDX-License-Identifier: Apache-2.0
 * Rows into and out of the stream: lookup, positions, replaced, added and chosen rows, pooling, unit length. */
#include "alloc_count.h"
#include "nn/layers.h"
#include "nn_test.h"

/* A live context without a pool. */
typedef struct live {
    _Alignas(ILKI_ALIGN) unsigned char memory[4096];
    ilki_ws ws;
    ilk_error err;
    ilki_nn ctx;
} live;

static void live_init(live *l)
{
    ilki_base_ws_init(&l->ws, l->memory, sizeof l->memory);
    ilk_error_init(&l->err);
    l->ctx = (ilki_nn){.ops = &ilki_kern_ref, .ws = &l->ws, .err = &l->err};
}

static ilki_tensor table(const char *name, const float *data, size_t n, size_t dim)
{
    return (ilki_tensor){.name = name,
                         .data = (const unsigned char *)data,
                         .n_bytes = n * dim * sizeof *data,
                         .shape = {n, dim},
                         .rank = 2,
                         .dtype = ILKI_DTYPE_F32};
}

/* ---- lookup */

enum { DIM = 24, WORDS = 50, PLACES = 30, TYPES = 3, ROWS = 5000 };

typedef struct lookup {
    ilki_tensor word, position, type;
    ilki_lookup_args a;
} lookup;

static void run_lookup(ilki_nn *ctx, void *arg)
{
    ilki_nn_lookup(ctx, &((lookup *)arg)->a);
}

static void check_lookup(const ilki_kern_ops *ops, lookup *l)
{
    const ilki_lookup_args *a = &l->a;
    const float *word = (const float *)(const void *)l->word.data,
                *place = (const float *)(const void *)l->position.data,
                *type = (const float *)(const void *)l->type.data;
    size_t ldy = a->ldy ? a->ldy : DIM;
    nn_same(ops, run_lookup, l, a->y, ROWS * ldy);
    for (size_t i = 0; i < ROWS; i++) {
        float want[DIM];
        for (size_t j = 0; j < DIM; j++) {
            float w = a->word ? word[(size_t)a->ids[i] * DIM + j] : 0.0f;
            w *= a->word_scale != 0 ? a->word_scale : 1.0f;
            w += a->type ? type[(size_t)(a->types ? a->types[i] : 0) * DIM + j] : 0.0f;
            want[j] = w + (a->position ? place[(size_t)a->positions[i] * DIM + j] : 0.0f);
        }
        if (!CHECK_FLOATS(a->y + i * ldy, want, DIM, 1e-7, 1e-7))
            return;
    }
}

static void lookups(void)
{
    uint64_t seed = 2;
    float *w = nn_random(&seed, WORDS * DIM), *p = nn_random(&seed, PLACES * DIM), *t = nn_random(&seed, TYPES * DIM);
    lookup l = {table("word", w, WORDS, DIM), table("position", p, PLACES, DIM), table("type", t, TYPES, DIM), {0}};
    int32_t ids[3][ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        ids[0][i] = (int32_t)(test_random(&seed) % WORDS);
        ids[1][i] = (int32_t)(test_random(&seed) % PLACES);
        ids[2][i] = (int32_t)(test_random(&seed) % TYPES);
    }
    l.a = (ilki_lookup_args){&l.word, &l.position, &l.type, ids[0], ids[1], ids[2], 0, NULL, ROWS, DIM, 0};
    l.a.y = malloc(ROWS * (DIM + 5) * sizeof(float));
    check_lookup(&ilki_kern_ref, &l);
    l.a.types = NULL;
    l.a.ldy = DIM + 5;
    l.a.word_scale = 4.5f;
    check_lookup(&ilki_kern_ref, &l);
    l.a.type = NULL;
    check_lookup(&ilki_kern_ref, &l);
    l.a.type = &l.type;
    l.a.position = NULL;
    check_lookup(&ilki_kern_ref, &l);
    l.a.word = NULL;
    check_lookup(&ilki_kern_ref, &l);
    free(l.a.y);
    free(w);
    free(p);
    free(t);
}

static void bad_rows(void)
{
    float data[4 * 2] = {0, 0, 0, 0, 0, 0, 0, NAN}, y[2];
    ilki_tensor t = table("words", data, 4, 2);
    static const struct {
        int32_t id;
        ilk_status status;
    } cases[] = {{4, ILK_BAD_ARGUMENT}, {-1, ILK_BAD_ARGUMENT}, {3, ILK_NOT_FINITE}, {2, ILK_OK}};
    for (size_t i = 0; i < 4; i++)
        for (int which = 0; which < 3; which++) {
            live l;
            live_init(&l);
            ilki_lookup_args a = {.y = y, .n_rows = 1, .dim = 2};
            a.word = which == 0 ? &t : NULL;
            a.position = which == 1 ? &t : NULL;
            a.type = which == 2 ? &t : NULL;
            a.ids = a.positions = a.types = &cases[i].id;
            ilki_nn_lookup(&l.ctx, &a);
            CHECK_STATUS(l.ctx.status, cases[i].status, &l.err);
            CHECK(cases[i].status == ILK_OK || strstr(l.err.message, "words") != NULL);
            CHECK(cases[i].status != ILK_BAD_ARGUMENT || strstr(l.err.message, "expected 0 to 3") != NULL);
        }
}

static void positions(void)
{
    live l;
    live_init(&l);
    ilki_kv kv = {.n_tokens = 10};
    const ilki_kv *prefix[] = {NULL, &kv, NULL};
    int32_t got[7];
    static const uint32_t offsets[] = {0, 3, 5, 7};
    ilki_nn_positions(&l.ctx, got, offsets, 3, prefix);
    static const int32_t want[] = {0, 1, 2, 10, 11, 0, 1}, bare[] = {0, 1, 2, 0, 1, 0, 1};
    CHECK_MEM(got, want, sizeof want);
    ilki_nn_positions(&l.ctx, got, offsets, 3, NULL);
    CHECK_MEM(got, bare, sizeof bare);
}

static void moved_rows(void)
{
    live l;
    live_init(&l);
    float x[4][3], rows[2][2] = {{1, 2}, {3, 4}}, y[2][2];
    static const uint32_t at[] = {3, 0};
    for (int i = 0; i < 12; i++)
        x[i / 3][i % 3] = (float)(10 * i);
    ilki_nn_replace_rows(&l.ctx, &x[0][0], 3, 1, &rows[0][0], 2, 2);
    static const float replaced[4][3] = {{0, 10, 20}, {1, 2, 50}, {3, 4, 80}, {90, 100, 110}};
    CHECK_MEM(x, replaced, sizeof replaced);
    ilki_nn_add_rows(&l.ctx, &x[0][0], 3, at, &rows[0][0], 2, 2);
    static const float added[4][3] = {{3, 14, 20}, {1, 2, 50}, {3, 4, 80}, {91, 102, 110}};
    CHECK_MEM(x, added, sizeof added);
    ilki_nn_take_rows(&l.ctx, &y[0][0], &x[0][0], 3, at, 2, 2);
    static const float taken[2][2] = {{91, 102}, {3, 14}}, first[2][2] = {{3, 14}, {1, 2}};
    CHECK_MEM(y, taken, sizeof taken);
    ilki_nn_take_rows(&l.ctx, &y[0][0], &x[0][0], 3, NULL, 2, 2);
    CHECK_MEM(y, first, sizeof first);
    /* dense by default; nothing after a failure */
    ilki_nn_replace_rows(&l.ctx, &y[0][0], 0, 1, &rows[1][0], 1, 2);
    CHECK_NEAR(y[1][1], 4, 0);
    ilki_nn_fail(&l.ctx, ILK_IO, "x");
    ilki_nn_replace_rows(&l.ctx, &y[0][0], 0, 1, &rows[0][0], 1, 2);
    CHECK_NEAR(y[1][1], 4, 0);
}

/* ---- pooling */

enum { SEQS = 40, WIDTH = 33 };

typedef struct pooling {
    ilki_pool_args a;
    bool unit;
} pooling;

static void run_pool(ilki_nn *ctx, void *arg)
{
    pooling *p = arg;
    ilki_nn_pool(ctx, &p->a);
    if (p->unit)
        ilki_nn_normalise(ctx, p->a.out, 0, p->a.n_seqs * ilki_nn_pool_count(p->a.modes), p->a.dim);
}

static double want_pooled(const ilki_pool_args *a, unsigned mode, size_t s, size_t j)
{
    size_t ldx = a->ldx ? a->ldx : a->dim, n = a->offsets[s + 1] - a->offsets[s], skip = a->skip ? a->skip[s] : 0;
    const float *x = a->x + a->offsets[s] * ldx + j;
    double sum = 0, weights = 0, max = -1e30;
    for (size_t i = skip; i < n; i++) {
        double v = (double)x[i * ldx], w = mode == ILKI_POOL_WEIGHTED ? (double)(i + 1) : 1;
        sum += w * v;
        weights += w;
        max = v > max ? v : max;
    }
    return mode == ILKI_POOL_CLS         ? (double)x[0]
           : mode == ILKI_POOL_LAST      ? (double)x[(n - 1) * ldx]
           : mode == ILKI_POOL_MAX       ? max
           : mode == ILKI_POOL_MEAN_SQRT ? sum / sqrt((double)(n - skip))
                                         : sum / weights;
}

static void check_pool(const ilki_kern_ops *ops, pooling *p)
{
    size_t n_modes = ilki_nn_pool_count(p->a.modes);
    nn_same(ops, run_pool, p, p->a.out, SEQS * n_modes * WIDTH);
    for (size_t s = 0; s < SEQS; s++) {
        const float *out = p->a.out + s * n_modes * WIDTH;
        for (unsigned mode = 1; mode <= ILKI_POOL_LAST; mode *= 2) {
            if (!(p->a.modes & mode))
                continue;
            double norm = 0;
            for (size_t j = 0; j < WIDTH; j++)
                norm += want_pooled(&p->a, mode, s, j) * want_pooled(&p->a, mode, s, j);
            float want[WIDTH];
            for (size_t j = 0; j < WIDTH; j++)
                want[j] = (float)(want_pooled(&p->a, mode, s, j) / (p->unit ? sqrt(norm) : 1));
            if (!CHECK_FLOATS(out, want, WIDTH, 0, 1.3e-7)) {
                printf("    mode %u of %u, sequence %zu\n", mode, p->a.modes, s);
                return;
            }
            out += WIDTH;
        }
    }
}

static void pools(void)
{
    uint64_t seed = 6;
    uint32_t offsets[SEQS + 1] = {0}, skip[SEQS];
    for (size_t i = 0; i < SEQS; i++) {
        uint32_t n = 1 + (uint32_t)(test_random(&seed) % 300);
        offsets[i + 1] = offsets[i] + n;
        skip[i] = (uint32_t)(test_random(&seed) % n);
    }
    float *x = nn_random(&seed, offsets[SEQS] * (size_t)(WIDTH + 2));
    float *out = malloc(sizeof(float) * SEQS * WIDTH * 6);
    for (unsigned modes = 1; modes < 64; modes += modes < 8 ? 1 : 11)
        for (int i = 0; i < 4; i++) {
            pooling p = {{modes, x, out, i & 1 ? WIDTH + 2 : 0, WIDTH, offsets, SEQS, i & 2 ? skip : NULL}, i == 3};
            check_pool(&ilki_kern_ref, &p);
        }
    for (unsigned mode = 1; mode < 64; mode *= 2) {
        pooling p = {{mode | ILKI_POOL_LAST, x, out, 0, WIDTH, offsets, SEQS, skip}, false};
        check_pool(&ilki_kern_ref, &p);
    }
    free(x);
    free(out);
}

/* 2^25 + 1 + 1 + … in float would lose every 1 */
static void double_sums(void)
{
    enum { N = 1001 };
    live l;
    live_init(&l);
    float x[N], out[1];
    static const uint32_t offsets[] = {0, N};
    for (size_t i = 0; i < N; i++)
        x[i] = i == 0 ? 33554432.0f : 1.0f;
    ilki_nn_pool(&l.ctx, &(ilki_pool_args){ILKI_POOL_MEAN, x, out, 1, 1, offsets, 1, NULL});
    CHECK_NEAR(out[0], (float)((33554432.0 + 1000.0) / 1001.0), 0);
}

static void nothing_left(void)
{
    live l;
    live_init(&l);
    float x[4] = {0}, out[2];
    static const uint32_t offsets[] = {0, 2, 4}, skip[] = {1, 2};
    ilki_nn_pool(&l.ctx, &(ilki_pool_args){ILKI_POOL_MEAN, x, out, 1, 1, offsets, 2, skip});
    CHECK_STATUS(l.ctx.status, ILK_BAD_ARGUMENT, NULL);
    CHECK(strstr(l.err.message, "sequence 1") != NULL);
}

static void unit_length(void)
{
    live l;
    live_init(&l);
    float x[3][4] = {{3, 4, 9, 9}, {0, 0, 9, 9}, {1e-20f, 0, 9, 9}};
    ilki_nn_normalise(&l.ctx, &x[0][0], 4, 3, 2);
    static const float want[3][4] = {{0.6f, 0.8f, 9, 9}, {0, 0, 9, 9}, {1e-8f, 0, 9, 9}};
    CHECK_FLOATS(&x[0][0], &want[0][0], 12, 0, 1e-7);
}

TEST_MAIN({"lookups", lookups}, {"bad rows", bad_rows}, {"positions", positions}, {"moved rows", moved_rows},
          {"pools", pools}, {"double sums", double_sums}, {"nothing left", nothing_left}, {"unit length", unit_length})
