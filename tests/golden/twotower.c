/* SPDX-License-Identifier: Apache-2.0
 * The forward contract, by the model of tests/twotower.h: torch's results within 5e-6 of their scale; the same bits
 * alone, batched, shuffled, on any threads and after a cached prefix; nothing allocated in a pass; cancelled in time;
 * and a table that sets each member of the contract to something else and wants to see it: a member that is in a header
 * and not in the table fails the test. */
#include "twotower.h"

#include <ctype.h>

#include "alloc_count.h"
#include "base/map.h"
#include "cancel.h"
#include "nn_test.h"

enum { SEQS = 8, SPANS = 8, MODES = 63, N_MODES = 6, CLASSES = 4, LABELS = 5, MAX_KV = 256 };

/* ---- a tower's input and output, with all memory in one arena */

typedef struct text {
    ilki_arena arena;
    size_t dim;
    ilki_tower_in in;
    uint32_t offsets[SEQS + 1], prefix_len[SEQS], skip[SEQS], *row_at;
    int32_t *ids, *types, *positions, classes[CLASSES];
    ilki_tower_span spans[SPANS];
    ilki_layer_rows layer_rows[2];
    const ilki_kv *prefix[SEQS];
    ilki_tower_out out;
    ilki_logits logits[2];
    ilki_kv kv[SEQS], *kv_out[SEQS];
    float *kv_rows[SEQS][4]; /* k of layer 0, 1, v of layer 0, 1 */
} text;

typedef struct vision {
    ilki_arena arena;
    ilki_tower_in in;
    uint32_t offsets[SEQS + 1], *groups;
    int32_t *positions;
    float *rows;
    ilki_tower_out out;
} vision;

/* All there is for one model. */
typedef struct world {
    twotower *m;
    ilki_weights *golden;
    vision vision;
    text text;
} world;

static const ilki_tensor *find(const world *w, const char *name)
{
    const ilki_tensor *t = ilki_format_find(w->golden, name);
    CHECK(t != NULL);
    if (!t)
        printf("    %s is absent\n", name);
    return t;
}

/* A copy of a tensor of 32-bit numbers. */
static void *copy_of(const world *w, ilki_arena *arena, const char *name)
{
    const ilki_tensor *t = find(w, name);
    void *p = ilki_base_arena_alloc(arena, t->n_bytes, 1);
    memcpy(p, t->data, t->n_bytes);
    return p;
}

static void copy_to(const world *w, const char *name, void *to)
{
    const ilki_tensor *t = find(w, name);
    memcpy(to, t->data, t->n_bytes);
}

static float *floats(ilki_arena *a, size_t n)
{
    return ilki_base_arena_alloc(a, n, sizeof(float));
}

static void make_vision(world *w)
{
    vision *v = &w->vision;
    v->rows = copy_of(w, &v->arena, "vision/rows");
    v->positions = copy_of(w, &v->arena, "vision/positions");
    v->groups = copy_of(w, &v->arena, "vision/groups");
    copy_to(w, "vision/offsets", v->offsets);
    v->in = (ilki_tower_in){.n_seqs = 2,
                            .n_tokens = v->offsets[2],
                            .offsets = v->offsets,
                            .rows = v->rows,
                            .row_dim = 10,
                            .positions = v->positions,
                            .n_axes = 2,
                            .groups = v->groups};
    size_t n = v->offsets[2] * (size_t)32;
    v->out = (ilki_tower_out){.tokens = floats(&v->arena, n), .layer_tokens = floats(&v->arena, n), .layer = 1};
}

/* Outputs for what `in` has. */
static void make_outputs(text *x)
{
    size_t dim = x->dim, n_seqs = x->in.n_seqs;
    x->out = (ilki_tower_out){.pooling = MODES,
                              .pool_skip = x->skip,
                              .pooled = floats(&x->arena, n_seqs * dim * N_MODES),
                              .row_at = x->row_at,
                              .n_rows = x->layer_rows[0].n,
                              .rows = floats(&x->arena, 18 * dim),
                              .tokens = floats(&x->arena, x->in.n_tokens * dim),
                              .layer = 1,
                              .layer_tokens = floats(&x->arena, x->in.n_tokens * dim),
                              .logits = x->logits,
                              .n_logits = 2,
                              .kv = x->kv_out};
    x->logits[0] = (ilki_logits){"lm", x->classes, CLASSES, floats(&x->arena, n_seqs * CLASSES)};
    x->logits[1] = (ilki_logits){"classifier", NULL, LABELS, floats(&x->arena, n_seqs * LABELS)};
    for (size_t s = 0; s < n_seqs; s++) {
        uint32_t n = x->offsets[s + 1] - x->offsets[s] + (x->prefix[s] ? x->prefix[s]->n_tokens : 0);
        for (size_t i = 0; i < 4; i++)
            x->kv_rows[s][i] = floats(&x->arena, (size_t)n * 24);
        x->kv[s] = (ilki_kv){2, n, 2, 12, 6, &x->kv_rows[s][0], &x->kv_rows[s][2]};
        x->kv_out[s] = &x->kv[s];
    }
}

static void point_in(text *x, size_t n_seqs, size_t n_spans)
{
    x->in = (ilki_tower_in){.n_seqs = n_seqs,
                            .n_tokens = x->offsets[n_seqs],
                            .offsets = x->offsets,
                            .ids = x->ids,
                            .types = x->types,
                            .positions = x->positions,
                            .n_axes = 3,
                            .prefix_len = x->prefix_len,
                            .spans = x->spans,
                            .n_spans = n_spans,
                            .layer_rows = x->layer_rows,
                            .n_layer_rows = 2};
}

static void make_text(world *w)
{
    text *x = &w->text;
    x->dim = 32;
    x->ids = copy_of(w, &x->arena, "text/ids");
    x->types = copy_of(w, &x->arena, "text/types");
    x->positions = copy_of(w, &x->arena, "text/positions");
    x->row_at = copy_of(w, &x->arena, "text/row_at");
    copy_to(w, "text/offsets", x->offsets);
    copy_to(w, "text/prefix_len", x->prefix_len);
    copy_to(w, "text/skip", x->skip);
    copy_to(w, "text/classes", x->classes);
    /* the reference gave its text tower these rows, rounded to f32 */
    float *tokens = copy_of(w, &x->arena, "vision/tokens"), *deep = copy_of(w, &x->arena, "vision/layer1");
    x->spans[0] = (ilki_tower_span){4, 12, ILK_IMAGE, 1, 3, 4, tokens};
    x->spans[1] = (ilki_tower_span){39, 8, ILK_VIDEO, 2, 2, 2, NULL};
    x->spans[2] = (ilki_tower_span){89, 6, ILK_IMAGE, 1, 2, 3, tokens + 12 * 32};
    x->spans[3] = (ilki_tower_span){97, 2, ILK_AUDIO, 0, 0, 0, NULL};
    x->layer_rows[0] = (ilki_layer_rows){0, x->row_at, deep, 18};
    x->layer_rows[1] = (ilki_layer_rows){1, x->row_at, deep + 3 * 32, 3};
    point_in(x, 3, 4);
    make_outputs(x);
}

static void init_world(world *w, const ilki_kern_ops *ops)
{
    const char *const path[] = {ILK_TEST_DIR "/fixtures/twotower/golden.safetensors"};
    *w = (world){.m = twotower_open(ops)};
    CHECK_OK(ilki_format_open(&w->golden, &ilki_base_vfs_posix, path, 1, false, NULL), NULL);
    make_vision(w);
    make_text(w);
}

static void free_world(world *w)
{
    ilki_models_close(&w->m->net);
    ilki_format_close(w->golden);
    ilki_base_arena_deinit(&w->vision.arena);
    ilki_base_arena_deinit(&w->text.arena);
}

/* ---- a pass as the library runs one */

static ilk_status forward(const world *w, unsigned tower, const ilki_nn *with, const ilki_tower_in *in,
                          ilki_tower_out *out, ilk_error *err)
{
    ilki_nn ctx = *with;
    size_t bytes;
    ctx.ops = w->m->ops;
    ctx.err = err;
    ilk_status s = ilki_models_measure(&w->m->net, tower, &ctx, in, out, &bytes, err);
    if (s != ILK_OK)
        return s;
    void *memory = ilki_base_alloc_aligned(bytes, 1);
    memset(memory, 0xff, bytes);
    ilki_ws ws;
    ilki_base_ws_init(&ws, memory, bytes);
    ctx.ws = &ws;
    uint64_t before = alloc_count();
    s = ilki_models_forward(&w->m->net, tower, &ctx, in, out);
    if (!ctx.tape)
        CHECK_INT(alloc_count() - before, 0);
    CHECK(!ws.overrun && ws.used == 0 && (ws.peak == bytes || s != ILK_OK));
    free(memory);
    return s;
}

static ilk_status run_text(world *w, const ilki_nn *with, ilk_error *err)
{
    return forward(w, TWOTOWER_TEXT, with, &w->text.in, &w->text.out, err);
}

static ilk_status run_vision(world *w, const ilki_nn *with, ilk_error *err)
{
    return forward(w, TWOTOWER_VISION, with, &w->vision.in, &w->vision.out, err);
}

/* ---- against torch */

static void near_golden(const world *w, const char *name, const float *got)
{
    const ilki_tensor *t = find(w, name);
    size_t n = t->n_bytes / sizeof(float);
    float *want = malloc(t->n_bytes);
    double scale = 0;
    memcpy(want, t->data, t->n_bytes);
    for (size_t i = 0; i < n; i++)
        scale = fabs((double)want[i]) > scale ? fabs((double)want[i]) : scale;
    CHECK(scale > 0.1);
    if (!CHECK_FLOATS(got, want, n, 5e-6 * scale, 0))
        printf("    %s, table %s\n", name, w->m->ops->name);
    free(want);
}

/* Keys and values of all sequences as one matrix. */
static void check_kv(const world *w, const char *name, size_t which, size_t width)
{
    const text *x = &w->text;
    float *all = malloc(x->in.n_tokens * width * sizeof *all);
    for (size_t s = 0; s < 3; s++)
        memcpy(all + x->offsets[s] * width, x->kv_rows[s][which], x->kv[s].n_tokens * width * sizeof *all);
    near_golden(w, name, all);
    free(all);
}

static void golden(void)
{
    ilki_kern_ops ops[NN_TABLES];
    for (size_t t = 0, n = nn_tables(ops); t < n; t++) {
        ilk_error err;
        ilk_error_init(&err);
        world w;
        init_world(&w, &ops[t]);
        CHECK_OK(run_vision(&w, &(ilki_nn){0}, &err), &err);
        near_golden(&w, "vision/tokens", w.vision.out.tokens);
        near_golden(&w, "vision/layer1", w.vision.out.layer_tokens);
        text *x = &w.text;
        CHECK_OK(run_text(&w, &(ilki_nn){0}, &err), &err);
        near_golden(&w, "text/tokens", x->out.tokens);
        near_golden(&w, "text/layer1", x->out.layer_tokens);
        near_golden(&w, "text/pooled", x->out.pooled);
        near_golden(&w, "text/lm", x->logits[0].out);
        near_golden(&w, "text/classifier", x->logits[1].out);
        for (size_t i = 0; i < x->out.n_rows; i++)
            CHECK_MEM(x->out.rows + i * 32, x->out.tokens + x->row_at[i] * 32, 32 * sizeof(float));
        check_kv(&w, "text/k0", 0, 24);
        check_kv(&w, "text/k1", 1, 24);
        check_kv(&w, "text/v0", 2, 12);
        check_kv(&w, "text/v1", 3, 12);
        x->out.layer = 0;
        CHECK_OK(run_text(&w, &(ilki_nn){0}, &err), &err);
        near_golden(&w, "text/layer0", x->out.layer_tokens);
        x->in.positions = NULL; /* from the grids of the spans */
        CHECK_OK(run_text(&w, &(ilki_nn){0}, &err), &err);
        near_golden(&w, "auto/tokens", x->out.tokens);
        free_world(&w);
    }
}

/* ---- the same bits */

static void threads(void)
{
    static const unsigned counts[] = {1, 2, 3, 16};
    ilki_kern_ops ops[NN_TABLES];
    for (size_t t = 0, n = nn_tables(ops); t < n; t++) {
        ilk_error err;
        ilk_error_init(&err);
        world w, p;
        init_world(&w, &ops[t]);
        init_world(&p, &ops[t]);
        CHECK_OK(run_text(&w, &(ilki_nn){0}, &err), &err);
        CHECK_OK(run_vision(&w, &(ilki_nn){0}, &err), &err);
        for (size_t i = 0; i < 4; i++) {
            ilki_pool *pool = NULL;
            CHECK_OK(ilki_base_pool_new(&pool, counts[i], &err), &err);
            CHECK_OK(run_text(&p, &(ilki_nn){.pool = pool}, &err), &err);
            CHECK_OK(run_vision(&p, &(ilki_nn){.pool = pool}, &err), &err);
            CHECK_MEM(p.text.out.tokens, w.text.out.tokens, (size_t)100 * 32 * 4);
            CHECK_MEM(p.text.out.pooled, w.text.out.pooled, (size_t)3 * 32 * N_MODES * 4);
            CHECK_MEM(p.vision.out.tokens, w.vision.out.tokens, (size_t)18 * 32 * 4);
            ilki_base_pool_free(pool);
        }
        free_world(&w);
        free_world(&p);
    }
}

/* Sequences of `from` in another order, into `to`, whose arena owns all but the rows of spans and layers. */
static void pick(const text *from, const uint32_t *order, size_t n, text *to)
{
    size_t total = from->in.n_tokens, at = 0, n_spans = 0;
    uint32_t *where = ilki_base_arena_alloc(&to->arena, total, sizeof *where); /* UINT32_MAX: not taken */
    to->dim = from->dim;
    to->ids = ilki_base_arena_alloc(&to->arena, total, 4);
    to->types = ilki_base_arena_alloc(&to->arena, total, 4);
    to->positions = ilki_base_arena_alloc(&to->arena, 3 * total, 4);
    to->row_at = ilki_base_arena_alloc(&to->arena, 18, 4);
    memset(where, 0xff, total * sizeof *where);
    memcpy(to->classes, from->classes, sizeof to->classes);
    for (size_t s = 0; s < n; s++) {
        to->prefix_len[s] = from->prefix_len[order[s]];
        to->skip[s] = from->skip[order[s]];
        for (size_t i = from->offsets[order[s]]; i < from->offsets[order[s] + 1]; i++)
            where[i] = (uint32_t)at++;
        to->offsets[s + 1] = (uint32_t)at;
    }
    for (size_t i = 0; i < total; i++) {
        if (where[i] == UINT32_MAX)
            continue;
        to->ids[where[i]] = from->ids[i];
        to->types[where[i]] = from->types[i];
        for (size_t a = 0; a < 3; a++)
            to->positions[a * at + where[i]] = from->positions[a * total + i];
    }
    for (size_t k = 0; k < from->in.n_spans; k++)
        if (where[from->spans[k].first] != UINT32_MAX) {
            to->spans[n_spans] = from->spans[k];
            to->spans[n_spans++].first = where[from->spans[k].first];
        }
    for (size_t r = 0; r < 2; r++) {
        ilki_layer_rows *rows = &to->layer_rows[r];
        float *kept = floats(&to->arena, 18 * 32);
        uint32_t *kept_at = ilki_base_arena_alloc(&to->arena, 18, 4);
        *rows = (ilki_layer_rows){r == 0 ? 0 : 1, kept_at, kept, 0};
        for (size_t i = 0; i < from->layer_rows[r].n; i++)
            if (where[from->row_at[i]] != UINT32_MAX) {
                memcpy(kept + rows->n * 32, from->layer_rows[r].rows + i * 32, 32 * sizeof *kept);
                kept_at[rows->n++] = where[from->row_at[i]];
            }
    }
    memcpy(to->row_at, to->layer_rows[0].at, 18 * 4);
    point_in(to, n, n_spans);
    make_outputs(to);
}

static void company(void)
{
    static const uint32_t orders[][3] = {{2, 0, 1}, {1, 2, 0}, {0}, {1}, {2}};
    static const size_t sizes[] = {3, 3, 1, 1, 1};
    ilki_kern_ops ops[NN_TABLES];
    for (size_t t = 0, n = nn_tables(ops); t < n; t++) {
        ilk_error err;
        ilk_error_init(&err);
        world w;
        init_world(&w, &ops[t]);
        CHECK_OK(run_text(&w, &(ilki_nn){0}, &err), &err);
        for (size_t i = 0; i < 5; i++) {
            text x = {.arena = {0}};
            pick(&w.text, orders[i], sizes[i], &x);
            CHECK_OK(forward(&w, TWOTOWER_TEXT, &(ilki_nn){0}, &x.in, &x.out, &err), &err);
            for (size_t s = 0; s < sizes[i]; s++) {
                uint32_t was = orders[i][s], rows = x.offsets[s + 1] - x.offsets[s];
                CHECK_MEM(x.out.tokens + x.offsets[s] * 32, w.text.out.tokens + w.text.offsets[was] * 32,
                          (size_t)rows * 32 * 4);
                CHECK_MEM(x.out.pooled + s * 32 * N_MODES, w.text.out.pooled + was * 32 * N_MODES, 32 * N_MODES * 4);
                CHECK_MEM(x.logits[0].out + s * CLASSES, w.text.logits[0].out + was * CLASSES, CLASSES * 4);
                CHECK_MEM(x.logits[1].out + s * LABELS, w.text.logits[1].out + was * LABELS, LABELS * 4);
            }
            ilki_base_arena_deinit(&x.arena);
        }
        free_world(&w);
    }
}

/* ---- cached prefixes */

/* The first `n` tokens of sequence `s` alone or what follows them, as one sequence; rows go with their tokens. */
static void cut(const text *from, uint32_t s, uint32_t lo, uint32_t hi, const ilki_kv *prefix, text *to)
{
    text one = {.arena = {0}};
    pick(from, &s, 1, &one);
    size_t n = hi - lo, n_spans = 0, total = one.in.n_tokens;
    to->dim = one.dim;
    to->ids = ilki_base_arena_alloc(&to->arena, n, 4);
    to->types = ilki_base_arena_alloc(&to->arena, n, 4);
    to->positions = ilki_base_arena_alloc(&to->arena, 3 * n, 4);
    to->row_at = ilki_base_arena_alloc(&to->arena, 18, 4);
    memcpy(to->ids, one.ids + lo, n * 4);
    memcpy(to->types, one.types + lo, n * 4);
    for (size_t a = 0; a < 3; a++)
        memcpy(to->positions + a * n, one.positions + a * total + lo, n * 4);
    to->offsets[1] = (uint32_t)n;
    to->prefix_len[0] = one.prefix_len[0];
    memcpy(to->classes, one.classes, sizeof to->classes);
    for (size_t k = 0; k < one.in.n_spans; k++) { /* a span is cut too */
        ilki_tower_span x = one.spans[k];
        size_t a = x.first > lo ? x.first : lo, b = x.first + x.n < hi ? x.first + x.n : hi;
        if (a < b)
            to->spans[n_spans++] = (ilki_tower_span){
                a - lo, b - a, x.modality, x.t, x.h, x.w, x.rows ? x.rows + (a - x.first) * 32 : NULL};
    }
    for (size_t r = 0; r < 2; r++) {
        float *kept = floats(&to->arena, 18 * 32);
        uint32_t *at = ilki_base_arena_alloc(&to->arena, 18, 4);
        ilki_layer_rows *rows = &to->layer_rows[r];
        *rows = (ilki_layer_rows){(uint32_t)r, at, kept, 0};
        for (size_t i = 0; i < one.layer_rows[r].n; i++) {
            uint32_t was = one.layer_rows[r].at[i];
            if (was >= lo && was < hi) {
                memcpy(kept + rows->n * 32, one.layer_rows[r].rows + i * 32, 32 * sizeof *kept);
                at[rows->n++] = was - lo;
            }
        }
    }
    memcpy(to->row_at, to->layer_rows[0].at, 18 * 4);
    to->prefix[0] = prefix;
    point_in(to, 1, n_spans);
    to->in.prefix = to->prefix;
    make_outputs(to);
    to->out.pooling = ILKI_POOL_LAST;
    to->out.pool_skip = NULL;
    ilki_base_arena_deinit(&one.arena);
}

static void check_prefix(world *w, uint32_t s, uint32_t n)
{
    text first = {.arena = {0}}, rest = {.arena = {0}};
    const text *whole = &w->text;
    uint32_t length = whole->offsets[s + 1] - whole->offsets[s];
    ilk_error err;
    ilk_error_init(&err);
    cut(whole, s, 0, n, NULL, &first);
    CHECK_OK(forward(w, TWOTOWER_TEXT, &(ilki_nn){0}, &first.in, &first.out, &err), &err);
    cut(whole, s, n, length, &first.kv[0], &rest);
    CHECK_OK(forward(w, TWOTOWER_TEXT, &(ilki_nn){0}, &rest.in, &rest.out, &err), &err);
    const float *want = whole->out.tokens + whole->offsets[s] * 32;
    bool same = CHECK_MEM(first.out.tokens, want, (size_t)n * 32 * 4);
    same &= CHECK_MEM(rest.out.tokens, want + n * 32, (size_t)(length - n) * 32 * 4);
    same &= CHECK_MEM(rest.out.pooled, want + (size_t)(length - 1) * 32, 32 * 4);
    same &= CHECK_MEM(rest.logits[0].out, whole->logits[0].out + s * CLASSES, CLASSES * 4);
    for (size_t i = 0; i < 4; i++) /* keys and values out: the prefix's and the new ones */
        same &= CHECK_MEM(rest.kv_rows[0][i], whole->kv_rows[s][i], (size_t)length * (i < 2 ? 24 : 12) * 4);
    if (!same)
        printf("    sequence %u, prefix of %u, table %s\n", s, n, w->m->ops->name);
    rest.out.pooling = ILKI_POOL_CLS;
    CHECK_STATUS(forward(w, TWOTOWER_TEXT, &(ilki_nn){0}, &rest.in, &rest.out, &err), ILK_UNSUPPORTED, NULL);
    ilki_base_arena_deinit(&first.arena);
    ilki_base_arena_deinit(&rest.arena);
}

static void prefixes(void)
{
    ilki_kern_ops ops[NN_TABLES];
    for (size_t t = 0, n = nn_tables(ops); t < n; t++) {
        ilk_error err;
        ilk_error_init(&err);
        world w;
        init_world(&w, &ops[t]);
        CHECK_OK(run_text(&w, &(ilki_nn){0}, &err), &err);
        check_prefix(&w, 0, 6);
        check_prefix(&w, 0, 19);
        check_prefix(&w, 1, 1);
        static const uint32_t cuts[] = {12, 40, 63, 64, 65, 70};
        for (size_t i = 0; i < 6; i++)
            check_prefix(&w, 2, cuts[i]);
        free_world(&w);
    }
}

/* ---- each member set to something else */

/* Everything that can be seen of a world: vision, text, text with positions counted, the third sequence behind a cached
 * prefix. A refusal is something to see, too. */
typedef struct sight {
    uint64_t hash;
    bool refused;
} sight;

typedef struct probe {
    world w;
    text second; /* behind the cached prefix */
    text first;
} probe;

static uint64_t mix(uint64_t hash, const float *x, size_t n)
{
    return x ? ilki_base_hash64(x, n * sizeof *x, hash) : hash + 1;
}

static uint64_t mix_text(uint64_t h, const text *x, const ilki_tower_out *out, size_t n, size_t n_seqs)
{
    h = mix(h, out->tokens, n * 32);
    h = mix(h, out->layer_tokens, n * 32);
    h = mix(h, out->pooled, n_seqs * 32 * N_MODES);
    h = mix(h, out->rows, (size_t)18 * 32);
    h = mix(h, out->n_logits > 0 ? x->logits[0].out : NULL, n_seqs * CLASSES);
    h = mix(h, out->n_logits > 1 ? x->logits[1].out : NULL, n_seqs * LABELS);
    for (size_t s = 0; s < n_seqs; s++)
        for (size_t i = 0; i < 4; i++)
            h = mix(h, x->kv_rows[s][i], (size_t)x->kv[s].n_tokens * 12);
    return h;
}

static void zero_outputs(text *x, size_t n_seqs, size_t n)
{
    if (x->out.pooled)
        memset(x->out.pooled, 0, n_seqs * 32 * N_MODES * sizeof(float));
    if (x->out.tokens)
        memset(x->out.tokens, 0, n * 32 * sizeof(float));
}

static sight look(probe *p)
{
    world *w = &p->w;
    text *x = &w->text;
    ilk_error err;
    sight s = {0};
    ilk_error_init(&err);
    const int32_t *positions = x->in.positions;
    s.refused |= run_vision(w, &(ilki_nn){0}, &err) != ILK_OK;
    s.hash = mix(s.hash, w->vision.out.tokens, (size_t)18 * 32);
    s.hash = mix(s.hash, w->vision.out.layer_tokens, (size_t)18 * 32);
    s.refused |= run_text(w, &(ilki_nn){0}, &err) != ILK_OK;
    s.hash = mix_text(s.hash, x, &x->out, 100, 3);
    x->in.positions = NULL;
    zero_outputs(x, 3, 100);
    s.refused |= run_text(w, &(ilki_nn){0}, &err) != ILK_OK;
    s.hash = mix_text(s.hash, x, &x->out, 100, 3);
    x->in.positions = positions;
    s.refused |= forward(w, TWOTOWER_TEXT, &(ilki_nn){0}, &p->second.in, &p->second.out, &err) != ILK_OK;
    s.hash = mix_text(s.hash, &p->second, &p->second.out, p->second.in.n_tokens, 1);
    return s;
}

static void init_probe(probe *p, const ilki_kern_ops *ops)
{
    ilk_error err;
    ilk_error_init(&err);
    memset(p, 0, sizeof *p);
    init_world(&p->w, ops);
    cut(&p->w.text, 2, 0, 20, NULL, &p->first);
    CHECK_OK(forward(&p->w, TWOTOWER_TEXT, &(ilki_nn){0}, &p->first.in, &p->first.out, &err), &err);
    cut(&p->w.text, 2, 20, 71, &p->first.kv[0], &p->second);
}

static void free_probe(probe *p)
{
    ilki_base_arena_deinit(&p->first.arena);
    ilki_base_arena_deinit(&p->second.arena);
    free_world(&p->w);
}

/* Short names for what the rows below change. */
#define TEXT(i)      (&p->w.m->towers[TWOTOWER_TEXT].layers[i])
#define VISION(i)    (&p->w.m->towers[TWOTOWER_VISION].layers[i])
#define FLIP(packed) (((unsigned char *)(packed))[3] ^= 0x80) /* the sign of a weight, in every table's form */
#define T            (&p->w.text)
#define V            (&p->w.vision)
static float zeros[4096];

/* struct.member, how it is changed */
#define CHANGES(X)                                                                                                     \
    X("ilki_attn.scale", TEXT(0)->attn.scale *= 1.5f)                                                                  \
    X("ilki_attn.softcap", TEXT(0)->attn.softcap = 0)                                                                  \
    X("ilki_attn.n_heads", VISION(1)->attn.n_heads = 1)                                                                \
    X("ilki_attn.n_kv_heads", TEXT(0)->attn.n_kv_heads = 4)                                                            \
    X("ilki_attn.d_qk", TEXT(0)->attn.d_qk = 6)                                                                        \
    X("ilki_attn.d_v", TEXT(0)->attn.d_v = 3)                                                                          \
    X("ilki_attn.n_heads n_kv_heads d_qk d_v",                                                                         \
      (VISION(1)->attn.n_heads = 4, VISION(1)->attn.n_kv_heads = 2, VISION(1)->attn.d_qk = VISION(1)->attn.d_v = 4))   \
    X("ilki_attn.mask", TEXT(0)->attn.mask = ILKI_MASK_CAUSAL)                                                         \
    X("ilki_attn.mask prefix", TEXT(0)->attn.mask = ILKI_MASK_FULL)                                                    \
    X("ilki_attn.mask causal", TEXT(1)->attn.mask = ILKI_MASK_FULL)                                                    \
    X("ilki_attn.mask group", VISION(0)->attn.mask = ILKI_MASK_FULL)                                                   \
    X("ilki_attn.window_left", TEXT(1)->attn.window_left = 10)                                                         \
    X("ilki_attn.window_left none", VISION(1)->attn.window_left = UINT32_MAX)                                          \
    X("ilki_attn.window_right", VISION(1)->attn.window_right = UINT32_MAX)                                             \
    X("ilki_attn.bias", TEXT(1)->attn.bias = NULL)                                                                     \
    X("ilki_attn.bias zero", VISION(0)->attn.bias = zeros)                                                             \
    X("ilki_attn.bias_span", TEXT(1)->attn.bias_span = 5)                                                              \
    X("ilki_attn.extra_k", TEXT(1)->attn.extra_k = zeros)                                                              \
    X("ilki_attn.extra_v", VISION(0)->attn.extra_v = zeros)                                                            \
    X("ilki_attn.n_extra", TEXT(1)->attn.n_extra = 1)                                                                  \
    X("ilki_attn.half", TEXT(0)->attn.half = true)                                                                     \
    X("ilki_rope.theta", TEXT(0)->rope.theta = 90)                                                                     \
    X("ilki_rope.dim", TEXT(0)->rope.dim = 8)                                                                          \
    X("ilki_rope.freq_dim", TEXT(0)->rope.freq_dim = 0)                                                                \
    X("ilki_rope.freq_div", TEXT(0)->rope.freq_div = 2)                                                                \
    X("ilki_rope.pairing", VISION(0)->rope.pairing = ILKI_ROPE_HALF)                                                   \
    X("ilki_rope.n_axes", VISION(0)->rope.n_axes = 1)                                                                  \
    X("ilki_rope.section", TEXT(1)->rope.section[1] = 3)                                                               \
    X("ilki_rope.section strided", TEXT(0)->rope.section[1] = 2)                                                       \
    X("ilki_rope.sections", TEXT(0)->rope.sections = ILKI_ROPE_CONTIGUOUS)                                             \
    X("ilki_kv.n_layers", p->first.kv[0].n_layers = 1)                                                                 \
    X("ilki_kv.n_tokens", p->first.kv[0].n_tokens = 19)                                                                \
    X("ilki_kv.n_kv_heads", p->first.kv[0].n_kv_heads = 1)                                                             \
    X("ilki_kv.d_qk", p->first.kv[0].d_qk = 6)                                                                         \
    X("ilki_kv.d_v", p->first.kv[0].d_v = 3)                                                                           \
    X("ilki_kv.k", p->first.kv_rows[0][1][100] += 0.5f)                                                                \
    X("ilki_kv.v", p->first.kv_rows[0][2][100] += 0.5f)                                                                \
    X("ilki_tower_span.first", T->spans[0].first++)                                                                    \
    X("ilki_tower_span.n", T->spans[3].n--)                                                                            \
    X("ilki_tower_span.modality", T->spans[3].modality = ILK_TEXT)                                                     \
    X("ilki_tower_span.t", T->spans[1].t = 1)                                                                          \
    X("ilki_tower_span.h", T->spans[1].h = 1)                                                                          \
    X("ilki_tower_span.w", T->spans[1].w = 1)                                                                          \
    X("ilki_tower_span.rows", T->spans[0].rows = NULL)                                                                 \
    X("ilki_layer_rows.layer", T->layer_rows[0].layer = 1)                                                             \
    X("ilki_layer_rows.at", T->row_at[0] = 1)                                                                          \
    X("ilki_layer_rows.rows", T->layer_rows[1].rows = zeros)                                                           \
    X("ilki_layer_rows.n", T->layer_rows[0].n--)                                                                       \
    X("ilki_tower_in.n_seqs", T->in.n_seqs = 2)                                                                        \
    X("ilki_tower_in.n_tokens", T->in.n_tokens--)                                                                      \
    X("ilki_tower_in.offsets", T->offsets[1]++)                                                                        \
    X("ilki_tower_in.ids", T->ids[1] ^= 1)                                                                             \
    X("ilki_tower_in.ids none", T->in.ids = NULL)                                                                      \
    X("ilki_tower_in.rows", V->rows[5] += 1)                                                                           \
    X("ilki_tower_in.row_dim", V->in.row_dim = 9)                                                                      \
    X("ilki_tower_in.types", T->in.types = NULL)                                                                       \
    X("ilki_tower_in.positions", T->positions[205]++)                                                                  \
    X("ilki_tower_in.n_axes", T->in.n_axes = 2)                                                                        \
    X("ilki_tower_in.groups", V->groups[3] ^= 1)                                                                       \
    X("ilki_tower_in.groups none", V->in.groups = NULL)                                                                \
    X("ilki_tower_in.groups in text", T->in.groups = V->groups)                                                        \
    X("ilki_tower_in.prefix_len", T->prefix_len[2] = 30)                                                               \
    X("ilki_tower_in.prefix_len none", T->in.prefix_len = NULL)                                                        \
    X("ilki_tower_in.prefix", p->second.in.prefix = NULL)                                                              \
    X("ilki_tower_in.prefix entry", p->second.prefix[0] = NULL)                                                        \
    X("ilki_tower_in.spans", T->in.spans++)                                                                            \
    X("ilki_tower_in.n_spans", T->in.n_spans = 1)                                                                      \
    X("ilki_tower_in.layer_rows", T->in.layer_rows = p->second.layer_rows)                                             \
    X("ilki_tower_in.n_layer_rows", T->in.n_layer_rows = 1)                                                            \
    X("ilki_tower_out.pooling", T->out.pooling = MODES & ~ILKI_POOL_MEAN)                                              \
    X("ilki_tower_out.pool_skip", T->out.pool_skip = NULL)                                                             \
    X("ilki_tower_out.pooled", T->out.pooled = NULL)                                                                   \
    X("ilki_tower_out.row_at", T->out.row_at = T->row_at + 1; T->out.n_rows--)                                         \
    X("ilki_tower_out.n_rows", T->out.n_rows = 2)                                                                      \
    X("ilki_tower_out.rows", T->out.rows = NULL)                                                                       \
    X("ilki_tower_out.tokens", T->out.tokens = NULL)                                                                   \
    X("ilki_tower_out.layer", T->out.layer = 2)                                                                        \
    X("ilki_tower_out.layer_tokens", T->out.layer_tokens = NULL)                                                       \
    X("ilki_tower_out.logits", T->out.logits++; T->out.n_logits--)                                                     \
    X("ilki_tower_out.n_logits", T->out.n_logits = 1)                                                                  \
    X("ilki_tower_out.kv", T->out.kv = NULL)                                                                           \
    X("ilki_tower_out.embedded", T->out.embedded = T->out.pooled)                                                      \
    X("ilki_tower_out.kv entry", T->kv_out[1] = NULL)                                                                  \
    X("ilki_logits.head", T->logits[0].head = "classifier")                                                            \
    X("ilki_logits.head unknown", T->logits[0].head = "mlm")                                                           \
    X("ilki_logits.classes", T->classes[1]++)                                                                          \
    X("ilki_logits.n_classes", T->logits[0].n_classes--)                                                               \
    X("ilki_logits.out", T->logits[0].out = T->logits[1].out)                                                          \
    X("ilki_linear.n_in", p->w.m->towers[TWOTOWER_TEXT].layers[0].o.n_in--)                                            \
    X("ilki_linear.n_out", TEXT(0)->qkv.n_out--)                                                                       \
    X("ilki_linear.source", reopen(p, ILKI_FORM_F32, false))                                                           \
    X("ilki_linear.borrowed", reopen(p, ILKI_FORM_F32, true))                                                          \
    X("ilki_linear.form", reopen(p, ILKI_FORM_I8, false))                                                              \
    X("ilki_linear.i8", reopen(p, ILKI_FORM_I8W, false); settle(p, 0))                                                 \
    X("ilki_linear.parts", reopen(p, ILKI_FORM_I8, false); settle(p, 1))                                               \
    X("ilki_linear.n_parts", reopen(p, ILKI_FORM_I8W, true); settle(p, 1))                                             \
    X("ilki_linear.master stale", p->w.m->classifier.master[3] += 1; p->w.m->classifier.stale = true;                  \
      ilki_tensor_linear_repack(&p->w.m->classifier, p->w.m->ops))                                                     \
    X("ilki_linear.packed", FLIP(VISION(0)->qkv.packed))                                                               \
    X("ilki_linear.bias", TEXT(1)->qkv.bias[0] += 1)                                                                   \
    X("ilki_linear.delta", ilki_tensor_linear_set_delta(&TEXT(0)->o, p->w.m->ops, 0, 0, NULL, NULL, NULL))             \
    X("ilki_lowrank.rank",                                                                                             \
      ilki_tensor_linear_set_delta(&TEXT(0)->o, p->w.m->ops, 2, 0.5f, TEXT(0)->o.delta->a, TEXT(0)->o.delta->b, NULL)) \
    X("ilki_lowrank.scale", TEXT(0)->o.delta->scale = 0.25f)                                                           \
    X("ilki_lowrank.a stale", TEXT(0)->o.delta->a[5] += 1; TEXT(0)->o.delta->stale = true;                             \
      ilki_tensor_linear_repack(&TEXT(0)->o, p->w.m->ops))                                                             \
    X("ilki_lowrank.b", TEXT(0)->o.delta->b[5] += 1; ilki_tensor_linear_repack(&TEXT(0)->o, p->w.m->ops))              \
    X("ilki_lowrank.packed_a", FLIP(TEXT(0)->o.delta->packed_a))                                                       \
    X("ilki_lowrank.packed_b", FLIP(TEXT(0)->o.delta->packed_b))

/* The mapped source of another layer's weights, packed again; `elsewhere`: into memory that is not the linear's. */
static void reopen(probe *p, ilki_form form, bool elsewhere)
{
    static _Alignas(ILKI_ALIGN) unsigned char room[1 << 18];
    ilki_linear *l = &VISION(0)->down;
    size_t n = 0;
    CHECK(ilki_tensor_packed_bytes(p->w.m->ops, form, l->n_out, l->n_in, &n) && n <= sizeof room);
    const ilki_tensor *source = VISION(1)->down.source;
    ilki_tensor_linear_deinit(l);
    CHECK_OK(ilki_tensor_linear_init_at(l, &(ilki_packing){.form = form, .room = elsewhere ? room : NULL}, p->w.m->ops,
                                        &source, NULL, 1, NULL),
             NULL);
}

/* Exact channels chosen as if the first inputs had been the greatest, from the weights of layer `layer`. */
static void settle(probe *p, unsigned layer)
{
    ilki_linear *l = &VISION(0)->down;
    float seen[4096];
    for (size_t i = 0; i < l->n_in && i < 4096; i++)
        seen[i] = 4096.0f - (float)i;
    l->parts[0] = VISION(layer)->up.n_in == l->n_in ? VISION(layer)->up.source : l->parts[0];
    l->i8->seen = seen;
    CHECK_OK(ilki_tensor_linear_settle(l, p->w.m->ops, NULL), NULL);
    l->i8->seen = NULL;
}

static void make_change(size_t i, probe *p)
{
    size_t at = 0;
#define CASE(name, ...)                                                                                                \
    if (at++ == i) {                                                                                                   \
        __VA_ARGS__;                                                                                                   \
        return;                                                                                                        \
    }
    CHANGES(CASE)
#undef CASE
}

static const char *const change_names[] = {
#define NAME(name, ...) name,
    CHANGES(NAME)
#undef NAME
};
enum { N_CHANGES = sizeof change_names / sizeof *change_names };

static void members(void)
{
    ilki_kern_ops ops[NN_TABLES];
    ilki_kern_ops *best = &ops[nn_tables(ops) - 1];
    best->attn_bf16_pays = true; /* so that ilki_attn.half tells on every machine */
    probe p;
    init_probe(&p, best);
    sight plain = look(&p), again = look(&p);
    CHECK(!plain.refused);
    CHECK_INT(plain.hash, again.hash);
    free_probe(&p);
    for (size_t i = 0; i < N_CHANGES; i++) {
        init_probe(&p, best);
        make_change(i, &p);
        sight s = look(&p);
        if (!CHECK(s.refused || s.hash != plain.hash))
            printf("    %s changes nothing\n", change_names[i]);
        free_probe(&p);
    }
}

/* ---- every member of the contract is in the table */

/* True when some row's name is "type.member…", the member as a whole word. */
static bool has_row(const char *type, const char *member)
{
    char dotted[96];
    size_t n = (size_t)snprintf(dotted, sizeof dotted, "%s.", type), m = strlen(member);
    for (size_t i = 0; i < N_CHANGES; i++) {
        if (strncmp(change_names[i], dotted, n) != 0)
            continue;
        for (const char *at = change_names[i] + n; (at = strstr(at, member)) != NULL; at += m)
            if (!isalnum((unsigned char)at[m]) && at[m] != '_' && !isalnum((unsigned char)at[-1]) && at[-1] != '_')
                return true;
    }
    return false;
}

/* Blanks comments. */
static void strip(char *s)
{
    for (char *at = s; (at = strstr(at, "/*")) != NULL;) {
        char *end = strstr(at, "*/");
        if (!end)
            return;
        memset(at, ' ', (size_t)(end + 2 - at));
    }
}

/* The members of `typedef struct type { … } type;`: the last word before each comma, bracket or semicolon. */
static size_t check_struct(const char *header, const char *type)
{
    char open[96], close[96], word[64] = "";
    size_t n = 0;
    snprintf(open, sizeof open, "typedef struct %s {", type);
    snprintf(close, sizeof close, "} %s;", type);
    const char *at = strstr(header, open), *end = at ? strstr(at, close) : NULL;
    CHECK(at && end);
    if (!at || !end)
        return 0;
    bool index = false;
    for (at += strlen(open); at < end; at++) {
        if (isalnum((unsigned char)*at) || *at == '_') {
            size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
            if (!index)
                snprintf(word, sizeof word, "%.*s", (int)len, at);
            at += len - 1;
        } else if (*at == '[') {
            index = true;
        } else if (*at == ',' || *at == ';') {
            n++;
            index = false;
            if (!CHECK(has_row(type, word)))
                printf("    %s.%s: no test sets it\n", type, word);
        }
    }
    return n;
}

static void coverage(void)
{
    static const struct {
        const char *path, *type;
        size_t n;
    } structs[] = {
        {"nn/nn.h", "ilki_attn", 14},
        {"nn/nn.h", "ilki_rope", 8},
        {"nn/nn.h", "ilki_kv", 7},
        {"models/model.h", "ilki_tower_span", 7},
        {"models/model.h", "ilki_layer_rows", 4},
        {"models/model.h", "ilki_tower_in", 16},
        {"models/model.h", "ilki_tower_out", 13},
        {"models/model.h", "ilki_logits", 4},
        {"tensor/linear.h", "ilki_linear", 8},
        {"tensor/linear.h", "ilki_lowrank", 7},
    };
    for (size_t i = 0; i < sizeof structs / sizeof *structs; i++) {
        char path[512], *header = NULL;
        size_t n = 0;
        snprintf(path, sizeof path, "%s/../src/%s", ILK_TEST_DIR, structs[i].path);
        REQUIRE(CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 20, &header, &n, NULL), NULL));
        strip(header);
        CHECK(check_struct(header, structs[i].type) >= structs[i].n);
        free(header);
    }
    CHECK(!has_row("ilki_attn", "scal")); /* the check can fail */
    CHECK(!has_row("ilki_tower_span", "scale"));
}

/* ---- cancelling a long text */

enum { LONG = 8192 };

typedef struct long_text {
    world *w;
    text *x;
    ilki_pool *pool;
} long_text;

static ilk_status read_long_text(void *arg, ilk_job *job, ilk_error *err)
{
    long_text *l = arg;
    return forward(l->w, TWOTOWER_TEXT, &(ilki_nn){.pool = l->pool, .job = job}, &l->x->in, &l->x->out, err);
}

static void cancel(void)
{
    world w;
    init_world(&w, &ilki_kern_ref);
    text x = {.dim = 32, .offsets = {0, LONG}};
    x.ids = ilki_base_arena_alloc(&x.arena, LONG, 4);
    x.in = (ilki_tower_in){
        .n_seqs = 1, .n_tokens = LONG, .offsets = x.offsets, .ids = x.ids, .prefix_len = x.prefix_len};
    x.out = (ilki_tower_out){.pooling = ILKI_POOL_MEAN, .pooled = floats(&x.arena, 32)};
    ilki_pool *pool = NULL;
    CHECK_OK(ilki_base_pool_new(&pool, 2, NULL), NULL);
    cancel_in_time(
        &(cancelled){.what = "a long text", .after_ms = 30, .run = read_long_text, .arg = &(long_text){&w, &x, pool}});
    ilki_base_pool_free(pool);
    ilki_base_arena_deinit(&x.arena);
    free_world(&w);
}

TEST_MAIN({"golden", golden}, {"threads", threads}, {"company", company}, {"prefixes", prefixes}, {"members", members},
          {"coverage", coverage}, {"cancel", cancel})
