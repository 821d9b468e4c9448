/* SPDX-License-Identifier: Apache-2.0
 * Where a pass spends its time: bench_stages [f32|bf16|int8|int8w] DIR [THREADS [SECONDS [SEQSxTOKENS|PICTURES ...]]].
 *
 * The pass gets a copy of the table of arithmetic in which every entry is wrapped: it is timed and counted under its kind
 * and shape, then done by the machine's own entry. So every product, block of attention and row function is seen, in the
 * program that people run and without a probe in it. What is left of all threads' time is sharing out, waiting, look-ups
 * and the clock itself. Of many passes the fastest is told, as lines of JSON: a stage's share of the threads' time, and for
 * products and attention the part of the peak of their kind of instruction, measured on one thread between passes. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "checkpoint.h"

enum { MOST_STAGES = 48, NAME_BYTES = 48 };

typedef enum peak_kind { PEAK_NONE, PEAK_F32, PEAK_TILES, PEAK_BF16, PEAK_I8, N_PEAKS } peak_kind;

typedef struct stage {
    char name[NAME_BYTES];
    peak_kind kind;
    atomic_ullong ns, ops;
} stage;

static struct {
    const ilki_kern_ops *real;
    stage stages[MOST_STAGES];
    atomic_size_t n;
    pthread_mutex_t lock;
} trace = {.lock = PTHREAD_MUTEX_INITIALIZER};

static stage *find(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(trace.stages[i].name, name) == 0)
            return &trace.stages[i];
    return NULL;
}

/* The stage of that name, made where it is new; the last one takes all that find no room. */
static stage *stage_of(const char *name, peak_kind kind)
{
    stage *s = find(name, atomic_load(&trace.n));
    if (s)
        return s;
    pthread_mutex_lock(&trace.lock);
    size_t n = atomic_load(&trace.n);
    s = find(name, n);
    if (!s && n < MOST_STAGES) {
        s = &trace.stages[n];
        snprintf(s->name, sizeof s->name, "%s", name);
        s->kind = kind;
        atomic_store(&trace.n, n + 1);
    }
    pthread_mutex_unlock(&trace.lock);
    return s ? s : &trace.stages[MOST_STAGES - 1];
}

static void took(const char *name, peak_kind kind, uint64_t start, double ops)
{
    uint64_t ns = ilki_base_now_ns() - start;
    stage *s = stage_of(name, kind);
    atomic_fetch_add_explicit(&s->ns, ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->ops, (unsigned long long)ops, memory_order_relaxed);
}

/* ------------------------------------------------------------------ the wrapped entries */

static void took_product(const char *what, peak_kind kind, uint64_t start, const size_t mnk[3], size_t n_done,
                         ilki_act act)
{
    static const char *const acts[] = {"",       ", GELU", ", GELU tanh", ", quick GELU",
                                       ", SiLU", ", ReLU", ", tanh",      ", sigmoid"};
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s %zu to %zu%s", what, mnk[2], mnk[1], acts[act]);
    took(name, kind, start, 2.0 * (double)mnk[0] * (double)n_done * (double)mnk[2]);
}

static void t_gemm_f32(const ilki_gemm_f32 *g)
{
    uint64_t start = ilki_base_now_ns();
    trace.real->gemm_f32(g);
    took_product("product", trace.real->peak_tiles_f32 ? PEAK_TILES : PEAK_F32, start, (size_t[]){g->m, g->n, g->k},
                 g->j1 - g->j0, g->act);
}

static void t_gemm_bf16(const ilki_gemm_f32 *g)
{
    uint64_t start = ilki_base_now_ns();
    trace.real->gemm_bf16(g);
    took_product("bf16 product", PEAK_BF16, start, (size_t[]){g->m, g->n, g->k}, g->j1 - g->j0, g->act);
}

static void t_gemm_i8(const ilki_gemm_i8 *g)
{
    uint64_t start = ilki_base_now_ns();
    trace.real->gemm_i8(g);
    took_product("int8 product", PEAK_I8, start, (size_t[]){g->m, g->n, g->k}, g->j1 - g->j0, g->act);
}

static void t_attn_f32(const ilki_attn_f32 *a)
{
    uint64_t start = ilki_base_now_ns();
    trace.real->attn_f32(a);
    took("attention", PEAK_F32, start, 2.0 * (double)a->n_q * (double)a->n_k * (double)(a->d + a->dv));
}

static void t_attn_bf16(const ilki_attn_f32 *a)
{
    uint64_t start = ilki_base_now_ns();
    trace.real->attn_bf16(a);
    took("bf16 attention", PEAK_BF16, start, 2.0 * (double)a->n_q * (double)a->n_k * (double)(a->d + a->dv));
}

/* Entries that are told by their name alone. */
#define TRACED(entry, what, params, args)                                                                              \
    static void t_##entry params                                                                                       \
    {                                                                                                                  \
        uint64_t start = ilki_base_now_ns();                                                                           \
        trace.real->entry args;                                                                                        \
        took(what, PEAK_NONE, start, 0);                                                                               \
    }
TRACED(rest_i8, "rows to codes",
       (float *rest, const float *x, const unsigned char *row, size_t k, const ilki_i8_channels *c),
       (rest, x, row, k, c))
TRACED(quant_rows_i8, "rows to codes", (const ilki_rows_i8 *r), (r))
TRACED(gate_f32, "gate", (const ilki_gate_f32 *g), (g))
TRACED(pack_keys_f32, "attention: packing keys", (float *kt, const float *k, size_t ldk, size_t n_k, size_t d),
       (kt, k, ldk, n_k, d))
TRACED(pack_attn_bf16, "attention: packing keys", (void *packed, const ilki_attn_block *block), (packed, block))
TRACED(attn_end_f32, "attention: dividing",
       (float *out, size_t ldout, const float *acc, size_t ldacc, const float *l, size_t n_q, size_t dv),
       (out, ldout, acc, ldacc, l, n_q, dv))
static void t_norm_f32(const ilki_norm_f32 *n)
{
    uint64_t start = ilki_base_now_ns();
    trace.real->norm_f32(n);
    took(n->a ? "layer norm to codes" : "layer norm", PEAK_NONE, start, 0);
}

TRACED(act_f32, "activation", (float *x, size_t n, ilki_act act), (x, n, act))
TRACED(add_f32, "adding", (float *y, const float *x, size_t n), (y, x, n))
TRACED(scale_f32, "scaling", (float *y, float a, size_t n), (y, a, n))

static void wrap(ilki_kern_ops *to, const ilki_kern_ops *real)
{
    trace.real = real;
    *to = *real;
    to->gemm_f32 = t_gemm_f32;
    to->gemm_bf16 = real->gemm_bf16 ? t_gemm_bf16 : NULL;
    to->gemm_i8 = real->gemm_i8 ? t_gemm_i8 : NULL;
    to->rest_i8 = t_rest_i8;
    to->attn_f32 = t_attn_f32;
    to->attn_bf16 = real->attn_bf16 ? t_attn_bf16 : NULL;
    to->pack_attn_bf16 = real->pack_attn_bf16 ? t_pack_attn_bf16 : NULL;
    to->quant_rows_i8 = t_quant_rows_i8;
    to->gate_f32 = t_gate_f32;
    to->pack_keys_f32 = t_pack_keys_f32;
    to->attn_end_f32 = t_attn_end_f32;
    to->norm_f32 = t_norm_f32;
    to->act_f32 = t_act_f32;
    to->add_f32 = t_add_f32;
    to->scale_f32 = t_scale_f32;
}

/* ------------------------------------------------------------------ passes */

static double rate(uint64_t (*probe)(uint64_t), uint64_t n)
{
    uint64_t start = ilki_base_now_ns();
    double ops = probe ? (double)probe(n) : 0;
    return ops / (double)(ilki_base_now_ns() - start);
}

static void measure_peaks(double peak[N_PEAKS])
{
    const ilki_kern_ops *o = trace.real;
    const double now[N_PEAKS] = {0, rate(o->peak_f32, 100000), rate(o->peak_tiles_f32, 2000), rate(o->peak_bf16, 20000),
                                 rate(o->peak_i8, 20000)};
    for (int i = 0; i < N_PEAKS; i++)
        peak[i] = now[i] > peak[i] ? now[i] : peak[i];
}

typedef struct found {
    double ms;
    uint64_t ns[MOST_STAGES], ops[MOST_STAGES];
} found;

static void print(const setup *s, const char *shape, const found *f, const double peak[N_PEAKS])
{
    double all = f->ms * 1e6 * ilki_base_pool_threads(s->rt->pool), rest = all;
    size_t n = atomic_load(&trace.n);
    printf("{\"shape\":\"%s\",\"ms\":%.3f,\"stages\":[", shape, f->ms);
    for (size_t i = 0; i < n; i++) {
        const stage *t = &trace.stages[i];
        rest -= (double)f->ns[i];
        if (f->ns[i])
            printf("{\"name\":\"%s\",\"share\":%.4f,\"of_peak\":%.4f},", t->name, (double)f->ns[i] / all,
                   t->kind && peak[t->kind] > 0 ? (double)f->ops[i] / (double)f->ns[i] / peak[t->kind] : 0.0);
    }
    printf("{\"name\":\"sharing out, waiting, the rest\",\"share\":%.4f,\"of_peak\":0}]}\n", rest / all);
    fflush(stdout);
}

static ilk_status run(setup *s, unsigned tower, const char *shape, ilki_tower_in *in, double seconds)
{
    size_t dim = s->net->tower[tower].dim, n_bytes = 0;
    ilki_tower_out out = {.pooling = ILKI_POOL_MEAN};
    out.pooled = calloc(in->n_seqs * dim, sizeof(float));
    ilki_ws ws;
    ilki_nn ctx = {.ops = s->ops, .pool = s->rt->pool, .ws = &ws, .err = &s->err};
    ilk_status st = ilki_models_measure(s->net, tower, &ctx, in, &out, &n_bytes, &s->err);
    void *memory = ilki_base_alloc_aligned(n_bytes, 1);
    static found best;
    double peak[N_PEAKS] = {0};
    best.ms = 1e30;
    uint64_t end = ilki_base_now_ns() + (uint64_t)(seconds * 1e9);
    for (size_t n = 0; st == ILK_OK && (n < 3 || ilki_base_now_ns() < end); n++) {
        measure_peaks(peak);
        for (size_t i = 0; i < MOST_STAGES; i++) {
            atomic_store(&trace.stages[i].ns, 0);
            atomic_store(&trace.stages[i].ops, 0);
        }
        ilki_base_ws_init(&ws, memory, n_bytes);
        uint64_t start = ilki_base_now_ns();
        st = ilki_models_forward(s->net, tower, &ctx, in, &out);
        double ms = (double)(ilki_base_now_ns() - start) / 1e6;
        for (size_t i = 0; ms < best.ms && i < MOST_STAGES; i++) {
            best.ns[i] = atomic_load(&trace.stages[i].ns);
            best.ops[i] = atomic_load(&trace.stages[i].ops);
        }
        best.ms = ms < best.ms ? ms : best.ms;
    }
    if (st == ILK_OK)
        print(s, shape, &best, peak);
    free(memory);
    free(out.pooled);
    return st;
}

/* Ids of n sequences, or patches of n pictures where the checkpoint sees. */
static ilk_status run_shape(setup *s, const char *shape, double seconds)
{
    size_t n_seqs = 0, len = 0;
    unsigned tower = 0;
    while (tower + 1 < s->net->n_towers && !s->net->tower[tower].image_size)
        tower++;
    const ilki_tower_info *t = &s->net->tower[tower];
    int n = sscanf(shape, "%zux%zu", &n_seqs, &len);
    if (n == 1 && t->image_size)
        len = (size_t)(t->image_size / t->patch_size) * (t->image_size / t->patch_size) + t->n_own_rows;
    if (n_seqs == 0 || len == 0 || n_seqs > 4096 || len > 65536)
        return ilki_base_fail(&s->err, ILK_BAD_ARGUMENT, "expected SEQSxTOKENS, or a number of pictures; found %s",
                              shape);
    uint32_t *offsets = calloc(n_seqs + 1, sizeof *offsets);
    int32_t *ids = calloc(n_seqs * len, sizeof *ids);
    float *rows = t->image_size ? calloc(n_seqs * len * t->row_dim, sizeof *rows) : NULL;
    for (size_t i = 0; i <= n_seqs; i++)
        offsets[i] = (uint32_t)(i * len);
    for (size_t i = 0; i < n_seqs * len && !rows; i++)
        ids[i] = (int32_t)((i * 7919 + 1000) % t->vocab_size);
    for (size_t i = 0; rows && i < n_seqs * len * t->row_dim; i++)
        rows[i] = i / t->row_dim % len < t->n_own_rows ? 0.0f : (float)(i * 2654435761U % 2048) / 1024.0f - 1.0f;
    ilki_tower_in in = {.n_seqs = n_seqs, .n_tokens = n_seqs * len, .offsets = offsets, .row_dim = t->row_dim};
    in.ids = rows ? NULL : ids;
    in.rows = rows;
    ilk_status st = run(s, tower, shape, &in, seconds);
    free(offsets);
    free(ids);
    free(rows);
    return st;
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"8x128", "32x32", "1x16"};
    static ilki_kern_ops traced;
    setup s = {.ops = &traced};
    ilk_error_init(&s.err);
    if (argc > 1 && setup_form(&s, argv[1])) {
        argc--;
        argv++;
    }
    if (argc < 2) {
        fprintf(stderr,
                "usage: bench_stages [f32|bf16|int8|int8w] DIR [THREADS [SECONDS [SEQSxTOKENS|PICTURES ...]]]\n");
        return 2;
    }
    ilk_status st = setup_runtime(&s, argc > 2 ? (unsigned)atoi(argv[2]) : 0);
    if (st == ILK_OK) {
        wrap(&traced, s.rt->ops);
        st = setup_open(&s, argv[1], 0);
    }
    double seconds = argc > 3 ? atof(argv[3]) : 1;
    int n = argc > 4 ? argc - 4 : (int)(sizeof usual / sizeof *usual);
    for (int i = 0; st == ILK_OK && i < n; i++)
        st = run_shape(&s, argc > 4 ? argv[4 + i] : usual[i], seconds);
    if (st != ILK_OK)
        fprintf(stderr, "bench_stages: %s\n", s.err.message);
    setup_close(&s);
    return st != ILK_OK;
}
