/* SPDX-License-Identifier: Apache-2.0
 * Contents to passages, one task of the pool per file. A passage is embedded behind its heading path or symbol, unless
 * that would take more than a quarter of the room. Neighbouring segments of a few words each, as the sections of a list
 * of addresses or the gaps of source code, become one: a hit should say something by itself. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/ingest.h"

typedef struct cutting {
    ilki_ingest *g;
    ilk_status *status; /* [files] */
    ilk_error *errors;  /* [files] */
    size_t *order;      /* [files] those of the series, and the others from the end on */
    size_t n_serial;
    ilki_media_series *series;
} cutting;

static bool add_passage(ilki_file_work *w, const ilki_passage *p)
{
    if (w->n_passages == w->cap_passages) {
        size_t cap = w->cap_passages ? w->cap_passages * 2 : 8;
        ilki_passage *more = realloc(w->passages, cap * sizeof *more);
        if (!more)
            return false;
        w->passages = more;
        w->cap_passages = cap;
    }
    w->passages[w->n_passages++] = *p;
    return true;
}

/* ---- segments that are joined */

/* Bytes of the first n parts of a heading path "A > B" or a symbol "a.b", without the separator behind them; *n becomes
 * the number of parts there are up to n. */
static size_t path_parts(const char *path, bool code, size_t *n)
{
    const char *separator = code ? "." : " > ", *p = path;
    size_t want = *n, n_separator = strlen(separator);
    for (*n = 0; *n < want && *p; ++*n) {
        const char *end = strstr(*n ? p + n_separator : p, separator);
        p = end ? end : p + strlen(p);
    }
    return (size_t)(p - path);
}

/* Parts that two paths begin with. */
static size_t common_parts(const char *a, const char *b, bool code)
{
    for (size_t n = 0;; n++) {
        size_t na = n + 1, nb = n + 1, la = path_parts(a, code, &na), lb = path_parts(b, code, &nb);
        if (na <= n || nb <= n || la != lb || memcmp(a, b, la) != 0)
            return n;
    }
}

/* Tokens of a segment, `limit` for as many or more. A long text is not worth counting. */
static ilk_status count_small(const ilki_ingest *g, ilki_text_scratch *scratch, const ilki_doc *doc,
                              const ilki_doc_segment *seg, size_t limit, size_t *n, ilk_error *err)
{
    *n = limit;
    if (seg->end - seg->start > limit * 16)
        return ILK_OK;
    ilk_status st = ilki_text_count(ilki_embed_tokenizer(g->models[g->measure]), scratch, doc->text + seg->start,
                                    seg->end - seg->start, limit, n, err);
    if (!st && *n > limit)
        *n = limit;
    return st;
}

/* *seg: segment i with as many behind it as are small together and belong under one heading; *n of them. */
static ilk_status join_small(const ilki_ingest *g, ilki_text_scratch *scratch, ilki_doc *doc, size_t i,
                             ilki_doc_segment *seg, size_t *n, ilk_error *err)
{
    size_t limit = g->chunk_tokens / 4, n_tokens, n_more, deepest = SIZE_MAX;
    *seg = doc->segments[i];
    *n = 1;
    const char *context = seg->context ? seg->context : "";
    ilk_status st = count_small(g, scratch, doc, seg, limit, &n_tokens, err);
    size_t n_context = path_parts(context, seg->code, &deepest), shared = deepest;
    for (; !st && n_tokens < limit && i + *n < doc->n_segments; ++*n) {
        const ilki_doc_segment *next = &doc->segments[i + *n];
        const char *path = next->context ? next->context : "";
        size_t depth = SIZE_MAX, both = common_parts(context, path, seg->code);
        path_parts(path, seg->code, &depth);
        both = both < shared ? both : shared;
        depth = depth > deepest ? depth : deepest;
        if (next->code != seg->code || next->page != seg->page || depth > both + 1)
            break;
        st = count_small(g, scratch, doc, next, limit, &n_more, err);
        if (st || n_tokens + n_more >= limit)
            break;
        n_tokens += n_more;
        deepest = depth;
        shared = both;
        seg->end = next->end;
        seg->line_last = next->line_last;
        n_context = path_parts(context, seg->code, &both);
    }
    if (!st && context[n_context]) {
        seg->context = ilki_base_arena_strndup(&doc->arena, context, n_context);
        if (!seg->context)
            st = ilki_base_fail_memory(err, n_context + 1, "a heading path");
    }
    return st;
}

/* ---- passages */

/* Of the bytes that commit.c has embedded: the context, a newline, the passage. */
static void hash_passage(const ilki_file_work *w, ilki_passage *p)
{
    ilki_sha256 h;
    ilki_base_sha256_init(&h);
    if (p->prepend) {
        ilki_base_sha256_add(&h, p->context, strlen(p->context));
        ilki_base_sha256_add(&h, "\n", 1);
    }
    ilki_base_sha256_add(&h, w->doc->text + p->start, p->end - p->start);
    ilki_base_sha256_end(&h, p->hash);
}

static ilk_status cut_segment(const ilki_ingest *g, ilki_text_scratch *scratch, ilki_file_work *w,
                              const ilki_doc_segment *seg, ilki_chunks *chunks, ilk_error *err)
{
    const ilki_tokenizer *t = ilki_embed_tokenizer(g->models[g->measure]);
    const char *text = w->doc->text + seg->start, *context = seg->context ? seg->context : "";
    size_t n_context = 0;
    ilk_status st = ILK_OK;
    if (*context)
        st = ilki_text_count(t, scratch, context, strlen(context), g->room_tokens, &n_context, err);
    if (st)
        return st;
    bool prepend = *context && n_context <= g->room_tokens / 4;
    size_t room = g->room_tokens - (prepend ? n_context : 0);
    ilki_chunk_options opt = {
        .max_tokens = g->chunk_tokens < room ? g->chunk_tokens : room, .overlap = g->overlap, .code = seg->code};
    if (opt.overlap && opt.overlap >= opt.max_tokens / 2)
        opt.overlap = opt.max_tokens > 3 ? opt.max_tokens / 2 - 1 : 0;
    st = ilki_text_chunk(t, scratch, text, seg->end - seg->start, &opt, g->job, chunks, err);
    for (size_t i = 0; !st && i < chunks->n; i++) {
        ilki_passage p = {.start = seg->start + chunks->list[i].start,
                          .end = seg->start + chunks->list[i].end,
                          .page = seg->page,
                          .context = context,
                          .prepend = prepend,
                          .todo = w->picture ? g->reads_words : g->reads_text};
        p.line_first = ilki_docs_line(w->doc, p.start);
        p.line_last = ilki_docs_line(w->doc, p.end > p.start ? p.end - 1 : p.start);
        hash_passage(w, &p);
        if (!add_passage(w, &p))
            st = ilki_base_fail_memory(err, w->n_passages * sizeof p, "passages");
    }
    return st;
}

static ilk_status make_vectors(const ilki_ingest *g, ilki_file_work *w, ilk_error *err)
{
    w->n_models = g->n_models;
    w->vectors = ilki_base_zalloc(w->n_models, sizeof *w->vectors);
    bool ok = w->vectors != NULL;
    for (size_t m = 0; ok && m < w->n_models; m++) {
        size_t n;
        if (g->reads_text >> m & 1)
            ok = ilki_base_mul(w->n_passages, g->spaces[m]->dim, &n) &&
                 (w->vectors[m] = ilki_base_zalloc(n, sizeof(float))) != NULL;
    }
    return ok ? ILK_OK : ilki_base_fail_memory(err, w->n_passages * sizeof(float), "vectors");
}

ilk_status ilki_engine_cut_document(ilki_ingest *g, ilki_file_work *w, ilki_text_scratch *scratch, ilk_error *err)
{
    ilki_chunks chunks = {0};
    ilk_status st = ilki_engine_read_document(g, w, err);
    for (size_t i = 0, n = 1; !st && g->n_models && i < w->doc->n_segments; i += n) {
        ilki_doc_segment seg;
        st = ilki_base_job_check(g->job, err);
        if (!st)
            st = join_small(g, scratch, w->doc, i, &seg, &n, err);
        if (!st)
            st = cut_segment(g, scratch, w, &seg, &chunks, err);
    }
    ilki_text_chunks_deinit(&chunks);
    return st || g->opt->dry_run ? st : make_vectors(g, w, err);
}

/* The text in a picture is cut like any other; its passages stand behind the picture. */
static ilk_status cut_picture(ilki_ingest *g, ilki_file_work *w, ilki_text_scratch *scratch, ilk_error *err)
{
    ilki_chunks chunks = {0};
    ilk_status st = ilki_engine_read_picture(g, w, err);
    for (size_t i = 0; !st && w->doc && g->reads_words && i < w->doc->n_segments; i++)
        st = cut_segment(g, scratch, w, &w->doc->segments[i], &chunks, err);
    ilki_text_chunks_deinit(&chunks);
    for (size_t m = 0; !st && w->vectors && w->n_passages > 1 && m < g->n_models; m++) {
        size_t n;
        if (!(g->reads_words >> m & 1))
            continue;
        if (!ilki_base_mul(w->n_passages, g->spaces[m]->dim, &n) ||
            !(w->vectors[m] = ilki_base_zalloc(n, sizeof(float))))
            st = ilki_base_fail_memory(err, w->n_passages * sizeof(float), "vectors");
    }
    return st;
}

static void cut_file(void *arg, size_t task, unsigned slot)
{
    cutting *c = arg;
    size_t index = c->order[c->g->read.n - 1 - task];
    ilki_file_work *w = c->g->read.list[index];
    ilk_error *err = &c->errors[index];
    c->status[index] = w->picture ? cut_picture(c->g, w, c->g->scratch[slot], err)
                                  : ilki_engine_cut_document(c->g, w, c->g->scratch[slot], err);
    free(w->data);
    w->data = NULL;
}

static ilk_status wish(void *user, size_t i, ilki_media_wish *out, ilk_error *err)
{
    cutting *c = user;
    (void)err;
    ilki_engine_wish_picture(c->g, c->g->read.list[c->order[i]], out);
    return ILK_OK;
}

/* The picture that a helper has decoded by now, whichever it is. */
static void cut_next(void *arg, size_t task, unsigned slot)
{
    cutting *c = arg;
    ilki_media_picture p;
    size_t i;
    ilk_error err;
    (void)task;
    (void)slot;
    ilk_error_init_sized(&err, sizeof err);
    ilk_status st = ilki_media_series_next(c->series, c->g->job, &i, &p, &err);
    if (i == SIZE_MAX) /* the run is over with the job */
        return;
    size_t index = c->order[i];
    ilki_file_work *w = c->g->read.list[index];
    if (!st) {
        st = ilki_engine_take_picture(c->g, w, &p, &err);
        ilki_media_series_end_picture(c->series, &p);
    }
    c->status[index] = st;
    ilki_base_error_copy(&c->errors[index], &err);
    free(w->data);
    w->data = NULL;
}

/* Those that need one decoding go first, by helpers that are kept busy; the others ask for a helper each. */
static ilk_status cut_all(cutting *c, ilk_error *err)
{
    ilki_ingest *g = c->g;
    ilki_media *media;
    ilk_status st = ILK_OK;
    size_t n = g->read.n, others = n;
    for (size_t i = 0; i < n; i++) {
        ilki_file_work *w = g->read.list[i];
        c->order[w->picture && ilki_engine_is_serial(g, w) ? c->n_serial++ : --others] = i;
    }
    if (c->n_serial) {
        ilki_run run = {.fn = cut_next, .arg = c, .n_tasks = c->n_serial, .job = g->job};
        st = ilki_media_of(g->rt, &media, err);
        if (!st)
            st = ilki_media_series_new(&c->series, media, c->n_serial, wish, c, err);
        if (!st)
            st = ilki_base_pool_run(g->rt->pool, &run, err);
        ilki_media_series_free(c->series);
    }
    ilki_run run = {.fn = cut_file, .arg = c, .n_tasks = n - c->n_serial, .job = g->job};
    return !st && run.n_tasks ? ilki_base_pool_run(g->rt->pool, &run, err) : st;
}

/* Where a file goes that has been cut. */
static ilk_status route(ilki_ingest *g, ilki_file_work *w, ilk_status st, const ilk_error *why, ilk_error *err)
{
    if (st == ILK_NO_MEMORY || st == ILK_CANCELLED || st == ILK_DEADLINE) {
        ilki_base_error_copy(err, why);
        ilki_engine_work_free(w);
        return st;
    }
    if (st && w->by_helper && st != ILK_UNSUPPORTED) {
        if (g->opt->strict && !g->strict_status)
            g->strict_status = ilki_base_fail(err, st, "%s: %s", w->src.path, why->message);
        return ilki_engine_settle(g, w, ILK_EVENT_FAILED, why->message, err);
    }
    if (w->lacking)
        w->src.mtime_ns = 0;
    if (st) /* what docs cannot read is not a failure of the file */
        return ilki_engine_settle(g, w, ILK_EVENT_SKIPPED, why->message, err);
    if (w->picture && g->n_models && !g->sees && !g->opt->dry_run && w->n_passages == 1) {
        char *own = w->reason;
        w->reason = NULL;
        st = ilki_engine_settle(g, w, ILK_EVENT_SKIPPED, own ? own : "a picture without words: no model here sees",
                                err);
        free(own);
        return st;
    }
    if (!w->picture && (g->n_models ? w->n_passages == 0 : w->doc->n_segments == 0))
        return ilki_engine_settle(g, w, ILK_EVENT_SKIPPED, "no text in it", err);
    st = g->opt->dry_run || w->picture ? ILK_OK : ilki_engine_reuse(g, w, err);
    if (!st && !ilki_engine_work_push(&g->open, w))
        st = ilki_base_fail_memory(err, sizeof *w, "a file");
    if (st)
        ilki_engine_work_free(w);
    else
        g->rows_bytes += w->rows_bytes;
    return st;
}

ilk_status ilki_engine_cut(ilki_ingest *g, ilk_error *err)
{
    size_t n = g->read.n;
    cutting c = {.g = g, .status = ilki_base_zalloc(n, sizeof *c.status)};
    c.errors = ilki_base_zalloc(n, sizeof *c.errors);
    c.order = ilki_base_zalloc(n, sizeof *c.order);
    bool ok = c.status && c.errors && c.order;
    ilk_status st = ok ? ILK_OK : ilki_base_fail_memory(err, n * sizeof *c.errors, "files");
    for (size_t i = 0; !st && i < n; i++)
        ilk_error_init_sized(&c.errors[i], sizeof c.errors[i]);
    if (!st)
        st = cut_all(&c, err);
    if (!st) {
        size_t i = 0;
        for (; !st && i < n; i++)
            st = route(g, g->read.list[i], c.status[i], &c.errors[i], err);
        for (; i < n; i++)
            ilki_engine_work_free(g->read.list[i]);
        g->read.n = 0;
        g->read_bytes = g->read_pictures = 0;
    }
    free(c.status);
    free(c.errors);
    free(c.order);
    return st;
}
