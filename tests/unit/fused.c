/* SPDX-License-Identifier: Apache-2.0
 * Norms and codes made on the way through a linear: a linear with a norm, and an MLP, give the bits of their parts called
 * one by one, in every form of weights, with any number of exact channels, on every set of kernels and any threads, for
 * rows of the kinds that codes are hard for, and with a tape, a watch, a delta and a job as well. */
#include "alloc_count.h"
#include "nn/layers.h"
#include "nn/watch.h"
#include "nn/work.h"
#include "nn_test.h"

/* ---- sets of kernels */

/* Threads take the same way through every set, and ThreadSanitizer takes forty times as long: all that this CPU has. */
#if defined(__SANITIZE_THREAD__)
enum { SETS = 6, FIRST_SET = 5, LEAST_SETS = 1 };
#else
enum { SETS = 6, FIRST_SET = 0, LEAST_SETS = 2 };
#endif

static size_t sets(ilki_kern_ops ops[SETS])
{
    static const char *const masks[SETS] = {
        "ref", "avx2", "avx2,avxvnni", "avx2,avx512,avx512vnni", "avx2,avx512,avx512vnni,amx", NULL};
    size_t n = 0;
    for (size_t i = FIRST_SET; i < SETS; i++)
        n += ilki_kern_select(&ops[n], masks[i], ilki_base_cpu_features(), NULL, 0, NULL) == ILK_OK;
    CHECK(n >= LEAST_SETS);
    return n;
}

/* ---- weights in a form */

typedef struct weights {
    ilki_linear l;
    ilki_tensor tensor;
    float *w;
} weights;

/* n_exact 0, 4 or 8 of the inputs, spread over them, are exact where the form has codes. */
static void make_weights(weights *to, const ilki_kern_ops *ops, ilki_form form, size_t n_out, size_t n_in,
                         size_t n_exact)
{
    uint64_t seed = n_out + n_in;
    ilk_error err;
    ilk_error_init(&err);
    to->w = nn_random(&seed, n_out * n_in);
    to->tensor = (ilki_tensor){.name = "w", .rank = 2, .dtype = ILKI_DTYPE_F32};
    to->tensor.data = (const unsigned char *)to->w;
    to->tensor.shape[0] = n_out;
    to->tensor.shape[1] = n_in;
    to->tensor.n_bytes = n_out * n_in * sizeof(float);
    const ilki_tensor *parts[] = {&to->tensor};
    CHECK_OK(ilki_tensor_linear_init_at(&to->l, &(ilki_packing){.form = form}, ops, parts, NULL, 1, &err), &err);
    to->l.bias = nn_random(&seed, n_out);
    if (!to->l.i8 || n_exact == 0)
        return;
    float *seen = calloc(n_in, sizeof *seen);
    for (size_t e = 0; e < n_exact; e++)
        seen[e * (n_in - 1) / (n_exact - 1)] = 100.0f;
    for (size_t k = 0; k < n_in; k++)
        seen[k] += 1.0f;
    to->l.i8->seen = seen;
    CHECK_OK(ilki_tensor_linear_settle(&to->l, ops, &err), &err);
    to->l.i8->seen = NULL;
    CHECK_INT(to->l.i8->channels.n_exact, n_exact);
    free(seen);
}

static void free_weights(weights *w)
{
    ilki_tensor_linear_deinit(&w->l);
    free(w->w);
}

/* ---- a call, whole or in parts */

typedef struct call {
    weights in, out; /* out: of an MLP */
    ilki_norm norm;
    float *w, *b, *x, *y, *normed, *residual;
    size_t n, dim, width, hidden; /* width of a linear's output or of both products of a gated MLP */
    ilki_act act;
    bool gated, second, mlp, wants, parts;
} call;

static void run_parts(ilki_nn *ctx, const call *c)
{
    size_t mark = ilki_base_ws_mark(ctx->ws), n = c->n, half = c->hidden;
    float *normed = ilki_nn_take(ctx, n * c->dim, sizeof *normed), *h = ilki_nn_take(ctx, n * c->width, sizeof *h);
    bool live = !ilki_nn_measuring(ctx);
    ilki_nn_norm(ctx, &c->norm, normed, 0, c->x, 0, n);
    if (c->wants && live)
        memcpy(c->normed, normed, n * c->dim * sizeof *normed);
    ilki_linear_args a = {.x = normed, .y = c->y, .residual = c->residual, .n_rows = n, .act = c->act};
    if (c->mlp) {
        a.y = h;
        a.residual = NULL;
        a.act = c->gated ? ILKI_ACT_NONE : c->act;
    }
    ilki_nn_linear(ctx, &c->in.l, &a);
    for (size_t i = 0; i < n && c->gated && live; i++) {
        float *row = h + i * c->width;
        ctx->ops->act_f32(c->second ? row + half : row, half, c->act);
        for (size_t k = 0; k < half; k++)
            row[k] *= row[half + k];
    }
    a = (ilki_linear_args){.x = h, .y = c->y, .residual = c->residual, .n_rows = n, .ldx = c->width};
    if (c->mlp)
        ilki_nn_linear(ctx, &c->out.l, &a);
    ilki_base_ws_release(ctx->ws, mark);
}

static void run_call(ilki_nn *ctx, void *arg)
{
    const call *c = arg;
    if (c->parts) {
        run_parts(ctx, c);
        return;
    }
    ilki_linear_args a = {.x = c->x,
                          .norm = &c->norm,
                          .normed = c->normed,
                          .wants_normed = c->wants,
                          .y = c->y,
                          .residual = c->residual,
                          .n_rows = c->n,
                          .act = c->act};
    ilki_mlp mlp = {.in = &c->in.l, .out = &c->out.l, .act = c->act, .gated = c->gated, .gate_second = c->second};
    if (c->mlp)
        ilki_nn_mlp(ctx, &mlp, &a);
    else
        ilki_nn_linear(ctx, &c->in.l, &a);
}

static size_t out_width(const call *c)
{
    return c->mlp ? c->dim : c->width;
}

/* Rows at random, of one value, of zeros, with one that is great; one with a NaN where that is asked for. */
static void fill_rows(float *x, size_t n, size_t dim, bool bad)
{
    for (size_t i = 0; i < n * dim; i++) {
        size_t row = i / dim;
        x[i] = row % 7 == 3 ? 1.5f : row % 7 == 5 ? 0.0f : row % 7 == 6 && i % dim == 2 ? 300.0f * x[i] : x[i];
    }
    if (bad)
        x[n / 2 * dim + dim / 3] = NAN;
}

static void make_call(call *c, const ilki_kern_ops *ops, ilki_form form, size_t n_exact)
{
    uint64_t seed = c->n * 31 + c->dim;
    c->width = c->gated ? 2 * c->hidden : c->hidden;
    make_weights(&c->in, ops, form, c->width, c->dim, n_exact);
    if (c->mlp)
        make_weights(&c->out, ops, form, c->dim, c->hidden, n_exact);
    c->w = nn_random(&seed, c->dim);
    c->b = nn_random(&seed, c->dim);
    c->x = nn_random(&seed, c->n * c->dim);
    fill_rows(c->x, c->n, c->dim, false);
    c->residual = nn_random(&seed, c->n * out_width(c));
    c->y = calloc(c->n * out_width(c), sizeof *c->y);
    c->normed = calloc(c->n * c->dim, sizeof *c->normed);
    c->norm = (ilki_norm){.w = c->w, .b = c->b, .dim = c->dim, .eps = 1e-6f};
}

static void free_call(call *c)
{
    free_weights(&c->in);
    if (c->mlp)
        free_weights(&c->out);
    free(c->w);
    free(c->b);
    free(c->x);
    free(c->y);
    free(c->normed);
    free(c->residual);
}

/* ---- the same bits */

static bool same(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i])))
            return false;
    return true;
}

/* The call as a whole gives what its parts give; `with` says how both are run. */
static bool agrees(call *c, const ilki_nn *with)
{
    size_t n = c->n * out_width(c), n_normed = c->n * c->dim;
    float *y = malloc(n * sizeof *y), *normed = malloc(n_normed * sizeof *normed);
    ilk_error err;
    ilk_error_init(&err);
    c->parts = true;
    memset(c->normed, 0, n_normed * sizeof *normed);
    CHECK_OK(nn_pass(with, run_call, c, &err), &err);
    memcpy(y, c->y, n * sizeof *y);
    memcpy(normed, c->normed, n_normed * sizeof *normed);
    c->parts = false;
    memset(c->normed, 0, n_normed * sizeof *normed);
    memset(c->y, 0, n * sizeof *y);
    CHECK_OK(nn_pass(with, run_call, c, &err), &err);
    bool good = same(c->y, y, n) && same(c->normed, normed, n_normed);
    free(y);
    free(normed);
    return good;
}

/* One shape and form in all that does not change what is packed. */
static void check_call(call *c, const ilki_kern_ops *ops, ilki_form form, size_t n_exact)
{
    make_call(c, ops, form, n_exact);
    for (int i = 0; i < 8; i++) {
        c->norm.rms = i & 1;
        c->norm.b = i % 4 ? NULL : c->b;
        c->norm.w_add = i % 3 ? 0.0f : 1.0f;
        c->wants = i & 2;
        if (i == 4)
            c->x[c->n / 2 * c->dim + c->dim / 3] = NAN; /* from here on */
        test_check(agrees(c, &(ilki_nn){.ops = ops}), __FILE__, __LINE__,
                   "%s, form %d, %zu rows of %zu to %zu, %zu exact, act %d%s: case %d", ops->name, (int)form, c->n,
                   c->dim, c->hidden, n_exact, (int)c->act, c->gated ? ", gated" : "", i);
    }
    fill_rows(c->x, c->n, c->dim, false);
    c->x[c->n / 2 * c->dim + c->dim / 3] = 0.5f;
    nn_same(ops, run_call, c, c->y, c->n * out_width(c));
    free_call(c);
}

static const size_t exacts[] = {0, 4, 8};

static void linears(void)
{
    static const size_t shapes[][3] = {{1, 33, 70}, {9, 64, 31}, {70, 100, 64}, {33, 384, 130}};
    ilki_kern_ops ops[SETS];
    for (size_t t = 0, n = sets(ops); t < n; t++)
        for (size_t s = 0; s < 4; s++)
            for (int form = ILKI_FORM_F32; form <= ILKI_FORM_I8W; form++)
                for (size_t e = 0; e < (form < ILKI_FORM_I8 ? 1 : 3); e++) {
                    call c = {.n = shapes[s][0], .dim = shapes[s][1], .hidden = shapes[s][2]};
                    c.act = s % 2 ? ILKI_ACT_GELU : ILKI_ACT_NONE;
                    check_call(&c, &ops[t], (ilki_form)form, exacts[e]);
                }
}

static void mlps(void)
{
    static const size_t shapes[][3] = {{1, 33, 67}, {9, 64, 200}, {150, 40, 101}};
    static const ilki_act acts[] = {ILKI_ACT_GELU, ILKI_ACT_SILU, ILKI_ACT_GELU_TANH};
    ilki_kern_ops ops[SETS];
    for (size_t t = 0, n = sets(ops); t < n; t++)
        for (size_t s = 0; s < 3; s++)
            for (int form = ILKI_FORM_F32; form <= ILKI_FORM_I8W; form++)
                for (int kind = 0; kind < 3; kind++) {
                    call c = {.n = shapes[s][0], .dim = shapes[s][1], .hidden = shapes[s][2], .mlp = true};
                    c.act = acts[(s + (size_t)kind) % 3];
                    c.gated = kind > 0;
                    c.second = kind > 1;
                    check_call(&c, &ops[t], (ilki_form)form, form < ILKI_FORM_I8 ? 0 : exacts[(s + (size_t)kind) % 3]);
                }
}

/* Values beyond what an f32 holds arise in the product itself: rows that are not finite stay so, and alone. */
static void overflow(void)
{
    ilki_kern_ops ops[SETS];
    for (size_t t = 0, n = sets(ops); t < n; t++)
        for (int way = 0; way < 2; way++) {
            call c = {.n = 20, .dim = 64, .hidden = 96, .mlp = true, .act = ILKI_ACT_GELU};
            make_call(&c, &ops[t], ILKI_FORM_I8, 4);
            c.norm.rms = true;
            c.norm.b = NULL;
            c.w[way ? 0 : 5] = 3e38f; /* an exact channel or another */
            CHECK(agrees(&c, &(ilki_nn){.ops = &ops[t]}));
            size_t n_bad = 0;
            for (size_t i = 0; i < c.n; i++)
                n_bad += !isfinite(c.y[i * c.dim]);
            CHECK(n_bad >= 4 && n_bad < c.n && isfinite(c.y[5 * c.dim])); /* that one is of zeros */
            free_call(&c);
        }
}

/* ---- with a tape, a watch, a delta, a job */

static void on_tape(void)
{
    ilki_tape tape = {0};
    call c = {.n = 10, .dim = 33, .hidden = 70, .mlp = true, .act = ILKI_ACT_SILU};
    make_call(&c, &ilki_kern_ref, ILKI_FORM_F32, 0);
    CHECK(agrees(&c, &(ilki_nn){.ops = &ilki_kern_ref, .tape = &tape}));
    static const ilki_tape_op want[] = {ILKI_TAPE_LINEAR, ILKI_TAPE_LINEAR, ILKI_TAPE_NORM};
    CHECK_INT(tape.n_entries, 6);
    const ilki_tape_entry *e = tape.last;
    for (size_t i = 0; i < 6 && e; i++, e = e->prev)
        CHECK_INT(e->op, want[i % 3]);
    ilki_base_arena_deinit(&tape.arena);
    free_call(&c);
}

static void watched(void)
{
    ilki_watch watch = {0};
    call c = {.n = 10, .dim = 33, .hidden = 70, .wants = true};
    make_call(&c, &ilki_kern_ref, ILKI_FORM_I8, 0);
    static _Alignas(ILKI_ALIGN) unsigned char memory[1 << 16];
    ilki_ws ws;
    ilki_base_ws_init(&ws, memory, sizeof memory);
    run_call(&(ilki_nn){.ops = &ilki_kern_ref, .ws = &ws, .watch = &watch}, &c); /* what is allocated, is now */
    CHECK(agrees(&c, &(ilki_nn){.ops = &ilki_kern_ref, .watch = &watch}));
    CHECK_INT(watch.n, 1);
    for (size_t k = 0; k < c.dim; k++) {
        float most = 0;
        for (size_t i = 0; i < c.n; i++)
            most = fmaxf(most, fabsf(c.normed[i * c.dim + k]));
        CHECK_NEAR(c.in.l.i8->seen[k], most, 0);
    }
    c.in.l.i8->seen = NULL;
    ilki_base_arena_deinit(&watch.arena);
    free_call(&c);
}

static void with_a_delta(void)
{
    ilki_kern_ops ops[SETS];
    uint64_t seed = 8;
    float *a = nn_random(&seed, 2 * 200), *b = nn_random(&seed, 2 * 200);
    for (size_t t = 0, n = sets(ops); t < n; t++)
        for (int of_in = 0; of_in < 2; of_in++) {
            call c = {.n = 80, .dim = 40, .hidden = 100, .mlp = true, .act = ILKI_ACT_GELU};
            make_call(&c, &ops[t], ILKI_FORM_I8, 4);
            ilki_linear *l = of_in ? &c.in.l : &c.out.l;
            CHECK_OK(ilki_tensor_linear_set_delta(l, &ops[t], 2, 0.5f, a, b, NULL), NULL);
            CHECK(agrees(&c, &(ilki_nn){.ops = &ops[t]}));
            nn_same(&ops[t], run_call, &c, c.y, c.n * out_width(&c));
            free_call(&c);
        }
    free(a);
    free(b);
}

static void with_a_job(void)
{
    ilki_kern_ops ops[SETS];
    ilk_job *job = ilk_job_new(NULL);
    for (size_t t = 0, n = sets(ops); t < n; t++) {
        call c = {.n = 80, .dim = 40, .hidden = 100, .mlp = true, .act = ILKI_ACT_GELU};
        make_call(&c, &ops[t], ILKI_FORM_I8, 4);
        CHECK(agrees(&c, &(ilki_nn){.ops = &ops[t], .job = job}));
        free_call(&c);
    }
    ilk_job_free(job);
}

TEST_MAIN({"linears", linears}, {"MLPs", mlps}, {"overflow", overflow}, {"on tape", on_tape}, {"watched", watched},
          {"with a delta", with_a_delta}, {"with a job", with_a_job})
