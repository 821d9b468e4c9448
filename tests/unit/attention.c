/* SPDX-License-Identifier: Apache-2.0
 * Attention: every descriptor against a sum in double, the same bits in every company, cached prefixes, refusals, memory
 * and cancelling on long texts. */
#include "nn/layers.h"

#include "alloc_count.h"
#include "base/runtime.h"
#include "cancel.h"
#include "nn_test.h"

enum { MAX_SEQS = 8 };

/* A descriptor and a batch; q, k and v are views of one buffer [n][width]. */
typedef struct batch {
    ilki_attn d;
    uint32_t n_seqs, offsets[MAX_SEQS + 1], prefix_len[MAX_SEQS];
    const ilki_kv *prefix[MAX_SEQS];
    bool has_prefix;
    uint32_t *groups;
    float *qkv, *bias, *extra_k, *extra_v, *out;
    size_t width, n;
} batch;

static bool half; /* the tests of bits and values run in bf16 */

/* In bf16 the best alone, by its own kernel or the reference's, whether that pays or not. */
static size_t tables(ilki_kern_ops ops[NN_TABLES])
{
    size_t n = nn_tables(ops);
    if (!half)
        return n;
    ops[0] = ops[n - 1];
    ops[0].attn_bf16_pays = true;
    return 1;
}

static const ilki_attn plain = {.scale = 0.3f,
                                .n_heads = 2,
                                .n_kv_heads = 2,
                                .d_qk = 16,
                                .d_v = 16,
                                .window_left = UINT32_MAX,
                                .window_right = UINT32_MAX};

static batch new_batch(const ilki_attn *d, const uint32_t *lengths, uint32_t n_seqs, uint64_t seed)
{
    batch b = {.d = *d, .n_seqs = n_seqs};
    for (uint32_t i = 0; i < n_seqs; i++) {
        b.offsets[i + 1] = b.offsets[i] + lengths[i];
        b.prefix_len[i] = lengths[i] / 3;
    }
    b.n = b.offsets[n_seqs];
    b.width = (size_t)d->n_heads * d->d_qk + (size_t)d->n_kv_heads * (d->d_qk + d->d_v);
    b.qkv = nn_random(&seed, b.n * b.width);
    b.out = malloc(b.n * d->n_heads * d->d_v * sizeof *b.out);
    b.groups = malloc(b.n * sizeof *b.groups);
    for (size_t i = 0; i < b.n; i++)
        b.groups[i] = (uint32_t)(test_random(&seed) % 3);
    b.bias = nn_random(&seed, d->n_heads * (2 * (size_t)d->bias_span + 1));
    if (d->bias_span)
        b.d.bias = b.bias;
    b.extra_k = nn_random(&seed, (size_t)d->n_extra * d->n_kv_heads * d->d_qk);
    b.extra_v = nn_random(&seed, (size_t)d->n_extra * d->n_kv_heads * d->d_v);
    if (d->n_extra) {
        b.d.extra_k = b.extra_k;
        b.d.extra_v = b.extra_v;
    }
    return b;
}

static void free_batch(batch *b)
{
    free(b->qkv);
    free(b->out);
    free(b->groups);
    free(b->bias);
    free(b->extra_k);
    free(b->extra_v);
}

static ilki_attn_args args_of(const batch *b)
{
    const float *k = b->qkv + b->d.n_heads * b->d.d_qk;
    return (ilki_attn_args){.q = b->qkv,
                            .k = k,
                            .v = k + b->d.n_kv_heads * b->d.d_qk,
                            .out = b->out,
                            .ldq = b->width,
                            .ldk = b->width,
                            .ldv = b->width,
                            .ldout = (size_t)b->d.n_heads * b->d.d_v,
                            .offsets = b->offsets,
                            .n_seqs = b->n_seqs,
                            .prefix = b->has_prefix ? b->prefix : NULL,
                            .layer = 0,
                            .groups = b->groups,
                            .prefix_len = b->prefix_len};
}

static void attend(ilki_nn *ctx, void *arg)
{
    batch *b = arg;
    ilki_attn_args a = args_of(b);
    ilki_nn_attention(ctx, &b->d, &a);
}

/* ---- against double */

static bool sees(const batch *b, uint32_t s, size_t i, size_t j)
{
    const ilki_attn *d = &b->d;
    size_t first = b->offsets[s];
    bool in = d->mask == ILKI_MASK_FULL ||
              (d->mask == ILKI_MASK_GROUP && b->groups[first + i] == b->groups[first + j]) ||
              ((d->mask == ILKI_MASK_CAUSAL || d->mask == ILKI_MASK_PREFIX) && j <= i) ||
              (d->mask == ILKI_MASK_PREFIX && i < b->prefix_len[s] && j < b->prefix_len[s]);
    return in && (uint64_t)j + d->window_left >= i && (uint64_t)i + d->window_right >= j;
}

static double score(const batch *b, const float *q, const float *k)
{
    double s = 0, cap = (double)b->d.softcap;
    for (uint32_t x = 0; x < b->d.d_qk; x++)
        s += (double)q[x] * (double)k[x];
    s *= (double)b->d.scale;
    return cap > 0 ? cap * tanh(s / cap) : s;
}

/* out [d_v] of query i of sequence s, head h */
static void want_row(const batch *b, uint32_t s, size_t i, uint32_t h, float *out)
{
    const ilki_attn *d = &b->d;
    ilki_attn_args a = args_of(b);
    uint32_t n = b->offsets[s + 1] - b->offsets[s], kv = h / (d->n_heads / d->n_kv_heads);
    long span = (long)d->bias_span;
    double sum = 0, acc[64] = {0};
    for (size_t j = 0; j < n + d->n_extra; j++) {
        bool extra = j >= n;
        if (!extra && !sees(b, s, i, j))
            continue;
        const float *q = a.q + (b->offsets[s] + i) * b->width + h * d->d_qk;
        const float *k = extra ? d->extra_k + (j - n) * d->n_kv_heads * d->d_qk : a.k + (b->offsets[s] + j) * b->width;
        const float *v = extra ? d->extra_v + (j - n) * d->n_kv_heads * d->d_v : a.v + (b->offsets[s] + j) * b->width;
        double t = score(b, q, k + kv * d->d_qk);
        long r = (long)j - (long)i;
        if (d->bias && !extra)
            t += (double)d->bias[h * (2 * span + 1) + (r < -span ? 0 : r > span ? 2 * span : r + span)];
        t = exp(t); /* scores are small here */
        sum += t;
        for (uint32_t x = 0; x < d->d_v; x++)
            acc[x] += t * (double)v[kv * d->d_v + x];
    }
    for (uint32_t x = 0; x < d->d_v; x++)
        out[x] = sum > 0 ? (float)(acc[x] / sum) : 0.0f;
}

static void check_batch(const batch *b)
{
    float want[64];
    for (uint32_t s = 0; s < b->n_seqs; s++)
        for (size_t i = 0; i < b->offsets[s + 1] - b->offsets[s]; i++)
            for (uint32_t h = 0; h < b->d.n_heads; h++) {
                want_row(b, s, i, h, want);
                if (!CHECK_FLOATS(b->out + ((b->offsets[s] + i) * b->d.n_heads + h) * b->d.d_v, want, b->d.d_v,
                                  half ? 0.02 : 4e-6, 0)) {
                    printf("    sequence %u, row %zu, head %u\n", s, i, h);
                    return;
                }
            }
}

#define NONE UINT32_MAX
static const struct {
    ilki_mask mask;
    uint32_t left, right, n_heads, n_kv_heads, d_qk, d_v, bias_span, n_extra;
    float softcap;
} cases[] = {
    {ILKI_MASK_FULL, NONE, NONE, 2, 2, 16, 16, 0, 0, 0},   {ILKI_MASK_FULL, NONE, NONE, 1, 1, 7, 5, 0, 0, 0},
    {ILKI_MASK_CAUSAL, NONE, NONE, 2, 2, 16, 16, 0, 0, 0}, {ILKI_MASK_FULL, 10, 3, 2, 2, 16, 16, 0, 0, 0},
    {ILKI_MASK_FULL, NONE, 0, 2, 1, 16, 24, 0, 0, 0},      {ILKI_MASK_FULL, 70, NONE, 2, 1, 16, 24, 0, 0, 0},
    {ILKI_MASK_CAUSAL, 64, 5, 6, 2, 8, 8, 0, 0, 2.0f},     {ILKI_MASK_PREFIX, NONE, NONE, 4, 2, 16, 16, 0, 0, 0},
    {ILKI_MASK_PREFIX, 33, 20, 4, 2, 16, 16, 9, 0, 0},     {ILKI_MASK_GROUP, NONE, NONE, 3, 1, 16, 16, 0, 0, 0},
    {ILKI_MASK_GROUP, 5, 5, 3, 3, 16, 16, 4, 2, 3.0f},     {ILKI_MASK_FULL, NONE, NONE, 2, 2, 16, 16, 100, 0, 0},
    {ILKI_MASK_CAUSAL, NONE, NONE, 2, 1, 16, 16, 3, 1, 0}, {ILKI_MASK_FULL, NONE, NONE, 2, 2, 16, 16, 0, 70, 0},
    {ILKI_MASK_FULL, 0, 0, 2, 2, 16, 16, 0, 0, 0},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static ilki_attn case_of(size_t i)
{
    return (ilki_attn){.scale = 0.3f,
                       .softcap = cases[i].softcap,
                       .n_heads = cases[i].n_heads,
                       .n_kv_heads = cases[i].n_kv_heads,
                       .d_qk = cases[i].d_qk,
                       .d_v = cases[i].d_v,
                       .mask = cases[i].mask,
                       .window_left = cases[i].left,
                       .window_right = cases[i].right,
                       .bias_span = cases[i].bias_span,
                       .n_extra = cases[i].n_extra,
                       .half = half};
}

static const uint32_t lengths[] = {1, 5, 64, 65, 300, 130};

static void descriptors(void)
{
    ilki_kern_ops ops[NN_TABLES];
    ilk_error err;
    ilk_error_init(&err);
    for (size_t t = 0, n = tables(ops); t < n; t++)
        for (size_t i = 0; i < N_CASES; i++) {
            ilki_attn d = case_of(i);
            batch b = new_batch(&d, lengths, 6, i);
            CHECK_OK(nn_pass(&(ilki_nn){.ops = &ops[t]}, attend, &b, &err), &err);
            int failed = test_n_failed;
            check_batch(&b);
            if (test_n_failed != failed)
                printf("    case %zu, table %s\n", i, ops[t].name);
            free_batch(&b);
        }
}

/* ---- the same bits */

static void threads(void)
{
    ilki_kern_ops ops[NN_TABLES];
    for (size_t t = 0, n = tables(ops); t < n; t++)
        for (size_t i = 0; i < N_CASES; i += 4) {
            ilki_attn d = case_of(i);
            batch b = new_batch(&d, (uint32_t[]){3, 200, 400, 17, 260, 64}, 6, i);
            nn_same(&ops[t], attend, &b, b.out, b.n * d.n_heads * d.d_v);
            free_batch(&b);
        }
}

/* Sequence s of a batch as a batch of its own, in `order` places of a new one. */
static batch pick(const batch *from, const uint32_t *order, uint32_t n)
{
    uint32_t lens[MAX_SEQS] = {0};
    for (uint32_t i = 0; i < n; i++)
        lens[i] = from->offsets[order[i] + 1] - from->offsets[order[i]];
    batch b = new_batch(&from->d, lens, n, 1);
    b.d = from->d; /* its tables too */
    for (uint32_t i = 0; i < n; i++) {
        size_t at = b.offsets[i], was = from->offsets[order[i]];
        memcpy(b.qkv + at * b.width, from->qkv + was * b.width, lens[i] * b.width * sizeof *b.qkv);
        memcpy(b.groups + at, from->groups + was, lens[i] * sizeof *b.groups);
    }
    return b;
}

static void company(void)
{
    ilki_kern_ops ops[NN_TABLES];
    ilk_error err;
    ilk_error_init(&err);
    for (size_t t = 0, n = tables(ops); t < n; t++)
        for (size_t i = 0; i < N_CASES; i++) {
            ilki_attn d = case_of(i);
            size_t row = (size_t)d.n_heads * d.d_v;
            batch all = new_batch(&d, lengths, 6, i);
            ilki_nn ctx = {.ops = &ops[t]};
            CHECK_OK(nn_pass(&ctx, attend, &all, &err), &err);
            batch shuffled = pick(&all, (uint32_t[]){4, 2, 5, 0, 3, 1}, 6);
            CHECK_OK(nn_pass(&ctx, attend, &shuffled, &err), &err);
            CHECK_FLOATS(shuffled.out, all.out + all.offsets[4] * row, 300 * row, 0, 0);
            for (uint32_t s = 0; s < 6; s++) {
                batch alone = pick(&all, &s, 1);
                CHECK_OK(nn_pass(&ctx, attend, &alone, &err), &err);
                CHECK_FLOATS(alone.out, all.out + all.offsets[s] * row, alone.n * row, 0, 0);
                free_batch(&alone);
            }
            free_batch(&shuffled);
            free_batch(&all);
        }
}

/* A row's keys outside a window may be left out or masked by -inf in a bias: the same bits. */
static void window_is_mask(void)
{
    ilki_kern_ops ops[NN_TABLES];
    ilk_error err;
    ilk_error_init(&err);
    for (size_t t = 0, n = tables(ops); t < n; t++)
        for (int causal = 0; causal < 2; causal++) {
            ilki_attn d = plain;
            d.half = half;
            d.bias_span = 700;
            batch b = new_batch(&d, (uint32_t[]){700, 90}, 2, 3);
            uint32_t right = causal ? 0 : 7;
            for (uint32_t h = 0; h < 2; h++)
                for (long r = -700; r <= 700; r++)
                    b.bias[h * 1401 + (size_t)(r + 700)] = r < -100 || r > (long)right ? -INFINITY : 0.0f;
            ilki_nn ctx = {.ops = &ops[t]};
            CHECK_OK(nn_pass(&ctx, attend, &b, &err), &err);
            float *masked = malloc(b.n * 32 * sizeof *masked);
            memcpy(masked, b.out, b.n * 32 * sizeof *masked);
            b.d.bias = NULL;
            b.d.window_left = 100;
            b.d.window_right = causal ? UINT32_MAX : right;
            b.d.mask = causal ? ILKI_MASK_CAUSAL : ILKI_MASK_FULL;
            CHECK_OK(nn_pass(&ctx, attend, &b, &err), &err);
            CHECK_FLOATS(b.out, masked, b.n * 32, 0, 0);
            free(masked);
            free_batch(&b);
        }
}

/* ---- cached prefixes */

/* Sequence 0 of `b` without its first `n` rows, whose keys and values are the prefix. */
static void check_prefix(const ilki_kern_ops *ops, const batch *b, uint32_t n)
{
    const ilki_attn *d = &b->d;
    size_t row = (size_t)d->n_heads * d->d_v;
    ilk_error err;
    ilk_error_init(&err);
    size_t nk = (size_t)n * d->n_kv_heads * d->d_qk, nv = (size_t)n * d->n_kv_heads * d->d_v;
    float *k = malloc((nk + 1) * sizeof *k), *v = malloc((nv + 1) * sizeof *v);
    ilki_kv kv = {1, n, d->n_kv_heads, d->d_qk, d->d_v, &k, &v};
    ilki_attn_args whole = args_of(b);
    char byte[ILKI_ALIGN];
    ilki_ws ws;
    ilki_base_ws_init(&ws, byte, 0);
    ilki_nn ctx = {.ops = ops, .ws = &ws, .err = &err};
    ilki_nn_kv_fill(&ctx, &kv, &(ilki_kv_args){.k = whole.k, .v = whole.v, .ldk = b->width, .ldv = b->width, .n = n});
    CHECK_OK(ctx.status, &err);
    batch rest = *b;
    rest.prefix[0] = &kv;
    rest.has_prefix = true;
    rest.n = b->n - n;
    rest.qkv = b->qkv + n * b->width;
    for (uint32_t s = 1; s <= b->n_seqs; s++)
        rest.offsets[s] -= n;
    rest.out = malloc(rest.n * row * sizeof *rest.out);
    CHECK_OK(nn_pass(&(ilki_nn){.ops = ops}, attend, &rest, &err), &err);
    if (!CHECK_FLOATS(rest.out, b->out + n * row, rest.n * row, 0, 0))
        printf("    prefix of %u, table %s\n", n, ops->name);
    free(rest.out);
    free(k);
    free(v);
}

static void prefixes(void)
{
    ilki_kern_ops ops[NN_TABLES];
    ilk_error err;
    ilk_error_init(&err);
    static const uint32_t cached[] = {1, 63, 64, 65, 200, 269};
    for (size_t t = 0, n = tables(ops); t < n; t++)
        for (size_t i = 0; i < N_CASES; i++) {
            ilki_attn d = case_of(i);
            if (d.mask == ILKI_MASK_GROUP)
                continue;
            batch b = new_batch(&d, (uint32_t[]){270, 20}, 2, i);
            CHECK_OK(nn_pass(&(ilki_nn){.ops = &ops[t]}, attend, &b, &err), &err);
            for (size_t c = 0; c < sizeof cached / sizeof *cached; c++)
                check_prefix(&ops[t], &b, cached[c]);
            free_batch(&b);
        }
}

/* ---- refusals */

static ilk_status attend_with(const batch *b, bool groups, bool lengths_given, ilk_error *err)
{
    ilki_ws ws;
    ilki_base_ws_init(&ws, NULL, 0);
    ilki_nn ctx = {.ops = &ilki_kern_ref, .ws = &ws, .err = err};
    ilki_attn_args a = args_of(b);
    if (!groups)
        a.groups = NULL;
    if (!lengths_given)
        a.prefix_len = NULL;
    ilki_nn_attention(&ctx, &b->d, &a);
    return ctx.status;
}

static void refusals(void)
{
    ilk_error err;
    ilk_error_init(&err);
    batch b = new_batch(&plain, (uint32_t[]){4}, 1, 1);
    float *rows[1] = {b.qkv};
    ilki_kv kv = {1, 1, 2, 16, 16, rows, rows};
    b.d.mask = ILKI_MASK_GROUP;
    CHECK_STATUS(attend_with(&b, false, true, &err), ILK_BAD_ARGUMENT, NULL);
    b.prefix[0] = &kv;
    b.has_prefix = true;
    CHECK_STATUS(attend_with(&b, true, true, &err), ILK_UNSUPPORTED, NULL);
    b.d.mask = ILKI_MASK_PREFIX;
    CHECK_STATUS(attend_with(&b, true, false, &err), ILK_BAD_ARGUMENT, NULL);
    CHECK_STATUS(attend_with(&b, true, true, &err), ILK_OK, NULL);
    kv.d_qk = 8;
    CHECK_STATUS(attend_with(&b, true, true, &err), ILK_MISMATCH, NULL);
    CHECK(strstr(err.message, "cached prefix") != NULL);
    kv = (ilki_kv){1, 1, 1, 16, 16, rows, rows};
    CHECK_STATUS(attend_with(&b, true, true, &err), ILK_MISMATCH, NULL);
    kv = (ilki_kv){1, 1, 2, 16, 8, rows, rows};
    CHECK_STATUS(attend_with(&b, true, true, &err), ILK_MISMATCH, NULL);
    kv = (ilki_kv){0, 1, 2, 16, 16, rows, rows}; /* no such layer */
    CHECK_STATUS(attend_with(&b, true, true, &err), ILK_MISMATCH, NULL);
    ilki_ws ws;
    char byte[ILKI_ALIGN];
    ilki_base_ws_init(&ws, byte, 0);
    ilki_nn ctx = {.ops = &ilki_kern_ref, .ws = &ws, .err = &err};
    kv.n_layers = 1;
    ilki_nn_kv_fill(&ctx, &kv, &(ilki_kv_args){.k = b.qkv, .v = b.qkv, .ldk = b.width, .ldv = b.width, .n = 2});
    CHECK_STATUS(ctx.status, ILK_MISMATCH, NULL);
    free_batch(&b);
}

/* ---- long texts */

static void memory(void)
{
    ilki_kern_ops ops[NN_TABLES];
    size_t n = nn_tables(ops);
    ilki_attn d = plain;
    d.n_heads = 12;
    d.n_kv_heads = 12;
    d.d_qk = d.d_v = 64;
    batch b = {.d = d, .n_seqs = 1, .offsets = {0, 8192}, .width = 3 * 768};
    ilki_ws ws;
    ilki_base_ws_init(&ws, NULL, 0);
    ilki_nn ctx = {.ops = &ops[n - 1], .ws = &ws};
    attend(&ctx, &b);
    CHECK(ws.peak >= (size_t)8192 * 768 * 4);
    CHECK(ws.peak < (size_t)8192 * 768 * 4 + (1 << 20));
}

typedef struct long_pass {
    const ilki_kern_ops *ops;
    ilki_pool *pool;
    batch *b;
} long_pass;

static ilk_status attend_under(void *arg, ilk_job *job, ilk_error *err)
{
    long_pass *l = arg;
    return nn_pass(&(ilki_nn){.ops = l->ops, .pool = l->pool, .job = job}, attend, l->b, err);
}

static void cancel(void)
{
    ilki_kern_ops ops[NN_TABLES];
    ilki_attn d = plain;
    d.n_heads = d.n_kv_heads = 12;
    d.d_qk = d.d_v = 64;
    batch b = new_batch(&d, (uint32_t[]){8192}, 1, 1);
    for (size_t t = 0, n = nn_tables(ops); t < n; t++)
        for (unsigned threads = 0; threads <= 2; threads += 2) {
            ilki_pool *pool = NULL;
            if (threads)
                CHECK_OK(ilki_base_pool_new(&pool, threads, NULL), NULL);
            cancelled c = {
                .what = ops[t].name, .after_ms = 30, .run = attend_under, .arg = &(long_pass){&ops[t], pool, &b}};
            if (!cancel_in_time(&c))
                printf("    on %u threads\n", threads);
            ilki_base_pool_free(pool);
        }
    free_batch(&b);
}

static void in_bf16(void)
{
    half = true;
    descriptors();
    threads();
    company();
    window_is_mask();
    prefixes();
    half = false;
}

TEST_MAIN({"descriptors", descriptors}, {"threads", threads}, {"company", company}, {"window is mask", window_is_mask},
          {"prefixes", prefixes}, {"in bf16", in_bf16}, {"refusals", refusals}, {"memory", memory}, {"cancel", cancel})
