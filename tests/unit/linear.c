/* SPDX-License-Identifier: Apache-2.0
 * Linear layers: weights from tensors and masters, activations, residuals, low-rank deltas, the MLP; rows as blocks; the
 * same bits in every company and on any threads; failures inside a pass. */
#include "tensor/linear.h"

#include "alloc_count.h"
#include "nn/layers.h"
#include "nn/watch.h"
#include "nn/work.h"
#include "nn_test.h"

/* ---- a layer and its call */

typedef struct call {
    ilki_linear l;
    float *w, *x, *residual, *y; /* w [n_out][n_in]; rows of x, residual and y are 3 floats longer than needed */
    size_t n, ldx, ldy;
    ilki_act act;
    bool has_residual, in_place; /* in_place: the residual is y */
} call;

static call new_call(const ilki_kern_ops *ops, size_t n, size_t n_in, size_t n_out, bool bias, uint64_t seed)
{
    call c = {.n = n, .ldx = n_in + 3, .ldy = n_out + 3};
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_tensor_linear_init_master(&c.l, ops, n_out, n_in, bias, &err), &err);
    c.w = c.l.master;
    float *w = nn_random(&seed, n_in * n_out), *b = nn_random(&seed, n_out);
    memcpy(c.w, w, n_in * n_out * sizeof *w);
    if (bias)
        memcpy(c.l.bias, b, n_out * sizeof *b);
    c.l.stale = true;
    ilki_tensor_linear_repack(&c.l, ops);
    CHECK(!c.l.stale);
    c.x = nn_random(&seed, n * c.ldx);
    c.residual = nn_random(&seed, n * c.ldy);
    c.y = malloc(n * c.ldy * sizeof *c.y);
    free(w);
    free(b);
    return c;
}

static void free_call(call *c)
{
    ilki_tensor_linear_deinit(&c->l);
    free(c->x);
    free(c->residual);
    free(c->y);
}

static void run_linear(ilki_nn *ctx, void *arg)
{
    call *c = arg;
    if (c->in_place && !ilki_nn_measuring(ctx))
        memcpy(c->y, c->residual, c->n * c->ldy * sizeof *c->y);
    ilki_linear_args a = {.x = c->x,
                          .y = c->y,
                          .residual = c->in_place       ? c->y
                                      : c->has_residual ? c->residual
                                                        : NULL,
                          .n_rows = c->n,
                          .ldx = c->ldx,
                          .ldy = c->ldy,
                          .ldr = c->ldy,
                          .act = c->act};
    ilki_nn_linear(ctx, &c->l, &a);
}

static double want_one(const call *c, size_t i, size_t j)
{
    const float *x = c->x + i * c->ldx;
    size_t n_in = c->l.n_in;
    double s = c->l.bias ? (double)c->l.bias[j] : 0;
    for (size_t p = 0; p < n_in; p++)
        s += (double)x[p] * (double)c->w[j * n_in + p];
    for (size_t r = 0; c->l.delta && r < c->l.delta->rank; r++) {
        double low = 0;
        for (size_t p = 0; p < n_in; p++)
            low += (double)x[p] * (double)c->l.delta->a[r * n_in + p];
        s += (double)c->l.delta->scale * low * (double)c->l.delta->b[j * c->l.delta->rank + r];
    }
    s = act_of(s, c->act);
    return c->has_residual || c->in_place ? s + (double)c->residual[i * c->ldy + j] : s;
}

static void check_call(const ilki_kern_ops *ops, call *c)
{
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(nn_pass(&(ilki_nn){.ops = ops}, run_linear, c, &err), &err);
    float *want = malloc(c->l.n_out * sizeof *want);
    for (size_t i = 0; i < c->n; i++) {
        for (size_t j = 0; j < c->l.n_out; j++)
            want[j] = (float)want_one(c, i, j);
        if (!CHECK_FLOATS(c->y + i * c->ldy, want, c->l.n_out, 3e-7 * (double)(c->l.n_in + 4), 1e-6)) {
            printf("    row %zu of [%zu][%zu] x [%zu], act %d, table %s\n", i, c->n, c->l.n_in, c->l.n_out, (int)c->act,
                   ops->name);
            break;
        }
    }
    free(want);
}

static void set_delta(const ilki_kern_ops *ops, call *c, size_t rank)
{
    uint64_t seed = 77;
    float *a = nn_random(&seed, rank * c->l.n_in), *b = nn_random(&seed, rank * c->l.n_out);
    CHECK_OK(ilki_tensor_linear_set_delta(&c->l, ops, rank, 0.25f, a, b, NULL), NULL);
    free(a);
    free(b);
}

static const size_t shapes[][3] = {{1, 1, 1}, {3, 5, 7}, {17, 33, 20}, {130, 64, 48}, {2, 200, 300}};

static void results(void)
{
    ilki_kern_ops ops[NN_TABLES];
    for (size_t t = 0, n = nn_tables(ops); t < n; t++)
        for (size_t s = 0; s < 5; s++)
            for (unsigned bits = 0; bits < 16; bits++) {
                call c = new_call(&ops[t], shapes[s][0], shapes[s][1], shapes[s][2], bits & 1, s);
                c.has_residual = bits & 2;
                c.in_place = bits & 4;
                if (bits & 8)
                    set_delta(&ops[t], &c, 4);
                for (int act = ILKI_ACT_NONE; act <= ILKI_ACT_SIGMOID; act++) {
                    c.act = (ilki_act)act;
                    check_call(&ops[t], &c);
                }
                free_call(&c);
            }
}

/* A delta replaces the one before; rank 0 takes it away. */
static void deltas(void)
{
    call c = new_call(&ilki_kern_ref, 3, 10, 11, true, 1);
    set_delta(&ilki_kern_ref, &c, 2);
    set_delta(&ilki_kern_ref, &c, 5);
    CHECK_INT(c.l.delta->rank, 5);
    check_call(&ilki_kern_ref, &c);
    c.l.delta->a[3] += 1; /* trained */
    c.l.delta->stale = true;
    ilki_tensor_linear_repack(&c.l, &ilki_kern_ref);
    CHECK(!c.l.delta->stale);
    check_call(&ilki_kern_ref, &c);
    set_delta(&ilki_kern_ref, &c, 0);
    CHECK(c.l.delta == NULL);
    check_call(&ilki_kern_ref, &c);
    free_call(&c);
}

/* ---- the same bits */

static void threads(void)
{
    ilki_kern_ops ops[NN_TABLES];
    static const size_t sizes[][3] = {{700, 96, 130}, {3, 512, 700}, {1, 1000, 1500}};
    for (size_t t = 0, n = nn_tables(ops); t < n; t++)
        for (size_t s = 0; s < 3; s++)
            for (int delta = 0; delta < 2; delta++) {
                call c = new_call(&ops[t], sizes[s][0], sizes[s][1], sizes[s][2], true, s);
                c.ldy = sizes[s][2];
                c.act = ILKI_ACT_GELU;
                if (delta)
                    set_delta(&ops[t], &c, 3);
                nn_same(&ops[t], run_linear, &c, c.y, c.n * c.ldy);
                free_call(&c);
            }
}

static void rows_alone(void)
{
    ilki_kern_ops ops[NN_TABLES];
    ilk_error err;
    ilk_error_init(&err);
    for (size_t t = 0, n = nn_tables(ops); t < n; t++)
        for (int delta = 0; delta < 2; delta++) {
            call c = new_call(&ops[t], 150, 100, 90, true, 5);
            if (delta)
                set_delta(&ops[t], &c, 3);
            CHECK_OK(nn_pass(&(ilki_nn){.ops = &ops[t]}, run_linear, &c, &err), &err);
            float one[93];
            for (size_t i = 0; i < c.n; i += 7) {
                call alone = c;
                alone.x = c.x + i * c.ldx;
                alone.y = one;
                alone.n = 1;
                CHECK_OK(nn_pass(&(ilki_nn){.ops = &ops[t]}, run_linear, &alone, &err), &err);
                CHECK_FLOATS(one, c.y + i * c.ldy, 90, 0, 0);
            }
            free_call(&c);
        }
}

/* ---- from tensors */

static ilki_tensor matrix(const char *name, const void *data, ilki_dtype dtype, size_t n_out, size_t n_in)
{
    ilki_tensor t = {.name = name, .data = data, .shape = {n_out, n_in}, .rank = n_in ? 2 : 1, .dtype = dtype};
    t.n_bytes = n_out * (n_in ? n_in : 1) * ilki_tensor_dtype_bits(dtype) / 8;
    return t;
}

/* Upper halves of floats: bf16 that is exact. */
static void to_bf16(const float *x, uint16_t *to, float *back, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], 4);
        to[i] = (uint16_t)(u >> 16);
        u &= 0xffff0000U;
        memcpy(&back[i], &u, 4);
    }
}

/* q, k, v of two types and three sizes, the second without bias, as one GEMM; bands of conversion end inside a part. */
static void stacked(void)
{
    ilki_kern_ops ops[NN_TABLES];
    enum { K = 37, A = 150, B = 60, C = 62, N = A + B + C };
    uint64_t seed = 3;
    float *w = nn_random(&seed, N * K), *b = nn_random(&seed, N), *x = nn_random(&seed, 2 * K);
    uint16_t *half = malloc((size_t)A * K * sizeof *half);
    to_bf16(w, half, w, (size_t)A * K);
    ilki_tensor wa = matrix("a.weight", half, ILKI_DTYPE_BF16, A, K),
                wb = matrix("b.weight", w + A * K, ILKI_DTYPE_F32, B, K),
                wc = matrix("c.weight", w + (A + B) * K, ILKI_DTYPE_F32, C, K),
                ba = matrix("a.bias", b, ILKI_DTYPE_F32, A, 0), bc = matrix("c.bias", b + A + B, ILKI_DTYPE_F32, C, 0);
    memset(b + A, 0, B * sizeof *b);
    const ilki_tensor *const ws[] = {&wa, &wb, &wc}, *const bs[] = {&ba, NULL, &bc};
    ilk_error err;
    ilk_error_init(&err);
    for (size_t t = 0, n = nn_tables(ops); t < n; t++)
        for (int biased = 0; biased < 2; biased++) {
            float y[2 * N];
            call c = {.w = w, .x = x, .y = y, .n = 2, .ldx = K, .ldy = N};
            CHECK_OK(ilki_tensor_linear_init(&c.l, &ops[t], ws, biased ? bs : NULL, 3, &err), &err);
            CHECK(c.l.source == NULL);
            CHECK_INT(c.l.n_out, N);
            CHECK(!c.l.bias == !biased);
            if (biased)
                CHECK_FLOATS(c.l.bias, b, N, 0, 0);
            check_call(&ops[t], &c);
            ilki_tensor_linear_deinit(&c.l);
            CHECK_OK(ilki_tensor_linear_init(&c.l, &ops[t], ws, bs, 1, &err), &err);
            CHECK(c.l.source == &wa);
            ilki_tensor_linear_deinit(&c.l);
        }
    free(w);
    free(b);
    free(x);
    free(half);
}

/* The same packed form, whether f32 is packed from where it lies (one part; bands that end with a part) or by way of a
 * buffer (odd addresses; bands across parts), into memory of its own or of a model's block. */
static void packed_from_anywhere(void)
{
    ilki_kern_ops ops[NN_TABLES];
    enum { K = 21, N = 211 };
    uint64_t seed = 5;
    float *w = nn_random(&seed, N * K);
    char *odd = malloc((size_t)N * K * sizeof *w + 1);
    memcpy(odd + 1, w, (size_t)N * K * sizeof *w);
    for (size_t t = 0, n = nn_tables(ops); t < n; t++) {
        size_t n_first = 2 * ops[t].gemm_f32_nr, n_bytes = 0;
        ilki_tensor whole = matrix("w", w, ILKI_DTYPE_F32, N, K), moved = matrix("w", odd + 1, ILKI_DTYPE_F32, N, K),
                    a = matrix("a", w, ILKI_DTYPE_F32, n_first, K),
                    b = matrix("b", w + n_first * K, ILKI_DTYPE_F32, N - n_first, K),
                    c = matrix("c", w, ILKI_DTYPE_F32, 5, K), d = matrix("d", w + 5 * K, ILKI_DTYPE_F32, N - 5, K);
        const ilki_tensor *const ways[][2] = {{&moved, NULL}, {&a, &b}, {&c, &d}, {&whole, NULL}};
        const ilki_tensor *const first[] = {&whole};
        ilki_linear want, l;
        CHECK_OK(ilki_tensor_linear_init(&want, &ops[t], first, NULL, 1, NULL), NULL);
        CHECK(ilki_tensor_packed_bytes(&ops[t], ILKI_FORM_F32, N, K, &n_bytes) && n_bytes >= N * K * sizeof *w);
        void *room = ilki_base_alloc_aligned(n_bytes, 1);
        for (size_t i = 0; i < 2 * sizeof ways / sizeof *ways; i++) {
            void *at = i % 2 ? NULL : room;
            const ilki_tensor *const *way = ways[i / 2];
            CHECK_OK(ilki_tensor_linear_init_at(&l, &(ilki_packing){.form = ILKI_FORM_F32, .room = at}, &ops[t], way,
                                                NULL, way[1] ? 2 : 1, NULL),
                     NULL);
            CHECK((l.packed == room) == (at == room));
            CHECK(memcmp(l.packed, want.packed, n_bytes) == 0);
            ilki_tensor_linear_deinit(&l);
            CHECK(l.packed == NULL);
        }
        free(room);
        ilki_tensor_linear_deinit(&want);
    }
    size_t n_bytes = 7;
    CHECK(!ilki_tensor_packed_bytes(&ops[0], ILKI_FORM_F32, SIZE_MAX, 8, &n_bytes));
    CHECK(!ilki_tensor_packed_bytes(&ops[0], ILKI_FORM_F32, SIZE_MAX / 16, 64, &n_bytes));
    free(odd);
    free(w);
}

static void bad_tensors(void)
{
    float data[64] = {0}, nan[64] = {[63] = NAN};
    ilki_tensor good = matrix("good", data, ILKI_DTYPE_F32, 8, 8),
                narrow = matrix("narrow", data, ILKI_DTYPE_F32, 8, 7),
                vector = matrix("vector", data, ILKI_DTYPE_F32, 64, 0),
                empty = matrix("empty", data, ILKI_DTYPE_F32, 8, 8), bad = matrix("bad", nan, ILKI_DTYPE_F32, 8, 8),
                bias = matrix("bias", data, ILKI_DTYPE_F32, 9, 0),
                bad_bias = matrix("bad_bias", nan + 56, ILKI_DTYPE_F32, 8, 0);
    empty.shape[1] = 0;
    const struct {
        const ilki_tensor *w[2], *b[2];
        size_t n;
        ilk_status status;
        const char *names;
    } bads[] = {
        {{&good, &narrow}, {NULL}, 2, ILK_MISMATCH, "narrow"}, {{&vector}, {NULL}, 1, ILK_MISMATCH, "vector"},
        {{&empty}, {NULL}, 1, ILK_MISMATCH, "empty"},          {{&good, &bad}, {NULL}, 2, ILK_NOT_FINITE, "bad"},
        {{&good}, {&bias}, 1, ILK_MISMATCH, "bias"},           {{&good}, {&bad_bias}, 1, ILK_NOT_FINITE, "bad_bias"},
        {{&good}, {&good}, 1, ILK_MISMATCH, "good"},
    };
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        ilki_linear l;
        ilk_error err;
        ilk_error_init(&err);
        CHECK_STATUS(ilki_tensor_linear_init(&l, &ilki_kern_ref, bads[i].w, bads[i].b, bads[i].n, &err), bads[i].status,
                     &err);
        CHECK(strstr(err.message, bads[i].names) != NULL);
        CHECK(l.packed == NULL && l.bias == NULL);
    }
}

static void no_memory(void)
{
    float data[64] = {0};
    ilki_tensor w = matrix("w", data, ILKI_DTYPE_F32, 8, 8), b = matrix("b", data, ILKI_DTYPE_F32, 8, 0);
    const ilki_tensor *const ws[] = {&w}, *const bs[] = {&b};
    for (int what = 0; what < 3; what++)
        for (uint64_t n = 1;; n++) {
            ilki_linear l = {0};
            if (what == 2)
                CHECK_OK(ilki_tensor_linear_init(&l, &ilki_kern_ref, ws, bs, 1, NULL), NULL);
            alloc_fail_at(n, false);
            ilk_status status = what == 0   ? ilki_tensor_linear_init(&l, &ilki_kern_ref, ws, bs, 1, NULL)
                                : what == 1 ? ilki_tensor_linear_init_master(&l, &ilki_kern_ref, 8, 8, true, NULL)
                                            : ilki_tensor_linear_set_delta(&l, &ilki_kern_ref, 2, 1, data, data, NULL);
            bool failed = alloc_fail_off();
            CHECK_STATUS(status, failed ? ILK_NO_MEMORY : ILK_OK, NULL);
            ilki_tensor_linear_deinit(&l);
            if (!failed)
                break;
        }
}

/* ---- MLP and chains */

typedef struct mlp_call {
    ilki_linear in, out;
    ilki_mlp mlp;
    float *x, *y;
    size_t n;
} mlp_call;

static void run_mlp(ilki_nn *ctx, void *arg)
{
    mlp_call *m = arg;
    ilki_nn_mlp(ctx, &m->mlp, &(ilki_linear_args){.x = m->x, .y = m->y, .residual = m->x, .n_rows = m->n});
}

static void check_mlp(const ilki_kern_ops *ops, bool gated, bool second)
{
    enum { D = 24, H = 40, N = 300 };
    call in = new_call(ops, N, D, gated ? 2 * H : H, true, 1), out = new_call(ops, N, H, D, true, 2);
    mlp_call m = {.mlp = {&in.l, &out.l, ILKI_ACT_SILU, gated, second}, .x = in.residual, .y = out.y, .n = N};
    nn_same(ops, run_mlp, &m, m.y, (size_t)N * D);
    for (size_t i = 0; i < N; i += 13) {
        float h[H], want[D];
        call first = in;
        first.x = m.x;
        first.ldx = D;
        for (size_t j = 0; j < H; j++)
            h[j] = (float)(act_of(want_one(&first, i, second ? H + j : j), ILKI_ACT_SILU) *
                           (gated ? want_one(&first, i, second ? j : H + j) : 1));
        call one = out;
        one.x = h;
        for (size_t j = 0; j < D; j++)
            want[j] = (float)(want_one(&one, 0, j) + (double)m.x[i * D + j]);
        CHECK_FLOATS(m.y + i * D, want, D, 3e-5, 1e-6);
    }
    free_call(&in);
    free_call(&out);
}

static void mlps(void)
{
    ilki_kern_ops ops[NN_TABLES];
    for (size_t t = 0, n = nn_tables(ops); t < n; t++) {
        check_mlp(&ops[t], false, false);
        check_mlp(&ops[t], true, false);
        check_mlp(&ops[t], true, true);
    }
}

typedef struct sums {
    float *x, *y;
    size_t n;
} sums;

static void run_sums(ilki_nn *ctx, void *arg)
{
    sums *s = arg;
    if (!ilki_nn_measuring(ctx))
        memcpy(s->y, s->x, s->n * 10 * sizeof *s->y);
    ilki_nn_act(ctx, ILKI_ACT_RELU, s->y, 10, s->n, 9);
    ilki_nn_add(ctx, s->y, 10, s->x, 10, s->n, 8);
}

static void element_wise(void)
{
    enum { N = 100000 };
    uint64_t seed = 1;
    sums s = {nn_random(&seed, N * 10), malloc((size_t)N * 10 * sizeof(float)), N};
    nn_same(&ilki_kern_ref, run_sums, &s, s.y, (size_t)N * 10);
    size_t n_bad = 0;
    for (size_t i = 0; i < (size_t)N * 10; i++) {
        float x = s.x[i], relu = x > 0 ? x : 0, want = i % 10 < 8 ? relu + x : i % 10 == 8 ? relu : x;
        n_bad += s.y[i] < want || s.y[i] > want;
    }
    CHECK_INT(n_bad, 0);
    free(s.x);
    free(s.y);
}

/* ---- what a chain is told, and failures inside a pass */

typedef struct chain {
    size_t n, scratch, fail_at;
    atomic_size_t done, most, measured, at_failure;
    atomic_uint bad;
} chain;

static void chain_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    chain *c = arg;
    unsigned char *p = ilki_nn_take(sub, n, c->scratch);
    if (ilki_nn_measuring(sub)) {
        c->measured += 1;
        return;
    }
    if (sub->pool || sub->job || !p || n == 0 || first + n > c->n)
        c->bad++;
    if (p)
        memset(p, 1, n * c->scratch);
    if (first <= c->fail_at && c->fail_at < first + n) {
        ilki_nn_fail(sub, ILK_NOT_FOUND, "row %zu", c->fail_at);
        c->at_failure = c->done; /* from here on nobody begins a block */
    }
    c->done += n;
    if (n > c->most)
        c->most = n;
}

static void run_chain(ilki_nn *ctx, void *arg)
{
    chain *c = arg;
    ilki_nn_rows(ctx, &(ilki_rows_args){chain_rows, c, c->n, 100000});
}

static void chains(void)
{
    ilk_error err;
    ilk_error_init(&err);
    for (unsigned threads = 0; threads < 4; threads++) {
        ilki_pool *pool = NULL;
        if (threads)
            CHECK_OK(ilki_base_pool_new(&pool, threads, NULL), NULL);
        ilki_nn with = {.ops = &ilki_kern_ref, .pool = pool};
        chain c = {.n = 1000, .scratch = 100, .fail_at = 1000};
        CHECK_OK(nn_pass(&with, run_chain, &c, &err), &err);
        CHECK_INT(c.done, 1000);
        CHECK_INT(c.bad, 0);
        CHECK(c.measured >= 2);
        CHECK(c.most <= 50); /* 5 ms of rows of 0.1 ms */
        chain failing = {.n = 1000, .scratch = 0, .fail_at = 500};
        CHECK_STATUS(nn_pass(&with, run_chain, &failing, &err), ILK_NOT_FOUND, NULL);
        CHECK_STR(err.message, "row 500");
        /* who is at a block ends it; the thread that fails may have slept while others went on */
        CHECK(failing.done <= failing.at_failure + 50 * (threads + 1));
        chain one = {.n = 1, .scratch = 8, .fail_at = 1};
        CHECK_OK(nn_pass(&with, run_chain, &one, &err), &err);
        ilki_base_pool_free(pool);
    }
}

/* Fewer rows may need more memory, where what is inside cuts them otherwise: the last block is measured too. */
static void greedy_rows(ilki_nn *ctx, void *arg, size_t first, size_t n)
{
    size_t mark = ilki_base_ws_mark(ctx->ws);
    (void)arg;
    (void)first;
    ilki_nn_take(ctx, 100000 / n, 64);
    ilki_base_ws_release(ctx->ws, mark);
}

static void run_greedy(ilki_nn *ctx, void *arg)
{
    ilki_nn_rows(ctx, &(ilki_rows_args){greedy_rows, arg, 1003, 100000});
}

static void small_last_block(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_nn with = {.ops = &ilki_kern_ref};
    CHECK(1003 % ilki_nn_block_rows(&with, 1003, 100000) != 0);
    CHECK_OK(nn_pass(&with, run_greedy, NULL, &err), &err);
}

/* Estimates decide how long a task is: the reference does about a multiply-add in a ns, others many. */
static void estimates(void)
{
    ilki_kern_ops ops[NN_TABLES];
    size_t n = nn_tables(ops);
    ilki_linear in = {.n_in = 384, .n_out = 1536}, out = {.n_in = 1536, .n_out = 384};
    ilki_lowrank delta = {.rank = 8};
    ilki_mlp mlp = {&in, &out, ILKI_ACT_GELU, .gated = false};
    for (size_t t = 0; t < n; t++) {
        ilki_nn ctx = {.ops = &ops[t]};
        uint64_t flops = 2 * 384 * 1536, ns = ilki_nn_linear_ns(&ctx, &in);
        CHECK(t > 0 ? ns > flops / 400 && ns < flops / 10 : ns > flops / 4 && ns < 4 * flops);
        in.delta = &delta;
        CHECK(ilki_nn_linear_ns(&ctx, &in) > ns);
        in.delta = NULL;
        CHECK(ilki_nn_mlp_ns(&ctx, &mlp) >= 2 * ns);
    }
}

static void overrun(void)
{
    call c = new_call(&ilki_kern_ref, 4, 8, 8, true, 1);
    set_delta(&ilki_kern_ref, &c, 2);
    _Alignas(ILKI_ALIGN) unsigned char memory[128];
    ilki_ws ws;
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_ws_init(&ws, memory, sizeof memory);
    ilki_nn ctx = {.ops = &ilki_kern_ref, .ws = &ws, .err = &err};
    c.y[0] = 123;
    run_linear(&ctx, &c);
    CHECK_STATUS(ctx.status, ILK_LIMIT, NULL);
    CHECK(strstr(err.message, "workspace") != NULL);
    CHECK_NEAR(c.y[0], 123, 0);
    ilki_nn_fail(&ctx, ILK_IO, "later"); /* the first failure stays */
    CHECK_STATUS(ctx.status, ILK_LIMIT, NULL);
    free_call(&c);
}

static void stopped(void)
{
    call c = new_call(&ilki_kern_ref, 4, 8, 8, true, 1);
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    c.y[0] = 123;
    CHECK_STATUS(nn_pass(&(ilki_nn){.ops = &ilki_kern_ref, .job = job}, run_linear, &c, NULL), ILK_CANCELLED, NULL);
    CHECK_NEAR(c.y[0], 123, 0);
    ilk_job_free(job);
    free_call(&c);
}

/* ---- 8 bits */

/* The same weights as `c` has, from a tensor, in a form of 8 bits; `t` stays. */
static call with_form(const call *c, const ilki_kern_ops *ops, ilki_form form, ilki_tensor *t)
{
    call q = *c;
    ilk_error err;
    ilk_error_init(&err);
    *t = (ilki_tensor){.name = "w", .data = (const unsigned char *)c->w, .rank = 2, .dtype = ILKI_DTYPE_F32};
    t->shape[0] = c->l.n_out;
    t->shape[1] = c->l.n_in;
    t->n_bytes = c->l.n_out * c->l.n_in * sizeof(float);
    const ilki_tensor *parts[] = {t};
    CHECK_OK(ilki_tensor_linear_init_at(&q.l, &(ilki_packing){.form = form}, ops, parts, NULL, 1, &err), &err);
    CHECK_INT(q.l.form, form);
    q.l.bias = malloc(c->l.n_out * sizeof(float));
    memcpy(q.l.bias, c->l.bias, c->l.n_out * sizeof(float));
    q.y = malloc(q.n * q.ldy * sizeof *q.y);
    return q;
}

/* Looks at the inputs in a watching pass, and settles. */
static void settle(call *c, const ilki_kern_ops *ops)
{
    static _Alignas(ILKI_ALIGN) unsigned char memory[1 << 20];
    ilki_watch watch = {0};
    ilki_ws ws;
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_ws_init(&ws, memory, sizeof memory);
    ilki_nn ctx = {.ops = ops, .ws = &ws, .watch = &watch, .err = &err};
    run_linear(&ctx, c);
    run_linear(&ctx, c); /* is met once */
    CHECK_OK(ctx.status, &err);
    CHECK(watch.n == 1 && watch.first->linear == &c->l);
    for (size_t k = 0; k < c->l.n_in; k++) {
        float most = 0;
        for (size_t i = 0; i < c->n; i++)
            most = fmaxf(most, fabsf(c->x[i * c->ldx + k]));
        CHECK_NEAR(c->l.i8->seen[k], most, 0);
    }
    CHECK_OK(ilki_tensor_linear_settle(&c->l, ops, &err), &err);
    c->l.i8->seen = NULL;
    ilki_base_arena_deinit(&watch.arena);
}

/* How far 8 bits may end from floats: half a code of each input and each weight, those of exact channels left out. */
static double bound_of(const call *c, const ilki_linear *l, size_t i, size_t j)
{
    if (l->form == ILKI_FORM_BF16) { /* each operand within 2^-9 */
        double size = 0;
        for (size_t k = 0; k < l->n_in; k++)
            size += fabs((double)c->x[i * c->ldx + k] * (double)c->w[j * l->n_in + k]);
        return size * 0x1.02p-8 + 1e-6;
    }
    double lo = 0, hi = 0, most = 0, sum_x = 0, sum_w = 0;
    for (size_t k = 0; k < l->n_in; k++) {
        double keep = l->i8->channels.keep ? (double)l->i8->keep[k] : 1, x = keep * (double)c->x[i * c->ldx + k],
               w = keep * (double)c->w[j * l->n_in + k];
        lo = fmin(lo, x);
        hi = fmax(hi, x);
        most = fmax(most, fabs(w));
        sum_x += fabs(x);
        sum_w += fabs(w);
    }
    double of_w = most / 254 * 1.001, of_x = (hi - lo) / (l->form == ILKI_FORM_I8 ? 255 : 255 * 255) * 1.001;
    return of_x * (sum_w + of_w * (double)l->n_in) + of_w * sum_x + 1e-4;
}

static void check_form(const call *floats, const call *q, double *worst)
{
    *worst = 0;
    for (size_t i = 0; i < q->n; i++)
        for (size_t j = 0; j < q->l.n_out; j++) {
            double off = fabs((double)q->y[i * q->ldy + j] - (double)floats->y[i * q->ldy + j]);
            CHECK(off <= bound_of(floats, &q->l, i, j));
            *worst = fmax(*worst, off);
        }
}

/* Near the floats; nearer by far once the channel that dwarfs the others is exact; the same bits everywhere. */
static void forms(void)
{
    ilki_kern_ops ops[NN_TABLES];
    size_t n_tables = nn_tables(ops);
    for (size_t t = 0; t < n_tables; t++)
        for (int form = ILKI_FORM_I8; form <= ILKI_FORM_I8W; form++) {
            call c = new_call(&ops[t], 37, 70, 150, true, 9);
            ilki_tensor tensor;
            for (size_t i = 0; i < c.n; i++)
                c.x[i * c.ldx + 33] *= 300.0f;
            for (size_t j = 0; j < c.l.n_out; j++)
                c.w[j * 70 + 33] *= 0.003f;
            ilki_tensor_linear_repack(&c.l, &ops[t]);
            c.has_residual = true;
            nn_same(&ops[t], run_linear, &c, c.y, c.n * c.ldy);
            call q = with_form(&c, &ops[t], (ilki_form)form, &tensor);
            double before, after;
            nn_same(&ops[t], run_linear, &q, q.y, q.n * q.ldy);
            check_form(&c, &q, &before);
            settle(&q, &ops[t]);
            CHECK_INT(q.l.i8->channels.n_exact, 4);
            CHECK(q.l.i8->keep[33] == 0.0f);
            nn_same(&ops[t], run_linear, &q, q.y, q.n * q.ldy);
            check_form(&c, &q, &after);
            CHECK(after < before / 4);
            free(q.y);
            ilki_tensor_linear_deinit(&q.l);
            free_call(&c);
        }
}

/* The fifth channel dwarfs the ninth: eight are exact. A delta and an activation work on top. */
static void forms_with_more(void)
{
    ilki_kern_ops ops[NN_TABLES];
    size_t n_tables = nn_tables(ops);
    for (size_t t = 0; t < n_tables; t++) {
        uint64_t seed = 5;
        call c = new_call(&ops[t], 9, 64, 33, true, 3);
        ilki_tensor tensor;
        float *a = nn_random(&seed, 2 * 64), *b = nn_random(&seed, 33 * 2);
        for (size_t i = 0; i < c.n; i++)
            for (size_t k = 0; k < 6; k++)
                c.x[i * c.ldx + 9 * k] *= 50.0f;
        call q = with_form(&c, &ops[t], ILKI_FORM_I8, &tensor);
        settle(&q, &ops[t]);
        CHECK_INT(q.l.i8->channels.n_exact, 8);
        for (uint32_t e = 1; e < 8; e++)
            CHECK(q.l.i8->exact[e - 1] < q.l.i8->exact[e]);
        CHECK_OK(ilki_tensor_linear_set_delta(&c.l, &ops[t], 2, 0.5f, a, b, NULL), NULL);
        CHECK_OK(ilki_tensor_linear_set_delta(&q.l, &ops[t], 2, 0.5f, a, b, NULL), NULL);
        c.act = q.act = ILKI_ACT_RELU;
        double worst;
        nn_same(&ops[t], run_linear, &c, c.y, c.n * c.ldy);
        nn_same(&ops[t], run_linear, &q, q.y, q.n * q.ldy);
        check_form(&c, &q, &worst);
        free(a);
        free(b);
        free(q.y);
        ilki_tensor_linear_deinit(&q.l);
        free_call(&c);
    }
}

static void forms_of_bf16(void)
{
    ilki_kern_ops ops[NN_TABLES];
    size_t n_tables = nn_tables(ops);
    for (size_t t = 0; t < n_tables; t++)
        for (size_t n = 1; n < 60; n += 17) {
            call c = new_call(&ops[t], n, 70, 150, true, 9);
            ilki_tensor tensor;
            double worst;
            c.has_residual = true;
            c.act = n > 20 ? ILKI_ACT_RELU : ILKI_ACT_NONE;
            call q = with_form(&c, &ops[t], ILKI_FORM_BF16, &tensor);
            nn_same(&ops[t], run_linear, &c, c.y, c.n * c.ldy);
            nn_same(&ops[t], run_linear, &q, q.y, q.n * q.ldy);
            check_form(&c, &q, &worst);
            CHECK(worst > 1e-4); /* it was bf16 */
            free(q.y);
            ilki_tensor_linear_deinit(&q.l);
            free_call(&c);
        }
}

/* What has no form of 8 bits, and no backward. */
static void forms_refused(void)
{
    CHECK_INT(ilki_tensor_form_for(ILKI_FORM_I8, ILKI_I8_MAX_K), ILKI_FORM_I8);
    CHECK_INT(ilki_tensor_form_for(ILKI_FORM_I8, ILKI_I8_MAX_K + 1), ILKI_FORM_F32);
    call c = new_call(&ilki_kern_ref, 2, 16, 4, true, 1);
    ilki_tensor tensor;
    call q = with_form(&c, &ilki_kern_ref, ILKI_FORM_I8, &tensor);
    ilki_tape tape = {0};
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(nn_pass(&(ilki_nn){.ops = &ilki_kern_ref, .tape = &tape}, run_linear, &q, &err), ILK_UNSUPPORTED,
                 NULL);
    CHECK(strstr(err.message, "8-bit") != NULL);
    settle(&q, &ilki_kern_ref); /* too few channels to choose among */
    CHECK_INT(q.l.i8->channels.n_exact, 0);
    ilki_base_arena_deinit(&tape.arena);
    free(q.y);
    ilki_tensor_linear_deinit(&q.l);
    free_call(&c);
}

/* What was packed once is taken as it lies, exact channels included; and in bands into any room it is the same bytes. */
static void packed_before(void)
{
    static const ilki_form every[] = {ILKI_FORM_F32, ILKI_FORM_BF16, ILKI_FORM_I8, ILKI_FORM_I8W};
    ilki_kern_ops all[NN_TABLES];
    size_t n_tables = nn_tables(all);
    ilk_error err;
    ilk_error_init(&err);
    for (size_t t = 0; t < n_tables; t++)
        for (size_t f = 0; f < 4; f++) {
            call c = new_call(&all[t], 20, 150, 70, true, 9);
            ilki_tensor tensor;
            call q = with_form(&c, &all[t], every[f], &tensor);
            const ilki_tensor *parts[] = {&tensor};
            size_t n_bytes = 0, n_exact = 0;
            if (every[f] >= ILKI_FORM_I8) {
                settle(&q, &all[t]);
                n_exact = q.l.i8->channels.n_exact;
                CHECK(n_exact > 0);
            }
            CHECK(ilki_tensor_packed_bytes(&all[t], every[f], q.l.n_out, q.l.n_in, &n_bytes));
            ilki_packing how = {.form = every[f], .room = q.l.packed, .ready = true, .n_exact = n_exact};
            how.exact = n_exact ? q.l.i8->channels.exact : NULL;
            call again = q;
            again.y = malloc(q.n * q.ldy * sizeof *q.y);
            CHECK_OK(ilki_tensor_linear_init_at(&again.l, &how, &all[t], parts, NULL, 1, &err), &err);
            again.l.bias = q.l.bias;
            memset(q.y, 0, q.n * q.ldy * sizeof *q.y);
            memset(again.y, 0, q.n * q.ldy * sizeof *q.y);
            CHECK_OK(nn_pass(&(ilki_nn){.ops = &all[t]}, run_linear, &q, &err), &err);
            CHECK_OK(nn_pass(&(ilki_nn){.ops = &all[t]}, run_linear, &again, &err), &err);
            CHECK_MEM(again.y, q.y, q.n * q.ldy * sizeof *q.y);
            unsigned char *room = ilki_base_alloc_aligned(n_bytes, 1), *want = ilki_base_alloc_aligned(n_bytes, 1);
            memset(room, 0, n_bytes);
            memset(want, 0, n_bytes);
            ilki_linear whole;
            CHECK_OK(ilki_tensor_linear_init_at(&whole, &(ilki_packing){.form = every[f], .room = want}, &all[t], parts,
                                                NULL, 1, &err),
                     &err);
            for (size_t i = ilki_tensor_linear_bands(&whole, &all[t]); i-- > 0;)
                CHECK_OK(ilki_tensor_linear_pack_band(&whole, &all[t], room, i, &err), &err);
            CHECK_MEM(room, want, n_bytes);
            again.l.bias = NULL;
            ilki_tensor_linear_deinit(&whole);
            ilki_tensor_linear_deinit(&again.l);
            ilki_tensor_linear_deinit(&q.l);
            free(room);
            free(want);
            free(again.y);
            free(q.y);
            free_call(&c);
        }
}

TEST_MAIN({"results", results}, {"deltas", deltas}, {"threads", threads}, {"rows alone", rows_alone},
          {"stacked", stacked}, {"packed from anywhere", packed_from_anywhere}, {"bad tensors", bad_tensors},
          {"no memory", no_memory}, {"mlps", mlps}, {"element-wise", element_wise}, {"chains", chains},
          {"small last block", small_last_block}, {"estimates", estimates}, {"overrun", overrun}, {"stopped", stopped},
          {"forms", forms}, {"forms with more", forms_with_more}, {"forms refused", forms_refused},
          {"forms of bf16", forms_of_bf16}, {"packed before", packed_before})
