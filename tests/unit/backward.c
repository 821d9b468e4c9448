/* SPDX-License-Identifier: Apache-2.0
 * The tape and the backward passes. Each layer is written once more in double; central differences of that, for every
 * entry, are what its backward must give from what the tape holds. */
#include "nn/tape.h"

#include "alloc_count.h"
#include "nn_test.h"

/* ---- differences: f(parameters, out) is the layer in double; loss = sum dy * out */

typedef void (*layer_fn)(const void *arg, const double *const *in, double *out);

typedef struct inputs {
    const void *arg;
    layer_fn fn;
    double *in[6];
    size_t n_in[6], n_out;
    const float *dy;
} inputs;

static double loss(const inputs *f)
{
    double *out = calloc(f->n_out, sizeof *out), sum = 0;
    f->fn(f->arg, (const double *const *)f->in, out);
    for (size_t i = 0; i < f->n_out; i++)
        sum += (double)f->dy[i] * out[i];
    free(out);
    return sum;
}

/* got [n_in[which]] against differences */
static void check_grad(inputs *f, size_t which, const float *got, const char *what)
{
    double most = 0;
    for (size_t i = 0; i < f->n_in[which]; i++)
        most = fabs((double)got[i]) > most ? fabs((double)got[i]) : most;
    CHECK(most > 1e-3);
    for (size_t i = 0; i < f->n_in[which]; i++) {
        double *x = &f->in[which][i], was = *x, h = 1e-5;
        *x = was + h;
        double up = loss(f);
        *x = was - h;
        double down = loss(f);
        *x = was;
        if (!CHECK_NEAR(got[i], (up - down) / (2 * h), 3e-5 * (most + 1))) {
            printf("    %s[%zu]\n", what, i);
            return;
        }
    }
}

static double *widen(const float *x, size_t n)
{
    double *y = malloc((n ? n : 1) * sizeof *y);
    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i];
    return y;
}

static void add_input(inputs *f, size_t which, const float *x, size_t n)
{
    f->in[which] = widen(x, n);
    f->n_in[which] = n;
}

static void free_inputs(inputs *f)
{
    for (size_t i = 0; i < 6; i++)
        free(f->in[i]);
}

/* ---- linear */

typedef struct linear_case {
    size_t n, n_in, n_out, rank;
    ilki_act act;
    double scale;
    ilki_linear l;
    float *x, *y;
} linear_case;

/* in: x, w, b, a, b of the delta */
static void linear_in_double(const void *arg, const double *const *in, double *out)
{
    const linear_case *c = arg;
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < c->n_out; j++) {
            double s = in[2][j];
            for (size_t p = 0; p < c->n_in; p++)
                s += in[0][i * c->n_in + p] * in[1][j * c->n_in + p];
            for (size_t r = 0; r < c->rank; r++)
                for (size_t p = 0; p < c->n_in; p++)
                    s += c->scale * in[0][i * c->n_in + p] * in[3][r * c->n_in + p] * in[4][j * c->rank + r];
            out[i * c->n_out + j] = act_of(s, c->act);
        }
}

static void run_linear(ilki_nn *ctx, void *arg)
{
    linear_case *c = arg;
    ilki_nn_linear(ctx, &c->l,
                   &(ilki_linear_args){.x = c->x, .y = c->y, .residual = c->y, .n_rows = c->n, .act = c->act});
}

static void check_linear(const ilki_kern_ops *ops, ilki_act act, size_t rank)
{
    linear_case c = {.n = 5, .n_in = 7, .n_out = 10, .rank = rank, .act = act, .scale = 0.5};
    uint64_t seed = 12;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_tensor_linear_init_master(&c.l, ops, c.n_out, c.n_in, true, &err), &err);
    float *w = nn_random(&seed, 70), *b = nn_random(&seed, 10), *a = nn_random(&seed, 28), *b2 = nn_random(&seed, 40),
          *dy = nn_random(&seed, 50);
    memcpy(c.l.master, w, 70 * sizeof *w);
    memcpy(c.l.bias, b, 10 * sizeof *b);
    ilki_tensor_linear_repack(&c.l, ops);
    if (rank)
        CHECK_OK(ilki_tensor_linear_set_delta(&c.l, ops, rank, 0.5f, a, b2, &err), &err);
    c.x = nn_random(&seed, 35);
    c.y = nn_random(&seed, 50); /* also the residual, which no gradient but its own depends on */
    ilki_tape tape = {0};
    CHECK_OK(nn_pass(&(ilki_nn){.ops = ops, .tape = &tape}, run_linear, &c, &err), &err);
    CHECK_INT(tape.n_entries, 1);
    inputs f = {.arg = &c, .fn = linear_in_double, .n_out = 50, .dy = dy};
    add_input(&f, 0, c.x, 35);
    add_input(&f, 1, w, 70);
    add_input(&f, 2, b, 10);
    add_input(&f, 3, a, rank * 7);
    add_input(&f, 4, b2, rank * 10);
    memset(c.x, 0, 35 * sizeof *c.x); /* the tape has its own */
    float dx[35] = {0}, dw[70] = {0}, db[10] = {0}, da[28] = {0}, db_[40] = {0};
    ilki_linear_grad g = {dx, dw, db, da, db_};
    REQUIRE(CHECK_INT(tape.last->op, ILKI_TAPE_LINEAR));
    CHECK_OK(ilki_nn_linear_backward(tape.last, dy, &g, &err), &err);
    check_grad(&f, 0, dx, "dx");
    check_grad(&f, 1, dw, "dw");
    check_grad(&f, 2, db, "db");
    if (rank) {
        check_grad(&f, 3, da, "da");
        check_grad(&f, 4, db_, "db of the delta");
    }
    float twice[70]; /* gradients are added up; NULL is not wanted */
    memcpy(twice, dw, sizeof twice);
    CHECK_OK(ilki_nn_linear_backward(tape.last, dy, &(ilki_linear_grad){.dw = twice}, &err), &err);
    for (size_t i = 0; i < 70; i++)
        CHECK_NEAR(twice[i], 2 * dw[i], 1e-6);
    ilki_nn_tape_reset(&tape);
    CHECK(tape.last == NULL && tape.n_entries == 0 && tape.arena.total_bytes == 0);
    free_inputs(&f);
    ilki_tensor_linear_deinit(&c.l);
    free(w), free(b), free(a), free(b2), free(dy), free(c.x), free(c.y);
}

static void linear(void)
{
    ilki_kern_ops ops[NN_TABLES];
    for (size_t t = 0, n = nn_tables(ops); t < n; t++)
        for (int act = ILKI_ACT_NONE; act <= ILKI_ACT_SIGMOID; act++)
            for (size_t rank = 0; rank <= 4; rank += 2)
                check_linear(&ops[t], (ilki_act)act, rank);
}

/* ---- activations and norms */

typedef struct rows_case {
    ilki_act act;
    ilki_norm norm;
    float *x, *y;
} rows_case;
enum { ROWS = 6, WIDTH = 9 };

static void act_in_double(const void *arg, const double *const *in, double *out)
{
    for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++)
        out[i] = act_of(in[0][i], ((const rows_case *)arg)->act);
}

static void run_act(ilki_nn *ctx, void *arg)
{
    rows_case *c = arg;
    ilki_nn_act(ctx, c->act, c->x, 0, ROWS, WIDTH);
}

static void activations(void)
{
    ilk_error err;
    ilk_error_init(&err);
    for (int act = ILKI_ACT_GELU; act <= ILKI_ACT_SIGMOID; act++) {
        uint64_t seed = 5;
        rows_case c = {.act = (ilki_act)act, .x = nn_random(&seed, ROWS * WIDTH)};
        for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++)
            c.x[i] *= 3;
        float *dy = nn_random(&seed, ROWS * WIDTH), dx[ROWS * WIDTH] = {0};
        inputs f = {.arg = &c, .fn = act_in_double, .n_out = ROWS * WIDTH, .dy = dy};
        add_input(&f, 0, c.x, ROWS * WIDTH);
        ilki_tape tape = {0};
        CHECK_OK(nn_pass(&(ilki_nn){.ops = &ilki_kern_ref, .tape = &tape}, run_act, &c, &err), &err);
        REQUIRE(CHECK(tape.last && tape.last->op == ILKI_TAPE_ACT));
        ilki_nn_act_backward(tape.last, dy, dx);
        check_grad(&f, 0, dx, "dx");
        ilki_nn_tape_reset(&tape);
        free_inputs(&f);
        free(c.x), free(dy);
    }
}

/* in: x, w, b */
static void norm_in_double(const void *arg, const double *const *in, double *out)
{
    const ilki_norm *n = &((const rows_case *)arg)->norm;
    for (size_t i = 0; i < ROWS; i++) {
        const double *x = in[0] + i * WIDTH;
        double mean = 0, square = 0;
        for (size_t j = 0; j < WIDTH && !n->rms; j++)
            mean += x[j] / WIDTH;
        for (size_t j = 0; j < WIDTH; j++)
            square += (x[j] - mean) * (x[j] - mean) / WIDTH;
        for (size_t j = 0; j < WIDTH; j++)
            out[i * WIDTH + j] = (x[j] - mean) / sqrt(square + (double)n->eps) * (in[1][j] + (double)n->w_add) +
                                 (n->rms ? 0 : in[2][j]);
    }
}

static void run_norm(ilki_nn *ctx, void *arg)
{
    rows_case *c = arg;
    ilki_nn_norm(ctx, &c->norm, c->x, 0, c->x, 0, ROWS);
}

static void norms(void)
{
    ilk_error err;
    ilk_error_init(&err);
    for (int rms = 0; rms < 2; rms++) {
        uint64_t seed = 8;
        float *w = nn_random(&seed, WIDTH), *b = nn_random(&seed, WIDTH), *dy = nn_random(&seed, ROWS * WIDTH);
        rows_case c = {.norm = {w, rms ? NULL : b, WIDTH, 1e-3f, rms ? 1.0f : 0.0f, rms}, .x = nn_random(&seed, 54)};
        inputs f = {.arg = &c, .fn = norm_in_double, .n_out = ROWS * WIDTH, .dy = dy};
        add_input(&f, 0, c.x, ROWS * WIDTH);
        add_input(&f, 1, w, WIDTH);
        add_input(&f, 2, b, WIDTH);
        ilki_tape tape = {0};
        CHECK_OK(nn_pass(&(ilki_nn){.ops = &ilki_kern_ref, .tape = &tape}, run_norm, &c, &err), &err);
        float dx[ROWS * WIDTH] = {0}, dw[WIDTH] = {0}, db[WIDTH] = {0};
        REQUIRE(CHECK(tape.last && tape.last->op == ILKI_TAPE_NORM));
        CHECK_OK(ilki_nn_norm_backward(tape.last, dy, dx, dw, db, &err), &err);
        CHECK_OK(ilki_nn_norm_backward(tape.last, dy, NULL, NULL, NULL, &err), &err);
        check_grad(&f, 0, dx, "dx");
        check_grad(&f, 1, dw, "dw");
        if (!rms)
            check_grad(&f, 2, db, "db");
        ilki_nn_tape_reset(&tape);
        free_inputs(&f);
        free(w), free(b), free(dy), free(c.x);
    }
}

/* ---- attention */

typedef struct attn_case {
    ilki_attn d;
    uint32_t offsets[4], prefix_len[3], groups[32];
    float *qkv, *out;
} attn_case;

static bool sees(const attn_case *c, size_t s, size_t i, size_t j)
{
    const ilki_attn *d = &c->d;
    size_t first = c->offsets[s];
    bool in = d->mask == ILKI_MASK_FULL ||
              (d->mask == ILKI_MASK_GROUP && c->groups[first + i] == c->groups[first + j]) ||
              ((d->mask == ILKI_MASK_CAUSAL || d->mask == ILKI_MASK_PREFIX) && j <= i) ||
              (d->mask == ILKI_MASK_PREFIX && i < c->prefix_len[s] && j < c->prefix_len[s]);
    return in && (uint64_t)j + d->window_left >= i && (uint64_t)i + d->window_right >= j;
}

static double dot_in_double(const double *a, const double *b, const float *extra, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += a[i] * (extra ? (double)extra[i] : b[i]);
    return s;
}

/* one row; in: q, k, v */
static void attn_row(const attn_case *c, const double *const *in, size_t s, size_t i, size_t h, double *out)
{
    const ilki_attn *d = &c->d;
    size_t kv = h / (d->n_heads / d->n_kv_heads), n = c->offsets[s + 1] - c->offsets[s];
    long span = (long)d->bias_span;
    double sum = 0;
    for (size_t j = 0; j < n + d->n_extra; j++) {
        if (j < n && !sees(c, s, i, j))
            continue;
        size_t at = ((j < n ? c->offsets[s] + j : j - n) * d->n_kv_heads + kv);
        const double *q = in[0] + ((c->offsets[s] + i) * d->n_heads + h) * d->d_qk;
        double t = (double)d->scale *
                   dot_in_double(q, in[1] + at * d->d_qk, j < n ? NULL : d->extra_k + at * d->d_qk, d->d_qk);
        if (d->softcap > 0)
            t = (double)d->softcap * tanh(t / (double)d->softcap);
        long r = (long)j - (long)i;
        if (d->bias && j < n)
            t += (double)d->bias[(long)h * (2 * span + 1) + (r < -span ? -span : r > span ? span : r) + span];
        t = exp(t);
        sum += t;
        for (size_t x = 0; x < d->d_v; x++)
            out[x] += t * (j < n ? in[2][at * d->d_v + x] : (double)d->extra_v[at * d->d_v + x]);
    }
    for (size_t x = 0; x < d->d_v && sum > 0; x++)
        out[x] /= sum;
}

static void attn_in_double(const void *arg, const double *const *in, double *out)
{
    const attn_case *c = arg;
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < c->offsets[s + 1] - c->offsets[s]; i++)
            for (size_t h = 0; h < c->d.n_heads; h++)
                attn_row(c, in, s, i, h, out + ((c->offsets[s] + i) * c->d.n_heads + h) * c->d.d_v);
}

static void run_attn(ilki_nn *ctx, void *arg)
{
    attn_case *c = arg;
    const ilki_attn *d = &c->d;
    size_t nq = (size_t)d->n_heads * d->d_qk, nk = (size_t)d->n_kv_heads * d->d_qk, nv = (size_t)d->n_kv_heads * d->d_v;
    ilki_nn_attention(ctx, d,
                      &(ilki_attn_args){.q = c->qkv,
                                        .k = ilki_nn_at(c->qkv, nq),
                                        .v = ilki_nn_at(c->qkv, nq + nk),
                                        .out = c->out,
                                        .ldq = nq + nk + nv,
                                        .ldk = nq + nk + nv,
                                        .ldv = nq + nk + nv,
                                        .ldout = (size_t)d->n_heads * d->d_v,
                                        .offsets = c->offsets,
                                        .n_seqs = 3,
                                        .groups = c->groups,
                                        .prefix_len = c->prefix_len});
}

static void check_attention(const ilki_attn *d, uint64_t seed)
{
    enum { N = 17 };
    attn_case c = {.d = *d, .offsets = {0, 4, 5, N}, .prefix_len = {2, 0, 6}};
    size_t nq = (size_t)d->n_heads * d->d_qk, nk = (size_t)d->n_kv_heads * d->d_qk, nv = (size_t)d->n_kv_heads * d->d_v;
    size_t width = nq + nk + nv, n_out = N * (size_t)d->n_heads * d->d_v;
    for (size_t i = 0; i < N; i++)
        c.groups[i] = (uint32_t)(test_random(&seed) % 2);
    c.qkv = nn_random(&seed, N * width);
    c.out = calloc(n_out, sizeof *c.out);
    float *dy = nn_random(&seed, n_out), *bias = nn_random(&seed, 100), *extra = nn_random(&seed, 200);
    c.d.bias = d->bias_span ? bias : NULL;
    c.d.extra_k = d->n_extra ? extra : NULL;
    c.d.extra_v = d->n_extra ? extra + 100 : NULL;
    ilki_tape tape = {0};
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(nn_pass(&(ilki_nn){.ops = &ilki_kern_ref, .tape = &tape}, run_attn, &c, &err), &err);
    REQUIRE(CHECK(tape.last && tape.last->op == ILKI_TAPE_ATTENTION));
    inputs f = {.arg = &c, .fn = attn_in_double, .n_out = n_out, .dy = dy};
    add_input(&f, 0, tape.last->x, N * nq);
    add_input(&f, 1, tape.last->k, N * nk);
    add_input(&f, 2, tape.last->v, N * nv);
    double *want = calloc(n_out, sizeof *want);
    attn_in_double(&c, (const double *const *)f.in, want);
    for (size_t i = 0; i < n_out; i++)
        CHECK_NEAR(c.out[i], want[i], 3e-6);
    float *dq = calloc(N * (nq + nk + nv), sizeof *dq), *dk = dq + N * nq, *dv = dk + N * nk;
    CHECK_OK(ilki_nn_attention_backward(tape.last, dy, dq, dk, dv, &err), &err);
    check_grad(&f, 0, dq, "dq");
    check_grad(&f, 1, dk, "dk");
    check_grad(&f, 2, dv, "dv");
    ilki_nn_tape_reset(&tape);
    free_inputs(&f);
    free(want), free(dq), free(dy), free(bias), free(extra), free(c.qkv), free(c.out);
}

static void attention(void)
{
    const uint32_t none = UINT32_MAX;
    const ilki_attn cases[] = {
        {.scale = 0.4f, .n_heads = 2, .n_kv_heads = 2, .d_qk = 4, .d_v = 5, .window_left = none, .window_right = none},
        {0.4f, 1.5f, 4, 2, 4, 3, ILKI_MASK_CAUSAL, none, none, NULL, 0, NULL, NULL, 0, false},
        {0.4f, 0, 2, 1, 4, 4, ILKI_MASK_PREFIX, none, none, NULL, 3, NULL, NULL, 0, false},
        {0.4f, 0, 2, 2, 4, 4, ILKI_MASK_GROUP, none, none, NULL, 0, NULL, NULL, 2, false},
        {0.4f, 2.0f, 4, 2, 4, 4, ILKI_MASK_FULL, 2, 1, NULL, 2, NULL, NULL, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failed = test_n_failed;
        check_attention(&cases[i], i + 1);
        if (test_n_failed != failed)
            printf("    case %zu\n", i);
    }
}

/* ---- the tape's limits */

static void run_unit(ilki_nn *ctx, void *arg)
{
    ilki_nn_normalise(ctx, arg, 0, 1, 4);
}

static void run_max(ilki_nn *ctx, void *arg)
{
    static const uint32_t offsets[] = {0, 1};
    ilki_nn_pool(ctx, &(ilki_pool_args){ILKI_POOL_MAX, arg, arg, 4, 4, offsets, 1, NULL});
}

static void run_heads(ilki_nn *ctx, void *arg)
{
    ilki_nn_norm_heads(ctx, &(ilki_norm){.w = arg, .dim = 2, .rms = true}, arg, 0, 1, 2);
}

static void run_gated(ilki_nn *ctx, void *arg)
{
    ilki_linear in = {.n_in = 4, .n_out = 8}, out = {.n_in = 4, .n_out = 4};
    ilki_nn_mlp(ctx, &(ilki_mlp){&in, &out, ILKI_ACT_SILU, .gated = true},
                &(ilki_linear_args){.x = arg, .y = arg, .n_rows = 1});
}

static void limits(void)
{
    static const nn_fn refused[] = {run_unit, run_max, run_heads, run_gated};
    ilk_error err;
    ilk_error_init(&err);
    float x[8] = {1, 2, 3, 4};
    ilki_tape tape = {0};
    for (size_t i = 0; i < 4; i++) {
        CHECK_STATUS(nn_pass(&(ilki_nn){.ops = &ilki_kern_ref, .tape = &tape}, refused[i], x, &err), ILK_UNSUPPORTED,
                     NULL);
        CHECK(strstr(err.message, "tape") != NULL);
    }
    float rows[ROWS * WIDTH] = {0};
    rows_case c = {.act = ILKI_ACT_GELU, .x = rows};
    tape.arena.max_bytes = 100;
    CHECK_STATUS(nn_pass(&(ilki_nn){.ops = &ilki_kern_ref, .tape = &tape}, run_act, &c, &err), ILK_NO_MEMORY, NULL);
    ilki_nn_tape_reset(&tape);
    CHECK_INT(tape.arena.max_bytes, 100);
    tape.arena.max_bytes = sizeof rows; /* room for the copy alone */
    CHECK_STATUS(nn_pass(&(ilki_nn){.ops = &ilki_kern_ref, .tape = &tape}, run_act, &c, &err), ILK_NO_MEMORY, NULL);
    ilki_nn_tape_reset(&tape);
}

TEST_MAIN({"linear", linear}, {"activations", activations}, {"norms", norms}, {"attention", attention},
          {"limits", limits})
