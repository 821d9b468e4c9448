/* SPDX-License-Identifier: Apache-2.0
 * Matrix products alone beside oneDNN's, in turns: bench_onednn [THREADS [SECONDS]]. Built where oneDNN is found (Debian's
 * libdnnl-dev); OMP_NUM_THREADS has to be THREADS too.
 *
 * Prints a row of a table per shape: billions of operations a second (a multiply-add is two), ilk's and oneDNN's, of f32, of
 * 8 bits beside its bare sums, of 8 bits beside its layer. Weights are packed before, each in its own form. Both do a whole
 * product a call, on all threads, and wait for its end. ilk's 8 bits are those of a layer: scales and zeros per row, scales per
 * column, four exact channels, bias, f32 out. oneDNN's bare sums are u8 by s8 into s32 and nothing else; its layer has one
 * zero for all rows, scales per column, bias, f32 out. The rounding of rows to codes is in none. Each figure is the best of
 * many windows. */
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "base/runtime.h"
#include "ilk.h"
#include "kern/ops.h"
#include "threads.h"

enum { WINDOW_NS = 3000000, MOST_ROWS = 512, N_EXACT = 4 };

typedef enum kind { F32, I8_SUMS, I8_LAYER } kind;

typedef struct peer {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t product;
    dnnl_memory_t a, w, c, bias; /* bias: of a layer */
} peer;

typedef struct product {
    ilk_runtime *rt;
    ilki_gemm_f32 f;
    ilki_gemm_i8 i;
    bool i8;
    size_t m, n, k;
    float *x, *w, *bias, *c;
    unsigned char *codes, *scratch;
    void *packed;
    size_t scratch_bytes; /* of a thread */
    peer p;
} product;

/* ------------------------------------------------------------------ oneDNN */

static dnnl_memory_t memory_of(dnnl_engine_t engine, dnnl_data_type_t type, dnnl_format_tag_t tag, size_t rows,
                               size_t cols, void *data)
{
    dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)cols};
    dnnl_memory_desc_t d;
    dnnl_memory_t m = NULL;
    if (dnnl_memory_desc_init_by_tag(&d, 2, dims, type, tag) != dnnl_success ||
        dnnl_memory_create(&m, &d, engine, data ? data : DNNL_MEMORY_ALLOCATE) != dnnl_success)
        return NULL;
    return m;
}

/* The weights in the form that the product asks for. */
static bool reorder(peer *p, void *plain_weights, dnnl_data_type_t type, size_t k, size_t n)
{
    dnnl_memory_t plain = memory_of(p->engine, type, dnnl_ab, k, n, plain_weights);
    const dnnl_memory_desc_t *from = NULL, *to = dnnl_primitive_desc_query_md(p->desc, dnnl_query_weights_md, 0);
    dnnl_primitive_desc_t d = NULL;
    dnnl_primitive_t r = NULL;
    bool good = plain && dnnl_memory_get_memory_desc(plain, &from) == dnnl_success &&
                dnnl_memory_create(&p->w, to, p->engine, DNNL_MEMORY_ALLOCATE) == dnnl_success &&
                dnnl_reorder_primitive_desc_create(&d, from, p->engine, to, p->engine, NULL) == dnnl_success &&
                dnnl_primitive_create(&r, d) == dnnl_success;
    if (good) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, plain}, {DNNL_ARG_TO, p->w}};
        good = dnnl_primitive_execute(r, p->stream, 2, args) == dnnl_success &&
               dnnl_stream_wait(p->stream) == dnnl_success;
    }
    dnnl_primitive_destroy(r);
    dnnl_primitive_desc_destroy(d);
    dnnl_memory_destroy(plain);
    return good;
}

/* What a layer has behind its sums. */
static bool layer_attr(dnnl_primitive_attr_t *attr, const float *scales, size_t n)
{
    static const int32_t zero = 128;
    return dnnl_primitive_attr_create(attr) == dnnl_success &&
           dnnl_primitive_attr_set_output_scales(*attr, (dnnl_dim_t)n, 1 << 1, scales) == dnnl_success &&
           dnnl_primitive_attr_set_zero_points(*attr, DNNL_ARG_SRC, 1, 0, &zero) == dnnl_success;
}

/* scales and bias [n], for a layer */
static bool peer_open(peer *p, kind what, const size_t mkn[3], void *weights, float *scales, float *bias)
{
    const size_t m = mkn[0], k = mkn[1], n = mkn[2];
    dnnl_data_type_t ta = what == F32 ? dnnl_f32 : dnnl_u8, tw = what == F32 ? dnnl_f32 : dnnl_s8,
                     tc = what == I8_SUMS ? dnnl_s32 : dnnl_f32;
    dnnl_dims_t da = {(dnnl_dim_t)m, (dnnl_dim_t)k}, dw = {(dnnl_dim_t)k, (dnnl_dim_t)n},
                dc = {(dnnl_dim_t)m, (dnnl_dim_t)n}, db = {1, (dnnl_dim_t)n};
    dnnl_memory_desc_t a, w, c, b;
    dnnl_matmul_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    bool good = dnnl_engine_create(&p->engine, dnnl_cpu, 0) == dnnl_success &&
                dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags) == dnnl_success &&
                dnnl_memory_desc_init_by_tag(&a, 2, da, ta, dnnl_ab) == dnnl_success &&
                dnnl_memory_desc_init_by_tag(&w, 2, dw, tw, dnnl_format_tag_any) == dnnl_success &&
                dnnl_memory_desc_init_by_tag(&c, 2, dc, tc, dnnl_ab) == dnnl_success &&
                dnnl_memory_desc_init_by_tag(&b, 2, db, dnnl_f32, dnnl_ab) == dnnl_success &&
                dnnl_matmul_desc_init(&d, &a, &w, what == I8_LAYER ? &b : NULL, &c) == dnnl_success &&
                (what != I8_LAYER || (layer_attr(&attr, scales, n) &&
                                      (p->bias = memory_of(p->engine, dnnl_f32, dnnl_ab, 1, n, bias)) != NULL)) &&
                dnnl_primitive_desc_create(&p->desc, &d, attr, p->engine, NULL) == dnnl_success &&
                dnnl_primitive_create(&p->product, p->desc) == dnnl_success && reorder(p, weights, tw, k, n) &&
                (p->a = memory_of(p->engine, ta, dnnl_ab, m, k, NULL)) != NULL &&
                (p->c = memory_of(p->engine, tc, dnnl_ab, m, n, NULL)) != NULL;
    dnnl_primitive_attr_destroy(attr);
    return good;
}

static void peer_fill(peer *p, bool i8, size_t n)
{
    void *data = NULL;
    dnnl_memory_get_data_handle(p->a, &data);
    for (size_t i = 0; i < n; i++)
        if (i8)
            ((unsigned char *)data)[i] = (unsigned char)(i * 2654435761U >> 24);
        else
            ((float *)data)[i] = (float)(i * 2654435761U % 2048) / 1024.0f - 1.0f;
}

static void peer_close(peer *p)
{
    dnnl_memory_destroy(p->a);
    dnnl_memory_destroy(p->w);
    dnnl_memory_destroy(p->c);
    dnnl_memory_destroy(p->bias);
    dnnl_primitive_destroy(p->product);
    dnnl_primitive_desc_destroy(p->desc);
    dnnl_stream_destroy(p->stream);
    dnnl_engine_destroy(p->engine);
}

static void run_peer(product *o)
{
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, o->p.a}, {DNNL_ARG_WEIGHTS, o->p.w}, {DNNL_ARG_DST, o->p.c}, {DNNL_ARG_BIAS, o->p.bias}};
    dnnl_primitive_execute(o->p.product, o->p.stream, o->p.bias ? 4 : 3, args);
    dnnl_stream_wait(o->p.stream);
}

/* ------------------------------------------------------------------ ilk */

/* Threads share the rows where there are many, else the columns. */
static void run_share(void *arg, size_t i, unsigned slot)
{
    product *o = arg;
    size_t n = ilki_base_pool_threads(o->rt->pool), m0 = 0, m1 = o->m, j0 = 0, j1 = o->n;
    size_t nr = o->i8 ? o->rt->ops->gemm_i8_nr : o->rt->ops->gemm_f32_nr, panels = (o->n + nr - 1) / nr;
    if (o->m >= 32 * n) {
        m0 = o->m * i / n;
        m1 = o->m * (i + 1) / n;
    } else {
        j0 = panels * i / n * nr;
        j1 = i + 1 == n ? o->n : panels * (i + 1) / n * nr;
    }
    if (o->i8) {
        ilki_gemm_i8 g = o->i;
        g.a += m0 * g.lda;
        g.c += m0 * g.ldc;
        g.m = m1 - m0;
        g.j0 = j0;
        g.j1 = j1;
        o->rt->ops->gemm_i8(&g);
        return;
    }
    ilki_gemm_f32 g = o->f;
    g.a += m0 * g.lda;
    g.c += m0 * g.ldc;
    g.m = m1 - m0;
    g.j0 = j0;
    g.j1 = j1;
    g.scratch = o->scratch + slot * o->scratch_bytes;
    o->rt->ops->gemm_f32(&g);
}

static void run_ilk(product *o)
{
    ilki_run run = {.fn = run_share, .arg = o, .n_tasks = ilki_base_pool_threads(o->rt->pool)};
    ilki_base_pool_run(o->rt->pool, &run, NULL);
}

static bool ilk_open(product *o)
{
    static const uint32_t exact[N_EXACT] = {1, 50, 100, 300};
    const ilki_kern_ops *ops = o->rt->ops;
    size_t n_packed = o->i8 ? ops->packed_bytes_i8(o->n, o->k, N_EXACT) : ops->packed_bytes_f32(o->n, o->k);
    o->scratch_bytes = (ops->gemm_scratch_f32(o->m, o->k) + 127) / 64 * 64;
    o->packed = ilki_base_alloc_aligned(n_packed, 1);
    o->scratch = ilki_base_alloc_aligned(o->scratch_bytes * ilki_base_pool_threads(o->rt->pool), 1);
    if (!o->packed || !o->scratch)
        return false;
    if (!o->i8) {
        ops->pack_f32(o->packed, o->w, o->k, o->n, o->k);
        o->f = (ilki_gemm_f32){
            .a = o->x, .packed = o->packed, .bias = o->bias, .c = o->c, .m = o->m, .n = o->n, .k = o->k};
        o->f.lda = o->k;
        o->f.ldc = o->n;
        return true;
    }
    float *keep = ilki_base_alloc_aligned(o->k, sizeof *keep);
    if (!keep)
        return false;
    for (size_t i = 0; i < o->k; i++)
        keep[i] = i == 1 || i == 50 || i == 100 || i == 300 ? 0.0f : 1.0f;
    ilki_i8_channels channels = {exact, N_EXACT, keep};
    ops->pack_i8(o->packed, o->w, o->k, o->n, o->k, &channels);
    ops->quant_rows_i8(
        &(ilki_rows_i8){o->codes, o->x, &channels, NULL, ilki_kern_i8_row_bytes(o->k), o->k, o->m, o->k});
    o->i = (ilki_gemm_i8){
        .a = o->codes, .packed = o->packed, .bias = o->bias, .c = o->c, .m = o->m, .n = o->n, .k = o->k};
    o->i.lda = ilki_kern_i8_row_bytes(o->k);
    o->i.ldc = o->n;
    o->i.n_exact = N_EXACT;
    free(keep);
    return true;
}

/* ------------------------------------------------------------------ */

static double window(product *o, void (*run)(product *))
{
    uint64_t start = ilki_base_now_ns(), now = start;
    double ops = 0;
    do {
        run(o);
        ops += 2.0 * (double)o->m * (double)o->n * (double)o->k;
        now = ilki_base_now_ns();
    } while (now - start < WINDOW_NS);
    return ops / (double)(now - start);
}

static bool measure(ilk_runtime *rt, kind what, const size_t mkn[3], double seconds, double best[2])
{
    product o = {.rt = rt, .i8 = what != F32, .m = mkn[0], .k = mkn[1], .n = mkn[2]};
    o.x = ilki_base_alloc_aligned(o.m * o.k, sizeof(float));
    o.w = ilki_base_alloc_aligned(o.n * o.k, sizeof(float));
    o.bias = ilki_base_zalloc(o.n, sizeof(float));
    o.c = ilki_base_zalloc(o.m * o.n, sizeof(float));
    o.codes = ilki_base_alloc_aligned(o.m * ilki_kern_i8_row_bytes(o.k), 1);
    bool good = o.x && o.w && o.bias && o.c && o.codes;
    for (size_t i = 0; good && i < o.m * o.k; i++)
        o.x[i] = (float)(i * 2654435761U % 2048) / 1024.0f - 1.0f;
    for (size_t i = 0; good && i < o.n * o.k; i++)
        o.w[i] = (float)(i * 2246822519U % 2048) / 1024.0f - 1.0f;
    /* of the weights any values do as scales */
    good = good && ilk_open(&o) && peer_open(&o.p, what, mkn, o.w, o.w, o.bias);
    if (good) {
        peer_fill(&o.p, o.i8, o.m * o.k);
        run_ilk(&o);
        run_peer(&o);
        uint64_t end = ilki_base_now_ns() + (uint64_t)(seconds * 1e9);
        best[0] = best[1] = 0;
        do {
            double ours = window(&o, run_ilk), theirs = window(&o, run_peer);
            best[0] = ours > best[0] ? ours : best[0];
            best[1] = theirs > best[1] ? theirs : best[1];
        } while (ilki_base_now_ns() < end);
    }
    peer_close(&o.p);
    void *all[] = {o.x, o.w, o.bias, o.c, o.codes, o.packed, o.scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    return good;
}

int main(int argc, char **argv)
{
    static const size_t rows[] = {16, MOST_ROWS};
    static const size_t shapes[][2] = {{384, 384},  {384, 1536},  {1536, 384}, {768, 3072},
                                       {3072, 768}, {1024, 4096}, {4096, 1024}};
    double seconds;
    ilk_runtime *rt = open_threads("bench_onednn", argc, argv, &seconds);
    int rc = !rt;
    for (size_t s = 0; rc == 0 && s < sizeof shapes / sizeof *shapes; s++)
        for (size_t r = 0; rc == 0 && r < sizeof rows / sizeof *rows; r++) {
            const size_t mkn[] = {rows[r], shapes[s][0], shapes[s][1]};
            double f[2], q[2], l[2];
            if (measure(rt, F32, mkn, seconds, f) && measure(rt, I8_SUMS, mkn, seconds, q) &&
                measure(rt, I8_LAYER, mkn, seconds, l))
                printf("%zu %zu %zu %.1f %.1f %.1f %.1f %.1f %.1f\n", mkn[0], mkn[1], mkn[2], f[0], f[1], q[0], q[1],
                       l[0], l[1]);
            else
                rc = 1;
            fflush(stdout);
        }
    if (rc && rt)
        fprintf(stderr, "bench_onednn: out of memory, or oneDNN refuses a product\n");
    ilk_runtime_close(rt);
    return rc;
}
