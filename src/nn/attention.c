/* SPDX-License-Identifier: Apache-2.0
 * Softmax attention over a flat batch of sequences, without an n x n matrix.
 *
 * A task is some query rows of one sequence under one or more key heads. It goes over the blocks of keys, ascending, with
 * the running softmax of the kernel (kern/ops.h). Blocks are cut at multiples of ILKI_ATTN_KEYS of the position in the
 * sequence, where a cached prefix counts, so that a row meets the same blocks however much of the sequence was cached; a
 * block that lies on both sides of the seam is gathered first. Learned extra rows are blocks of their own before them.
 *
 * Under every mask but GROUP the keys that a query sees are one interval; a block outside the intervals of all rows is
 * left out, which gives the same bits as masking it: such a block multiplies what a row has by 1 and adds 0.
 *
 * Keys are packed by each task that reads them, but once for all in the workspace where a sequence has many blocks of
 * queries. In bf16 a packed block has the values, too. */
#include "nn/layers.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "nn/tape.h"
#include "nn/work.h"

enum {
    KEYS = ILKI_ATTN_KEYS,
    PACK_FROM = 4 * KEYS,  /* own tokens from which keys are packed once */
    LEAST_TASK_NS = 50000, /* heads are put together below this */
    WIDE = 2,              /* times ILKI_ATTN_ROWS, query rows that a packed block of keys may serve */
};

typedef struct attention {
    const ilki_attn *d;
    const ilki_attn_args *a;
    size_t group;       /* query heads of a key head */
    size_t most_rows;   /* of a task */
    bool half;          /* by the kernel of bf16 */
    size_t block;       /* floats that a packed block of one key head takes */
    size_t *first_task; /* [n_seqs + 1] */
    size_t *packed_at;  /* [n_seqs + 1] first packed block of a sequence */
    float *packed;      /* [blocks][n_kv_heads][block] of the long sequences */
} attention;

ilki_nn_interval ilki_nn_attn_seen(const ilki_attn *d, size_t prefix_len, size_t total, size_t i)
{
    ilki_nn_interval v = {0, total};
    if (d->mask == ILKI_MASK_CAUSAL || d->mask == ILKI_MASK_PREFIX) {
        v.hi = prefix_len > i + 1 ? prefix_len : i + 1;
        v.hi = v.hi < total ? v.hi : total;
    }
    if (i > d->window_left)
        v.lo = i - d->window_left;
    if (d->window_right < v.hi && i + d->window_right + 1 < v.hi)
        v.hi = i + d->window_right + 1;
    return v;
}

/* ---- sequences */

typedef struct sequence {
    size_t index, first, n, cached, total; /* flat row of its first token, own tokens, cached ones, both */
    const ilki_kv *kv;
} sequence;

static sequence get_sequence(const attention *t, size_t index)
{
    const ilki_attn_args *a = t->a;
    sequence s = {.index = index, .first = a->offsets[index], .n = a->offsets[index + 1] - a->offsets[index]};
    s.kv = a->prefix ? a->prefix[index] : NULL;
    s.cached = s.kv ? s.kv->n_tokens : 0;
    s.total = s.cached + s.n;
    return s;
}

static size_t n_blocks(size_t n)
{
    return (n + KEYS - 1) / KEYS;
}

static bool packed_once(const sequence *s)
{
    return s->n >= PACK_FROM;
}

/* How a sequence is cut: query rows and key heads of a task. */
typedef struct cut {
    size_t rows, heads, n_row_blocks, n_head_blocks;
    uint64_t row_ns; /* of one query row under one key head */
} cut;

static cut cut_sequence(const ilki_nn *ctx, const attention *t, const sequence *s)
{
    const ilki_attn *d = t->d;
    cut c;
    size_t keys = s->total + d->n_extra;
    if (d->window_left < s->total && d->window_right < s->total) {
        size_t seen = (size_t)d->window_left + d->window_right + 2 * KEYS;
        keys = seen < keys ? seen : keys;
    }
    c.row_ns = ilki_nn_attn_ns(ctx, (2 * (uint64_t)(d->d_qk + d->d_v) + 32) * keys * t->group);
    uint64_t rows = 2 * ILKI_NN_TASK_NS / c.row_ns;
    uint64_t most = packed_once(s) ? ILKI_ATTN_ROWS : t->most_rows;
    rows = rows < 1 ? 1 : rows > most ? most : rows;
    c.rows = rows < s->n ? (size_t)rows : s->n;
    uint64_t heads = LEAST_TASK_NS / (c.row_ns * c.rows) + 1;
    c.heads = heads < d->n_kv_heads ? (size_t)heads : d->n_kv_heads;
    c.n_row_blocks = (s->n + c.rows - 1) / c.rows;
    c.n_head_blocks = (d->n_kv_heads + c.heads - 1) / c.heads;
    return c;
}

/* ---- keys and values of a block */

typedef struct rows_view {
    const float *p;
    size_t ld;
} rows_view;

/* Positions lo to hi of the sequence, entries [at, at + d): of the cache, of the batch, or of both through `gather`. */
static rows_view get_rows(const sequence *s, const float *cached, size_t ld_cached, rows_view own, size_t lo, size_t hi,
                          float *gather, size_t d)
{
    if (lo >= s->cached)
        return (rows_view){own.p + (s->first + lo - s->cached) * own.ld, own.ld};
    if (hi <= s->cached)
        return (rows_view){cached + lo * ld_cached, ld_cached};
    for (size_t i = lo; i < hi; i++) {
        const float *row = i < s->cached ? cached + i * ld_cached : own.p + (s->first + i - s->cached) * own.ld;
        memcpy(gather + (i - lo) * d, row, d * sizeof *gather);
    }
    return (rows_view){gather, d};
}

static rows_view get_keys(const attention *t, const sequence *s, size_t head, size_t lo, size_t hi, float *gather)
{
    size_t d = t->d->d_qk;
    const float *cached = s->kv ? s->kv->k[t->a->layer] + head * d : NULL;
    rows_view own = {t->a->k + head * d, t->a->ldk};
    return get_rows(s, cached, t->d->n_kv_heads * d, own, lo, hi, gather, d);
}

static rows_view get_values(const attention *t, const sequence *s, size_t head, size_t lo, size_t hi, float *gather)
{
    size_t d = t->d->d_v;
    const float *cached = s->kv ? s->kv->v[t->a->layer] + head * d : NULL;
    rows_view own = {t->a->v + head * d, t->a->ldv};
    return get_rows(s, cached, t->d->n_kv_heads * d, own, lo, hi, gather, d);
}

static float *packed_block(const attention *t, size_t s, size_t block, size_t head)
{
    return t->packed + ((t->packed_at[s] + block) * t->d->n_kv_heads + head) * t->block;
}

static void pack_rows(const attention *t, const ilki_kern_ops *ops, rows_view k, rows_view v, size_t n_k, float *to)
{
    const ilki_attn_block b = {
        .k = k.p, .v = v.p, .n_k = n_k, .d = t->d->d_qk, .dv = t->d->d_v, .ldk = k.ld, .ldv = v.ld};
    if (t->half)
        ops->pack_attn_bf16(to, &b);
    else
        ops->pack_keys_f32(to, k.p, k.ld, n_k, t->d->d_qk);
}

/* Task: one block of keys, all heads. */
static void pack_block(ilki_nn *sub, void *arg, size_t index)
{
    const attention *t = arg;
    size_t lo = 0, hi = t->a->n_seqs; /* the last sequence with packed_at <= index */
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (t->packed_at[mid] <= index)
            lo = mid;
        else
            hi = mid;
    }
    sequence s = get_sequence(t, lo);
    size_t block = index - t->packed_at[lo], from = block * KEYS, to = from + KEYS < s.total ? from + KEYS : s.total;
    float *gather = ilki_nn_take(sub, KEYS * (size_t)t->d->d_qk, sizeof *gather);
    float *gather_v = ilki_nn_take(sub, KEYS * (size_t)t->d->d_v, sizeof *gather_v);
    for (size_t head = 0; gather && gather_v && head < t->d->n_kv_heads; head++) {
        rows_view k = get_keys(t, &s, head, from, to, gather), v = {NULL, 0};
        if (t->half)
            v = get_values(t, &s, head, from, to, gather_v);
        pack_rows(t, sub->ops, k, v, to - from, packed_block(t, lo, block, head));
    }
}

/* ---- masks */

/* The keys that the query at position i may see, group ids aside. Both ends ascend with i. */
static ilki_nn_interval seen_by(const attention *t, const sequence *s, size_t i)
{
    return ilki_nn_attn_seen(t->d, t->d->mask == ILKI_MASK_PREFIX ? t->a->prefix_len[s->index] : 0, s->total, i);
}

enum { SEES_NONE, SEES_SOME, SEES_ALL };

/* What the queries q0 … q0 + n_q see of keys lo … hi; mask [n_q][hi - lo] gets 0 and -inf where it is some. */
static int mask_block(const attention *t, const sequence *s, ilki_nn_interval q, ilki_nn_interval keys, float *mask)
{
    const uint32_t *groups = t->d->mask == ILKI_MASK_GROUP ? t->a->groups + s->first : NULL;
    size_t n_k = keys.hi - keys.lo, n_seen = 0;
    for (size_t i = q.lo; i < q.hi; i++, mask += n_k) {
        ilki_nn_interval v = seen_by(t, s, i);
        for (size_t j = keys.lo; j < keys.hi; j++) {
            bool sees = j >= v.lo && j < v.hi && (!groups || groups[i] == groups[j]);
            mask[j - keys.lo] = sees ? 0.0f : -INFINITY;
            n_seen += sees;
        }
    }
    return n_seen == 0 ? SEES_NONE : n_seen < n_k * (q.hi - q.lo) ? SEES_SOME : SEES_ALL;
}

/* The same by the intervals of the first and the last row; SEES_SOME: unknown. */
static int mask_quick(const attention *t, const sequence *s, ilki_nn_interval q, ilki_nn_interval keys)
{
    if (t->d->mask == ILKI_MASK_GROUP)
        return SEES_SOME;
    ilki_nn_interval a = seen_by(t, s, q.lo), b = seen_by(t, s, q.hi - 1);
    if (keys.lo >= b.hi || keys.hi <= a.lo)
        return SEES_NONE;
    return keys.lo >= b.lo && keys.hi <= a.hi ? SEES_ALL : SEES_SOME;
}

/* add = mask (may be NULL) + the bias of a head by relative position */
static void add_bias(const ilki_attn *d, size_t head, ilki_nn_interval q, ilki_nn_interval keys, const float *mask,
                     float *add)
{
    const float *bias = d->bias + head * (2 * (size_t)d->bias_span + 1);
    ptrdiff_t span = (ptrdiff_t)d->bias_span;
    for (size_t i = q.lo; i < q.hi; i++)
        for (size_t j = keys.lo; j < keys.hi; j++) {
            ptrdiff_t r = (ptrdiff_t)j - (ptrdiff_t)i;
            r = r < -span ? -span : r > span ? span : r;
            *add++ = bias[r + span] + (mask ? *mask++ : 0.0f);
        }
}

/* ---- one task */

typedef struct scratch {
    float *kt, *k, *v;  /* a packed block, gathered keys and values */
    float *mask, *add;  /* [rows][KEYS] */
    float *m, *l, *acc; /* per query head of the group: [rows], [rows], [rows][d_v] */
} scratch;

static bool take_scratch(ilki_nn *sub, const attention *t, size_t rows, scratch *x)
{
    size_t d = t->d->d_qk, dv = t->d->d_v;
    x->kt = ilki_nn_take(sub, t->block, sizeof(float));
    x->k = ilki_nn_take(sub, d * KEYS, sizeof(float));
    x->v = ilki_nn_take(sub, dv * KEYS, sizeof(float));
    x->mask = ilki_nn_take(sub, rows * KEYS, sizeof(float));
    x->add = ilki_nn_take(sub, rows * KEYS, sizeof(float));
    x->m = ilki_nn_take(sub, t->group * rows, sizeof(float));
    x->l = ilki_nn_take(sub, t->group * rows, sizeof(float));
    x->acc = ilki_nn_take(sub, t->group * rows * dv, sizeof(float));
    return x->acc != NULL;
}

static size_t scratch_bytes(const attention *t, size_t rows)
{
    ilki_ws measuring;
    ilki_base_ws_init(&measuring, NULL, 0);
    ilki_nn sub = {.ws = &measuring};
    scratch x;
    take_scratch(&sub, t, rows, &x);
    return measuring.peak;
}

/* Some query rows of a sequence under one key head. */
typedef struct task {
    const attention *t;
    const sequence *s;
    const scratch *x;
    ilki_nn_interval q; /* positions of its query rows */
    size_t head;        /* key head */
    bool extra;         /* at the learned rows, which get no bias */
    bool fresh;         /* no block of keys was seen, and m, l, acc hold nothing yet */
    bool done;          /* the last block gave the rows */
} task;

static float *out_rows(const task *k, size_t head)
{
    size_t row = k->s->first + k->q.lo - k->s->cached;
    return k->t->a->out + row * k->t->a->ldout + head * k->t->d->d_v;
}

/* Calls the kernel with all rows, so many at a time as it takes. */
static void call_rows(void (*kernel)(const ilki_attn_f32 *), ilki_attn_f32 call)
{
    for (size_t left = call.n_q; left > 0; left -= call.n_q) {
        call.n_q = left < ILKI_ATTN_ROWS ? left : ILKI_ATTN_ROWS;
        kernel(&call);
        call.q += call.n_q * call.ldq;
        call.add = call.add ? call.add + call.n_q * call.ldadd : NULL;
        call.m += call.n_q;
        call.l += call.n_q;
        call.acc += call.n_q * call.ldacc;
        call.out = call.out ? call.out + call.n_q * call.ldout : NULL;
    }
}

/* One block of keys for every query head of the group. `mask` NULL: all are seen. `last`: of the whole task. */
static void do_block(task *k, const ilki_kern_ops *ops, ilki_nn_interval keys, const float *kt, rows_view v,
                     const float *mask, bool last)
{
    bool biased = k->t->d->bias != NULL && !k->extra;
    const ilki_attn *d = k->t->d;
    const ilki_attn_args *a = k->t->a;
    size_t rows = k->q.hi - k->q.lo, n_k = keys.hi - keys.lo;
    size_t row = k->s->first + k->q.lo - k->s->cached;
    for (size_t g = 0; g < k->t->group; g++) {
        size_t head = k->head * k->t->group + g;
        if (biased)
            add_bias(d, head, k->q, keys, mask, k->x->add);
        ilki_attn_f32 call = {.q = a->q + row * a->ldq + head * d->d_qk,
                              .kt = kt,
                              .v = v.p,
                              .add = biased ? k->x->add : mask,
                              .m = k->x->m + g * rows,
                              .l = k->x->l + g * rows,
                              .acc = k->x->acc + g * rows * d->d_v,
                              .out = last ? out_rows(k, head) : NULL,
                              .n_q = rows,
                              .n_k = n_k,
                              .d = d->d_qk,
                              .dv = d->d_v,
                              .ldq = a->ldq,
                              .ldv = v.ld,
                              .ldadd = n_k,
                              .ldacc = d->d_v,
                              .ldout = a->ldout,
                              .first = k->fresh,
                              .scale = d->scale,
                              .softcap = d->softcap};
        call_rows(k->t->half ? ops->attn_bf16 : ops->attn_f32, call);
    }
    k->fresh = false;
    k->done = last;
}

static void do_extra(task *k, const ilki_kern_ops *ops)
{
    const ilki_attn *d = k->t->d;
    size_t ldk = (size_t)d->n_kv_heads * d->d_qk, ldv = (size_t)d->n_kv_heads * d->d_v;
    k->extra = true;
    for (size_t lo = 0; lo < d->n_extra; lo += KEYS) {
        ilki_nn_interval keys = {lo, lo + KEYS < d->n_extra ? lo + KEYS : d->n_extra};
        rows_view own = {d->extra_k + lo * ldk + k->head * d->d_qk, ldk};
        rows_view v = {d->extra_v + lo * ldv + k->head * d->d_v, ldv};
        pack_rows(k->t, ops, own, v, keys.hi - lo, k->x->kt);
        do_block(k, ops, keys, k->x->kt, v, NULL, false);
    }
    k->extra = false;
}

static void do_keys(task *k, const ilki_kern_ops *ops)
{
    const attention *t = k->t;
    size_t end = seen_by(t, k->s, k->q.hi - 1).hi;
    for (size_t lo = seen_by(t, k->s, k->q.lo).lo / KEYS * KEYS; lo < end; lo += KEYS) {
        ilki_nn_interval keys = {lo, lo + KEYS < k->s->total ? lo + KEYS : k->s->total};
        int sees = mask_quick(t, k->s, k->q, keys);
        if (sees == SEES_SOME)
            sees = mask_block(t, k->s, k->q, keys, k->x->mask);
        if (sees == SEES_NONE)
            continue;
        const float *kt = packed_once(k->s) ? packed_block(t, k->s->index, lo / KEYS, k->head) : k->x->kt;
        rows_view v = {NULL, 0};
        if (kt == k->x->kt || !t->half)
            v = get_values(t, k->s, k->head, lo, keys.hi, k->x->v);
        if (kt == k->x->kt)
            pack_rows(t, ops, get_keys(t, k->s, k->head, lo, keys.hi, k->x->k), v, keys.hi - lo, k->x->kt);
        do_block(k, ops, keys, kt, v, sees == SEES_ALL ? NULL : k->x->mask, keys.hi >= end);
    }
}

static void run_task(ilki_nn *sub, void *arg, size_t index)
{
    const attention *t = arg;
    const ilki_attn *d = t->d;
    size_t lo = 0, hi = t->a->n_seqs; /* the last sequence with first_task <= index */
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (t->first_task[mid] <= index)
            lo = mid;
        else
            hi = mid;
    }
    sequence s = get_sequence(t, lo);
    cut c = cut_sequence(sub, t, &s);
    index -= t->first_task[lo];
    size_t row = index / c.n_head_blocks * c.rows, rows = s.n - row < c.rows ? s.n - row : c.rows;
    size_t head = index % c.n_head_blocks * c.heads;
    size_t end = head + c.heads < d->n_kv_heads ? head + c.heads : d->n_kv_heads;
    scratch x;
    if (!take_scratch(sub, t, rows, &x))
        return;
    for (; head < end; head++) {
        task k = {.t = t, .s = &s, .x = &x, .q = {s.cached + row, s.cached + row + rows}, .head = head, .fresh = true};
        do_extra(&k, sub->ops);
        do_keys(&k, sub->ops);
        if (k.fresh) { /* no key at all: zeros */
            memset(x.l, 0, t->group * rows * sizeof *x.l);
            memset(x.acc, 0, t->group * rows * d->d_v * sizeof *x.acc);
        }
        for (size_t g = 0; g < t->group && !k.done; g++)
            sub->ops->attn_end_f32(out_rows(&k, head * t->group + g), t->a->ldout, x.acc + g * rows * d->d_v, d->d_v,
                                   x.l + g * rows, rows, d->d_v);
    }
}

/* ---- the call */

static void check(ilki_nn *ctx, const ilki_attn *d, const ilki_attn_args *a)
{
    assert(d->n_kv_heads > 0 && d->n_heads % d->n_kv_heads == 0 && d->d_qk > 0 && d->d_v > 0);
    assert(d->n_extra == 0 || (d->extra_k && d->extra_v));
    if (d->mask == ILKI_MASK_GROUP && !a->groups)
        ilki_nn_fail(ctx, ILK_BAD_ARGUMENT, "attention by groups: no group ids given");
    if (d->mask == ILKI_MASK_PREFIX && !a->prefix_len)
        ilki_nn_fail(ctx, ILK_BAD_ARGUMENT, "attention under a prefix mask: no prefix lengths given");
    for (size_t i = 0; a->prefix && i < a->n_seqs; i++) {
        const ilki_kv *kv = a->prefix[i];
        if (!kv)
            continue;
        if (d->mask == ILKI_MASK_GROUP)
            ilki_nn_fail(ctx, ILK_UNSUPPORTED, "attention by groups: a cached prefix has no group ids");
        else if (kv->n_kv_heads != d->n_kv_heads || kv->d_qk != d->d_qk || kv->d_v != d->d_v ||
                 a->layer >= kv->n_layers)
            ilki_nn_fail(ctx, ILK_MISMATCH,
                         "cached prefix: expected %u heads of %u and %u, layer %u; found %u of %u and %u, %u layers",
                         d->n_kv_heads, d->d_qk, d->d_v, a->layer, kv->n_kv_heads, kv->d_qk, kv->d_v, kv->n_layers);
    }
}

static const uint32_t *copy_u32(ilki_nn *ctx, const uint32_t *x, size_t n)
{
    uint32_t *copy = x ? ilki_base_arena_alloc(&ctx->tape->arena, n, sizeof *x) : NULL;
    if (copy)
        memcpy(copy, x, n * sizeof *x);
    else if (x)
        ilki_nn_fail(ctx, ILK_NO_MEMORY, "tape: out of memory after %zu bytes", ctx->tape->arena.total_bytes);
    return copy;
}

static void save(ilki_nn *ctx, const ilki_attn *d, const ilki_attn_args *a)
{
    size_t n = a->offsets[a->n_seqs];
    for (size_t i = 0; a->prefix && i < a->n_seqs; i++)
        if (a->prefix[i])
            ilki_nn_fail(ctx, ILK_UNSUPPORTED, "tape: attention over a cached prefix has no backward");
    ilki_tape_entry *e = ilki_nn_tape_add(ctx, ILKI_TAPE_ATTENTION, a->q, a->ldq, n, (size_t)d->n_heads * d->d_qk);
    if (!e)
        return;
    e->attn = *d;
    e->attn_args = *a;
    e->k = ilki_nn_tape_copy(ctx, a->k, a->ldk, n, (size_t)d->n_kv_heads * d->d_qk);
    e->v = ilki_nn_tape_copy(ctx, a->v, a->ldv, n, (size_t)d->n_kv_heads * d->d_v);
    e->attn_args.offsets = copy_u32(ctx, a->offsets, a->n_seqs + 1);
    e->attn_args.groups = copy_u32(ctx, a->groups, n);
    e->attn_args.prefix_len = copy_u32(ctx, a->prefix_len, a->n_seqs);
}

/* Rows of a task: where every query sees every key and there are tasks enough, several calls share packed keys. */
static size_t most_rows(const ilki_nn *ctx, const ilki_attn *d, const ilki_attn_args *a)
{
    size_t wide = (size_t)WIDE * ILKI_ATTN_ROWS, threads = ctx->pool ? ilki_base_pool_threads(ctx->pool) : 1;
    bool all = d->mask == ILKI_MASK_FULL && d->window_left == UINT32_MAX && d->window_right == UINT32_MAX;
    return all && a->n_seqs * d->n_kv_heads >= 4 * threads ? wide : ILKI_ATTN_ROWS;
}

void ilki_nn_attention(ilki_nn *ctx, const ilki_attn *d, const ilki_attn_args *a)
{
    attention t = {.d = d, .a = a, .group = d->n_heads / d->n_kv_heads, .most_rows = most_rows(ctx, d, a)};
    size_t mark = ilki_base_ws_mark(ctx->ws), rows = 1, n_packed = 0, n_tasks = 0;
    uint64_t cost = 0;
    t.half = d->half && ctx->ops->attn_bf16_pays && !ctx->attend_f32 && !ctx->tape;
    t.block = t.half ? ctx->ops->attn_bytes_bf16(d->d_qk, d->d_v) / sizeof(float) : (size_t)d->d_qk * KEYS;
    size_t kt = d->n_kv_heads * t.block;
    check(ctx, d, a);
    if (ctx->tape && ilki_nn_live(ctx))
        save(ctx, d, a);
    t.first_task = ilki_nn_take(ctx, a->n_seqs + 1, sizeof *t.first_task);
    t.packed_at = ilki_nn_take(ctx, a->n_seqs + 1, sizeof *t.packed_at);
    if (ctx->status != ILK_OK)
        goto end;
    for (size_t i = 0; i <= a->n_seqs; i++) {
        if (t.first_task) {
            t.first_task[i] = n_tasks;
            t.packed_at[i] = n_packed;
        }
        if (i == a->n_seqs)
            break;
        sequence s = get_sequence(&t, i);
        cut c = cut_sequence(ctx, &t, &s);
        n_tasks += c.n_row_blocks * c.n_head_blocks;
        n_packed += packed_once(&s) ? n_blocks(s.total) : 0;
        rows = c.rows > rows ? c.rows : rows;
        cost += c.row_ns * s.n * d->n_kv_heads;
    }
    t.packed = ilki_nn_take(ctx, n_packed * kt, sizeof *t.packed);
    ilki_nn_run(ctx, &(ilki_nn_work){.fn = pack_block,
                                     .arg = &t,
                                     .n_tasks = n_packed,
                                     .scratch_bytes = ilki_nn_bytes(KEYS * (size_t)d->d_qk, sizeof(float)) +
                                                      ilki_nn_bytes(KEYS * (size_t)d->d_v, sizeof(float)),
                                     .cost_ns = n_packed * kt / 2});
    ilki_nn_run(
        ctx,
        &(ilki_nn_work){
            .fn = run_task, .arg = &t, .n_tasks = n_tasks, .scratch_bytes = scratch_bytes(&t, rows), .cost_ns = cost});
end:
    ilki_base_ws_release(ctx->ws, mark);
}

/* ---- keys and values out */

static bool fits(ilki_nn *ctx, const ilki_kv *kv, const ilki_kv_args *a)
{
    const ilki_kv *p = a->prefix;
    size_t cached = p ? p->n_tokens : 0;
    bool same = !p || (p->n_kv_heads == kv->n_kv_heads && p->d_qk == kv->d_qk && p->d_v == kv->d_v);
    if (same && kv->n_tokens == cached + a->n && a->layer < kv->n_layers && (!p || a->layer < p->n_layers))
        return true;
    ilki_nn_fail(ctx, ILK_MISMATCH, "keys and values out: room for %u tokens, %u layers; expected %zu tokens, layer %u",
                 kv->n_tokens, kv->n_layers, cached + a->n, a->layer);
    return false;
}

static void fill(float *to, const float *cached, size_t n_cached, rows_view own, size_t n, size_t width)
{
    if (n_cached)
        memcpy(to, cached, n_cached * width * sizeof *to);
    for (size_t i = 0; i < n; i++)
        memcpy(to + (n_cached + i) * width, own.p + i * own.ld, width * sizeof *to);
}

void ilki_nn_kv_fill(ilki_nn *ctx, ilki_kv *kv, const ilki_kv_args *a)
{
    if (!ilki_nn_live(ctx) || !fits(ctx, kv, a))
        return;
    const ilki_kv *p = a->prefix;
    size_t cached = p ? p->n_tokens : 0;
    fill(kv->k[a->layer], p ? p->k[a->layer] : NULL, cached, (rows_view){a->k, a->ldk}, a->n,
         (size_t)kv->n_kv_heads * kv->d_qk);
    fill(kv->v[a->layer], p ? p->v[a->layer] : NULL, cached, (rows_view){a->v, a->ldv}, a->n,
         (size_t)kv->n_kv_heads * kv->d_v);
}
