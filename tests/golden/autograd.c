/* SPDX-License-Identifier: Apache-2.0
 * The tape in a whole tower: a pass of the vision tower of tests/twotower.h with a tape, walked from its end, against the
 * gradients of torch's autograd for every weight and for the rows that went in. */
#include "nn/tape.h"

#include "alloc_count.h"
#include "nn_test.h"
#include "twotower.h"

enum { N = 18, DIM = 32, ROW = 10, MAX = 4096 };

typedef struct walk {
    twotower *m;
    ilki_weights *golden;
    ilki_tape tape;
    const ilki_tape_entry *e; /* the next to be walked */
    const int32_t *positions;
    uint32_t offsets[3];
    ilk_error err;
} walk;

static const void *golden(const walk *w, const char *name)
{
    const ilki_tensor *t = ilki_format_find(w->golden, name);
    CHECK(t != NULL);
    return t ? t->data : NULL;
}

/* `rows` of the gradient of a stacked weight belong to tensor grad/`name` */
static void near_grad(const walk *w, const char *prefix, const char *name, const float *got)
{
    char full[96];
    snprintf(full, sizeof full, "grad/%s%s", prefix, name);
    const ilki_tensor *t = ilki_format_find(w->golden, full);
    float want[MAX];
    double scale = 0;
    REQUIRE(CHECK(t != NULL && t->n_bytes <= sizeof want));
    memcpy(want, t->data, t->n_bytes);
    for (size_t i = 0; i < t->n_bytes / 4; i++)
        scale = fabs((double)want[i]) > scale ? fabs((double)want[i]) : scale;
    if (!CHECK_FLOATS(got, want, t->n_bytes / 4, 1e-5 * scale + 1e-6, 0))
        printf("    %s\n", full);
}

static const ilki_tape_entry *take(walk *w, ilki_tape_op op)
{
    const ilki_tape_entry *e = w->e;
    CHECK(e != NULL && e->op == op);
    w->e = e ? e->prev : NULL;
    return e;
}

/* dx += gradient through the newest norm of the tape */
static void norm_back(walk *w, const char *prefix, const char *name, const float *dy, float *dx)
{
    float dw[DIM] = {0}, db[DIM] = {0};
    char full[32];
    CHECK_OK(ilki_nn_norm_backward(take(w, ILKI_TAPE_NORM), dy, dx, dw, db, &w->err), &w->err);
    snprintf(full, sizeof full, "%s.weight", name);
    near_grad(w, prefix, full, dw);
    snprintf(full, sizeof full, "%s.bias", name);
    near_grad(w, prefix, full, db);
}

/* The same for the newest linear; parts of a stacked one have `rows` each. */
static void linear_back(walk *w, const char *prefix, const char *const *parts, const size_t *rows, const float *dy,
                        float *dx)
{
    float dw[MAX] = {0}, db[256] = {0};
    const ilki_tape_entry *e = take(w, ILKI_TAPE_LINEAR);
    CHECK_OK(ilki_nn_linear_backward(e, dy, &(ilki_linear_grad){.dx = dx, .dw = dw, .db = db}, &w->err), &w->err);
    for (size_t i = 0, at = 0; parts[i]; at += rows[i++]) {
        char full[48];
        snprintf(full, sizeof full, "%s.weight", parts[i]);
        near_grad(w, prefix, full, dw + at * e->n);
        snprintf(full, sizeof full, "%s.bias", parts[i]);
        if (strcmp(parts[i], "attn.k") != 0) /* it has none */
            near_grad(w, prefix, full, db + at);
    }
}

/* Turns a gradient back: the transpose of a rotation. */
static void rope_back(const walk *w, const twotower_layer *l, float *dx, size_t n_heads, size_t ldx)
{
    static _Alignas(ILKI_ALIGN) unsigned char memory[4096];
    float cos_[N * 16], sin_[N * 16];
    ilki_ws ws;
    ilki_base_ws_init(&ws, memory, sizeof memory);
    ilki_nn ctx = {.ops = w->m->ops, .ws = &ws};
    ilki_nn_rope_table(&ctx, &l->rope, w->positions, N, cos_, sin_);
    for (size_t i = 0; i < (size_t)N * l->rope.dim / 2; i++)
        sin_[i] = -sin_[i];
    ilki_nn_rope(&ctx, &l->rope, &(ilki_rope_args){dx, cos_, sin_, N, n_heads, l->attn.d_qk, ldx});
    CHECK_STATUS(ctx.status, ILK_OK, NULL);
}

/* dx: gradient of the stream after layer i, then before it */
static void layer_back(walk *w, unsigned i, float *dx)
{
    const twotower_layer *l = &w->m->towers[TWOTOWER_VISION].layers[i];
    const ilki_attn *d = &l->attn;
    size_t nq = (size_t)d->n_heads * d->d_qk, nk = (size_t)d->n_kv_heads * d->d_qk, nv = (size_t)d->n_kv_heads * d->d_v;
    size_t width = nq + nk + nv;
    float dh[N * 64] = {0}, dn[N * DIM] = {0}, da[N * 64] = {0}, dn1[N * DIM] = {0};
    float dq[N * 32] = {0}, dk[N * 32] = {0}, dv[N * 32] = {0}, dqkv[N * 96];
    char prefix[32];
    snprintf(prefix, sizeof prefix, "vision.layers.%u.", i);
    linear_back(w, prefix, (const char *const[]){"mlp.down", NULL}, (const size_t[]){DIM}, dx, dh);
    linear_back(w, prefix, (const char *const[]){"mlp.up", NULL}, (const size_t[]){40}, dh, dn);
    norm_back(w, prefix, "norm2", dn, dx);
    linear_back(w, prefix, (const char *const[]){"attn.o", NULL}, (const size_t[]){DIM}, dx, da);
    CHECK_OK(ilki_nn_attention_backward(take(w, ILKI_TAPE_ATTENTION), da, dq, dk, dv, &w->err), &w->err);
    rope_back(w, l, dq, d->n_heads, nq);
    rope_back(w, l, dk, d->n_kv_heads, nk);
    for (size_t r = 0; r < N; r++) {
        memcpy(dqkv + r * width, dq + r * nq, nq * sizeof *dq);
        memcpy(dqkv + r * width + nq, dk + r * nk, nk * sizeof *dk);
        memcpy(dqkv + r * width + nq + nk, dv + r * nv, nv * sizeof *dv);
    }
    linear_back(w, prefix, (const char *const[]){"attn.q", "attn.k", "attn.v", NULL}, (const size_t[]){nq, nk, nv},
                dqkv, dn1);
    norm_back(w, prefix, "norm1", dn1, dx);
}

static void check_walk(walk *w)
{
    float dx[N * DIM] = {0}, drows[N * ROW] = {0};
    w->e = w->tape.last;
    norm_back(w, "vision.", "norm", golden(w, "vision/dy"), dx);
    layer_back(w, 1, dx);
    layer_back(w, 0, dx);
    linear_back(w, "vision.", (const char *const[]){"patch", NULL}, (const size_t[]){DIM}, dx, drows);
    near_grad(w, "", "rows", drows);
    CHECK(w->e == NULL);
}

static void vision_tower(void)
{
    ilki_kern_ops ops[NN_TABLES];
    const char *const path[] = {ILK_TEST_DIR "/fixtures/twotower/golden.safetensors"};
    for (size_t t = 0, n = nn_tables(ops); t < 2 * n; t++) {
        walk w = {.m = twotower_open(&ops[t % n])};
        ilki_pool *pool = NULL;
        ilk_error_init(&w.err);
        CHECK_OK(ilki_format_open(&w.golden, &ilki_base_vfs_posix, path, 1, false, &w.err), &w.err);
        if (t >= n)
            CHECK_OK(ilki_base_pool_new(&pool, 3, &w.err), &w.err);
        memcpy(w.offsets, golden(&w, "vision/offsets"), sizeof w.offsets);
        w.positions = golden(&w, "vision/positions");
        float tokens[N * DIM];
        ilki_tower_in in = {.n_seqs = 2,
                            .n_tokens = N,
                            .offsets = w.offsets,
                            .rows = golden(&w, "vision/rows"),
                            .row_dim = ROW,
                            .positions = w.positions,
                            .n_axes = 2,
                            .groups = golden(&w, "vision/groups")};
        ilki_tower_out out = {.tokens = tokens};
        ilki_ws ws;
        size_t bytes;
        ilki_nn ctx = {.ops = w.m->ops, .pool = pool, .tape = &w.tape, .err = &w.err};
        CHECK_OK(ilki_models_measure(&w.m->net, TWOTOWER_VISION, &ctx, &in, &out, &bytes, &w.err), &w.err);
        void *memory = ilki_base_alloc_aligned(bytes, 1);
        ilki_base_ws_init(&ws, memory, bytes);
        ctx.ws = &ws;
        CHECK_OK(ilki_models_forward(&w.m->net, TWOTOWER_VISION, &ctx, &in, &out), &w.err);
        CHECK_INT(w.tape.n_entries, 16);
        check_walk(&w);
        free(memory);
        ilki_nn_tape_reset(&w.tape);
        ilki_base_pool_free(pool);
        ilki_format_close(w.golden);
        ilki_models_close(&w.m->net);
    }
}

TEST_MAIN({"vision tower", vision_tower})
