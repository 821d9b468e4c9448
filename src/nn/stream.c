/* SPDX-License-Identifier: Apache-2.0
 * See stream.h. Which linears a chain needs is seen where it measures itself on its first rows (context.c): no family
 * declares them. Packing is cut into bands of rows, which are tasks like any others. */
#include "nn/stream.h"

#include "nn/work.h"

bool ilki_nn_stream_note(ilki_nn *ctx)
{
    ilki_stream *s = ctx->stream;
    if (!s || s->state != ILKI_STREAM_IDLE)
        return false;
    s->state = ILKI_STREAM_NOTING;
    s->n = 0;
    return true;
}

static size_t packed_bytes(const ilki_nn *ctx, const ilki_linear *l)
{
    size_t n = 0;
    return ilki_tensor_packed_bytes(ctx->ops, l->form, l->n_out, l->n_in, &n) ? n : SIZE_MAX / 2;
}

/* ---- packing */

typedef struct packing {
    const ilki_stream *stream;
    const ilki_linear *const *linear;
    void *const *packed;
    size_t n;
} packing;

static void pack_band(ilki_nn *sub, void *arg, size_t index)
{
    const packing *p = arg;
    size_t i = 0;
    while (index >= ilki_tensor_linear_bands(p->linear[i], sub->ops))
        index -= ilki_tensor_linear_bands(p->linear[i++], sub->ops);
    ilk_error err;
    ilk_error_init(&err);
    ilk_status s = ilki_tensor_linear_pack_band(p->linear[i], sub->ops, p->packed[i], index, &err);
    if (s != ILK_OK)
        ilki_nn_fail(sub, s, "%s", err.message);
}

static void each_part(const packing *p, void (*tell)(void *user, const ilki_tensor *t))
{
    for (size_t i = 0; i < p->n && tell; i++)
        for (size_t k = 0; k < p->linear[i]->n_parts; k++)
            tell(p->stream->user, p->linear[i]->parts[k]);
}

static void pack(ilki_nn *ctx, const packing *p)
{
    ilki_nn_work w = {.fn = pack_band, .arg = (void *)(uintptr_t)p};
    for (size_t i = 0; i < p->n; i++) {
        w.n_tasks += ilki_tensor_linear_bands(p->linear[i], ctx->ops);
        w.cost_ns += (uint64_t)p->linear[i]->n_out * p->linear[i]->n_in;
    }
    if (ilki_nn_live(ctx))
        each_part(p, p->stream->will_need);
    ilki_nn_run(ctx, &w);
    if (ilki_nn_live(ctx))
        each_part(p, p->stream->done_with);
}

/* ---- a chain */

void ilki_nn_stream_hold(ilki_nn *ctx)
{
    ilki_stream *s = ctx->stream;
    for (size_t i = 0; i < s->n; i++)
        s->packed[i] = ilki_nn_take(ctx, packed_bytes(ctx, s->linear[i]), 1);
    pack(ctx, &(packing){s, s->linear, s->packed, s->n});
    s->state = ILKI_STREAM_HELD;
}

void ilki_nn_stream_end(ilki_nn *ctx)
{
    ctx->stream->state = ILKI_STREAM_IDLE;
    ctx->stream->n = 0;
}

/* The place of a linear in the list, n where it is not there. */
static size_t find(const ilki_stream *s, const ilki_linear *l)
{
    size_t i = 0;
    while (i < s->n && s->linear[i] != l)
        i++;
    return i;
}

const ilki_linear *ilki_nn_stream_show(ilki_nn *ctx, const ilki_linear *l, ilki_linear *shown)
{
    ilki_stream *s = ctx->stream;
    if (!ilki_tensor_linear_is_streamed(l))
        return l;
    if (!s) {
        ilki_nn_fail(ctx, ILK_UNSUPPORTED, "a linear layer of %zu to %zu is not packed, and the pass streams none",
                     l->n_in, l->n_out);
        return NULL;
    }
    *shown = *l;
    size_t at = find(s, l);
    if (at == s->n && s->state == ILKI_STREAM_NOTING && s->n < ILKI_STREAM_LINEARS)
        s->linear[s->n++] = l;
    if (at < s->n) {
        shown->packed = s->state == ILKI_STREAM_HELD ? s->packed[at] : NULL;
        return shown;
    }
    shown->packed = ilki_nn_take(ctx, packed_bytes(ctx, l), 1);
    pack(ctx, &(packing){s, &l, &shown->packed, 1});
    return ctx->status == ILK_OK ? shown : NULL;
}
