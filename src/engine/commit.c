/* SPDX-License-Identifier: Apache-2.0
 * From passages to the store. Passages of several files are embedded together, so that small files fill the batches of
 * the model; a file is written when its last passage has its vector, whole and with its source record in one batch. A
 * batch is written every two seconds or so: that is what an interrupted run loses. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/utf8.h"
#include "embed/state.h"
#include "engine/ingest.h"

enum { MIN_GROUP = 32, MAX_GROUP = 1024, MAX_DONE_FILES = 250, MAX_DONE_BYTES = 64 << 20, MAX_ROWS_BYTES = 16 << 20 };
#define GROUP_NS  1000000000U /* what one group should take */
#define COMMIT_NS 2000000000U

/* ------------------------------------------------------------------ works */

ilki_file_work *ilki_engine_work_new(ilki_known *known, const ilki_source *had)
{
    ilki_file_work *w = ilki_base_zalloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->known = known;
    w->src = w->had = *had;
    w->src.reason = NULL;
    return w;
}

void ilki_engine_work_free(ilki_file_work *w)
{
    if (!w)
        return;
    for (size_t m = 0; m < w->n_models; m++) {
        free(w->vectors ? w->vectors[m] : NULL);
        free(w->rows ? w->rows[m] : NULL);
    }
    free(w->vectors);
    free(w->rows);
    free(w->passages);
    ilki_docs_free(w->doc);
    free(w->about);
    free(w->data);
    free(w->reason);
    free(w);
}

bool ilki_engine_work_push(ilki_work_list *l, ilki_file_work *w)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        ilki_file_work **more = realloc(l->list, cap * sizeof *more);
        if (!more)
            return false;
        l->list = more;
        l->cap = cap;
    }
    l->list[l->n++] = w;
    return true;
}

void ilki_engine_work_list_deinit(ilki_work_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        ilki_engine_work_free(l->list[i]);
    free(l->list);
    *l = (ilki_work_list){0};
}

/* Takes the first n away. */
static void drop_first(ilki_work_list *l, size_t n)
{
    if (n)
        memmove(l->list, l->list + n, (l->n - n) * sizeof *l->list);
    l->n -= n;
}

void ilki_engine_tell(const ilk_ingest_options *opt, ilk_ingest_result *r, const ilk_event *event)
{
    uint64_t *const counts[] = {
        [ILK_EVENT_INDEXED] = &r->n_indexed, [ILK_EVENT_UNCHANGED] = &r->n_unchanged, [ILK_EVENT_MOVED] = &r->n_moved,
        [ILK_EVENT_REMOVED] = &r->n_removed, [ILK_EVENT_SKIPPED] = &r->n_skipped,     [ILK_EVENT_FAILED] = &r->n_failed,
    };
    ++*counts[event->kind];
    if (opt && opt->event)
        opt->event(opt->event_user, event);
}

ilk_status ilki_engine_settle(ilki_ingest *g, ilki_file_work *w, ilk_event_kind event, const char *reason,
                              ilk_error *err)
{
    w->event = event;
    if (reason && !(w->reason = ilki_base_strndup(reason, strlen(reason))))
        goto fail;
    w->src.reason = w->reason;
    if (event == ILK_EVENT_SKIPPED) {
        w->drop_items = w->had.n_items > 0;
        w->src.state = ILKI_SOURCE_SKIPPED;
        w->src.n_items = 0;
    } else if (event == ILK_EVENT_FAILED) { /* what was found in it before stays, and it is tried again */
        w->src = w->had;
        w->src.reason = w->reason;
        w->src.state = ILKI_SOURCE_FAILED;
        w->drop_items = false;
    }
    for (size_t m = 0; event != ILK_EVENT_INDEXED && w->vectors && m < w->n_models; m++) {
        free(w->vectors[m]);
        w->vectors[m] = NULL;
    }
    if (ilki_engine_work_push(&g->done, w))
        return ILK_OK;
fail:
    ilki_engine_work_free(w);
    return ilki_base_fail_memory(err, sizeof *w, "a file");
}

/* ------------------------------------------------------------------ embedding */

typedef struct slice {
    ilki_file_work *w;
    size_t passage;
} slice;

/* The next passages without a vector of model m, at most g->group. */
static size_t next_slices(const ilki_ingest *g, size_t m, slice *to)
{
    size_t n = 0;
    for (size_t i = 0; i < g->open.n && n < g->group; i++)
        for (size_t k = 0; k < g->open.list[i]->n_passages && n < g->group; k++)
            if (g->open.list[i]->passages[k].todo >> m & 1)
                to[n++] = (slice){g->open.list[i], k};
    return n;
}

const char *ilki_engine_passage_text(ilki_arena *a, const ilki_file_work *w, const ilki_passage *p, size_t *n)
{
    const char *text = w->doc->text + p->start;
    size_t len = p->end - p->start, n_context = strlen(p->context);
    *n = len;
    if (!p->prepend)
        return text;
    char *both = ilki_base_arena_alloc(a, n_context + 1 + len, 1);
    if (!both)
        return NULL;
    memcpy(both, p->context, n_context);
    both[n_context] = '\n';
    memcpy(both + n_context + 1, text, len);
    *n = n_context + 1 + len;
    return both;
}

/* Vectors of model m to their passages, which lack it no longer. */
static ilk_status take_vectors(ilki_ingest *g, size_t m, const slice *s, size_t n, const ilk_vectors *v, ilk_error *err)
{
    for (size_t i = 0; i < n; i++) {
        ilki_file_work *w = s[i].w;
        ilki_passage *p = &w->passages[s[i].passage];
        memcpy(w->vectors[m] + s[i].passage * v->dim, v->data + i * v->dim, v->dim * sizeof *v->data);
        p->todo &= ~(1U << m);
        w->n_embedded += p->todo == 0;
        if (p->picture)
            ilki_engine_drop_rows(g, w, m);
        else if (m == g->measure)
            w->n_tokens += v->state[i].n_tokens;
        if (!v->state[i].status || w->failure)
            continue;
        char text[512];
        const char *why = v->state[i].message ? v->state[i].message : ilk_status_string(v->state[i].status);
        if (p->picture)
            snprintf(text, sizeof text, "%s", why);
        else
            snprintf(text, sizeof text, "passage %zu: %s", s[i].passage, why);
        w->failure = v->state[i].status;
        free(w->reason);
        w->reason = ilki_base_strndup(text, strlen(text));
        if (!w->reason)
            return ilki_base_fail_memory(err, sizeof text, "a reason");
    }
    return ILK_OK;
}

/* One model over one group. */
static ilk_status embed_with(ilki_ingest *g, size_t m, const ilk_input *const *inputs, const slice *s, size_t n,
                             ilk_error *err)
{
    ilki_embed_plan plan;
    ilk_embed_options opt = {.size = sizeof opt};
    ilk_vectors *v = NULL;
    ilk_status st = ilki_embed_make_plan(g->models[m], &opt, &plan, err);
    plan.quiet = true; /* progress is told in files */
    if (!st)
        st = ilki_embed_vectors_new(&v, n, plan.dim, err);
    if (!st)
        st = ilki_embed_batch(g->models[m], inputs, n, &plan, g->job, v, err);
    if (!st)
        st = take_vectors(g, m, s, n, v, err);
    ilki_embed_vectors_free(v);
    return st;
}

static bool is_complete(const ilki_ingest *g, const ilki_file_work *w)
{
    return w->n_embedded == w->n_passages || g->opt->dry_run;
}

/* Files at the front whose passages all have vectors are done. */
static ilk_status close_files(ilki_ingest *g, ilk_error *err)
{
    size_t n = 0;
    ilk_status st = ILK_OK;
    for (; !st && n < g->open.n && is_complete(g, g->open.list[n]); n++) {
        ilki_file_work *w = g->open.list[n];
        char *reason = w->reason;
        w->reason = NULL;
        if (w->picture && !w->failure)
            ilki_engine_join_words(g, w);
        g->done_bytes += w->doc ? w->doc->n_text : 0;
        for (size_t m = 0; w->vectors && m < g->n_models; m++)
            g->done_bytes += w->vectors[m] ? w->n_passages * g->spaces[m]->dim * sizeof(float) : 0;
        if (w->failure && g->opt->strict && !g->strict_status)
            g->strict_status = ilki_base_fail(err, w->failure, "%s: %s", w->src.path, reason);
        const char *why = w->failure || w->picture ? reason : w->doc ? w->doc->note : NULL;
        st = ilki_engine_settle(g, w, w->failure ? ILK_EVENT_FAILED : ILK_EVENT_INDEXED, why, err);
        free(reason);
    }
    drop_first(&g->open, n);
    return st;
}

static ilk_status make_part(ilki_arena *a, const ilki_ingest *g, size_t m, const slice *s, ilk_part *part,
                            ilk_error *err)
{
    *part = (ilk_part){.size = sizeof *part, .kind = ILK_PART_TEXT, .modality = ILK_TEXT};
    if (s->w->passages[s->passage].picture) {
        part->kind = ILK_PART_ROWS;
        part->modality = ILK_IMAGE;
        part->data = s->w->rows[m];
        ilki_embed_rows_shape(g->models[m], ILK_IMAGE, part->shape);
        return ILK_OK;
    }
    part->data = ilki_engine_passage_text(a, s->w, &s->w->passages[s->passage], &part->n_bytes);
    return part->data ? ILK_OK : ilki_base_fail_memory(err, part->n_bytes, "a passage");
}

/* Model m over the next group of what lacks its vector; *n of them. */
static ilk_status embed_one(ilki_ingest *g, size_t m, size_t *n, ilk_error *err)
{
    ilki_arena a = {0};
    slice *s = ilki_base_arena_alloc(&a, g->group, sizeof *s);
    *n = s ? next_slices(g, m, s) : 0;
    ilk_part *parts = ilki_base_arena_alloc(&a, *n, sizeof *parts);
    ilk_input *inputs = ilki_base_arena_alloc(&a, *n, sizeof *inputs);
    const ilk_input **list = ilki_base_arena_alloc(&a, *n, sizeof *list);
    ilk_status st = s && parts && inputs && list ? ILK_OK : ilki_base_fail_memory(err, *n * sizeof *inputs, "passages");
    for (size_t i = 0; !st && i < *n; i++) {
        st = make_part(&a, g, m, &s[i], &parts[i], err);
        inputs[i] = (ilk_input){.size = sizeof *inputs, .parts = &parts[i], .n_parts = 1, .role = ILK_ROLE_DOCUMENT};
        list[i] = &inputs[i];
    }
    if (!st && *n)
        st = embed_with(g, m, list, s, *n, err);
    ilki_base_arena_deinit(&a);
    return st;
}

static ilk_status embed_group(ilki_ingest *g, ilk_error *err)
{
    uint64_t begin = ilki_base_now_ns();
    size_t most = 0, n;
    ilk_status st = ILK_OK;
    for (size_t m = 0; !st && m < g->n_models; m++) {
        st = embed_one(g, m, &n, err);
        most = n > most ? n : most;
    }
    uint64_t each = most ? (ilki_base_now_ns() - begin) / most + 1 : 1;
    uint64_t fit = GROUP_NS / each;
    if (most)
        g->group = fit < MIN_GROUP ? (size_t)MIN_GROUP : fit > MAX_GROUP ? (size_t)MAX_GROUP : (size_t)fit;
    return st ? st : close_files(g, err);
}

static bool commit_is_due(const ilki_ingest *g)
{
    return g->done.n >= MAX_DONE_FILES || g->done_bytes >= MAX_DONE_BYTES ||
           (g->done.n && ilki_base_now_ns() - g->committed_ns > COMMIT_NS);
}

ilk_status ilki_engine_embed_open(ilki_ingest *g, bool all, ilk_error *err)
{
    ilk_status st = close_files(g, err); /* those that had all their vectors */
    while (!st) {
        size_t waiting = 0;
        for (size_t i = 0; i < g->open.n && waiting < g->group; i++)
            waiting += g->open.list[i]->n_passages - g->open.list[i]->n_embedded;
        if (waiting == 0 || (!all && waiting < g->group && g->rows_bytes < MAX_ROWS_BYTES))
            break;
        st = embed_group(g, err);
        ilki_engine_progress(g, false);
        if (!st && commit_is_due(g))
            st = ilki_engine_commit(g, err);
    }
    return !st && commit_is_due(g) ? ilki_engine_commit(g, err) : st;
}

/* ------------------------------------------------------------------ writing */

typedef struct batch_build {
    ilki_arena a;
    ilk_item *items;
    ilki_source *sources;
    const char **deletes;
    size_t n_items, n_sources, n_deletes;
} batch_build;

static ilk_field text_field(const char *name, const char *text, size_t n)
{
    return (ilk_field){.size = sizeof(ilk_field),
                       .name = name,
                       .value = {.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = text, .n_bytes = n}};
}

const ilk_segment ilki_engine_no_place = {
    .size = sizeof(ilk_segment),
    .t0 = (double)__builtin_nanf(""),
    .t1 = (double)__builtin_nanf(""),
    .page = ILK_ABSENT,
    .chunk = ILK_ABSENT,
    .line_first = ILK_ABSENT,
    .line_last = ILK_ABSENT,
    .bbox = {__builtin_nanf(""), __builtin_nanf(""), __builtin_nanf(""), __builtin_nanf("")}};

static ilk_field int_field(const char *name, int64_t i)
{
    return (ilk_field){
        .size = sizeof(ilk_field), .name = name, .value = {.size = sizeof(ilk_value), .type = ILK_VALUE_INT, .i = i}};
}

/* Of what a picture's file says. */
static ilk_field said_field(const ilki_media_field *x)
{
    ilk_value v = {
        .size = sizeof v, .type = x->type, .i = x->i, .d = x->d, .text = x->text, .n_bytes = strlen(x->text)};
    return (ilk_field){.size = sizeof(ilk_field), .name = x->name, .value = v};
}

/* The vectors of passage k that there are. */
static bool add_vectors(batch_build *b, const ilki_ingest *g, const ilki_file_work *w, size_t k, ilk_item *item)
{
    ilk_vector *v = ilki_base_arena_alloc(&b->a, g->n_models, sizeof *v);
    for (size_t m = 0; v && m < g->n_models; m++) {
        uint32_t dim = g->spaces[m]->dim;
        if (w->vectors[m])
            v[item->n_vectors++] = (ilk_vector){
                .size = sizeof *v, .space = g->spaces[m]->name, .data = w->vectors[m] + k * dim, .rows = 1, .dim = dim};
    }
    item->vectors = v;
    return v != NULL;
}

/* A picture is the item of its file: fields and vectors. */
static bool add_picture(batch_build *b, const ilki_ingest *g, const ilki_file_work *w)
{
    const char *title = ilki_base_path_name(w->src.path);
    ilk_field *f = ilki_base_arena_alloc(&b->a, 9 + ILKI_MEDIA_MAX_FIELDS, sizeof *f);
    ilk_item *item = &b->items[b->n_items++];
    *item = (ilk_item){.size = sizeof *item, .id = w->src.id, .segment = ilki_engine_no_place, .fields = f};
    if (!f || !add_vectors(b, g, w, 0, item))
        return false;
    f[item->n_fields++] = text_field("modality", "image", 5);
    f[item->n_fields++] = text_field("kind", w->picture, strlen(w->picture));
    if (ilki_base_utf8_valid(title, strlen(title)))
        f[item->n_fields++] = text_field("title", title, strlen(title));
    f[item->n_fields++] = int_field("bytes", (int64_t)w->src.n_bytes);
    f[item->n_fields++] = int_field("width", w->width);
    f[item->n_fields++] = int_field("height", w->height);
    if (g->ocr)
        f[item->n_fields++] = text_field(ILKI_FIELD_OCR, g->ocr, strlen(g->ocr));
    if (g->no_exif)
        f[item->n_fields++] = (ilk_field){
            .size = sizeof *f, .name = ILKI_FIELD_EXIF, .value = {.size = sizeof(ilk_value), .type = ILK_VALUE_BOOL}};
    if (w->doc)
        f[item->n_fields++] = text_field("text", w->doc->text, w->doc->n_text);
    for (size_t i = 0; w->about && i < w->about->n; i++)
        f[item->n_fields++] = said_field(&w->about->list[i]);
    memcpy(item->content_hash, w->passages[0].hash, 32);
    return true;
}

/* The item of the file itself: fields, no vector. */
static bool add_parent(batch_build *b, const ilki_file_work *w)
{
    const char *name = ilki_base_path_name(w->src.path), *title = w->doc->title ? w->doc->title : name;
    ilk_field *f = ilki_base_arena_alloc(&b->a, 4, sizeof *f);
    ilk_item *item = &b->items[b->n_items++];
    if (!f)
        return false;
    *item = (ilk_item){.size = sizeof *item, .id = w->src.id, .segment = ilki_engine_no_place, .fields = f};
    f[item->n_fields++] = text_field("modality", "text", 4);
    f[item->n_fields++] = text_field("kind", w->doc->kind, strlen(w->doc->kind));
    if (ilki_base_utf8_valid(title, strlen(title)))
        f[item->n_fields++] = text_field("title", title, strlen(title));
    if (w->doc->language)
        f[item->n_fields++] = text_field("language", w->doc->language, strlen(w->doc->language));
    memcpy(item->content_hash, w->src.content_hash, 32);
    return true;
}

static bool add_passage(batch_build *b, const ilki_ingest *g, const ilki_file_work *w, size_t k)
{
    const ilki_passage *p = &w->passages[k];
    ilk_item *item = &b->items[b->n_items++];
    char id[64];
    snprintf(id, sizeof id, "%s#%zu", w->src.id, k);
    ilk_field *f = ilki_base_arena_alloc(&b->a, 5, sizeof *f);
    *item = (ilk_item){.size = sizeof *item, .parent = w->src.id, .segment = ilki_engine_no_place, .fields = f};
    item->id = ilki_base_arena_strndup(&b->a, id, strlen(id));
    if (!item->id || !f || !add_vectors(b, g, w, k, item))
        return false;
    item->segment.chunk = (uint32_t)k;
    if (p->line_first) {
        item->segment.line_first = p->line_first;
        item->segment.line_last = p->line_last;
    }
    if (p->page)
        item->segment.page = p->page;
    f[item->n_fields++] = text_field("text", w->doc->text + p->start, p->end - p->start);
    f[item->n_fields++] = text_field("modality", "text", 4);
    f[item->n_fields++] = text_field("kind", w->doc->kind, strlen(w->doc->kind));
    if (*p->context)
        f[item->n_fields++] = text_field("context", p->context, strlen(p->context));
    if (w->doc->language)
        f[item->n_fields++] = text_field("language", w->doc->language, strlen(w->doc->language));
    memcpy(item->content_hash, p->hash, 32);
    return true;
}

static bool add_file(batch_build *b, const ilki_ingest *g, ilki_file_work *w)
{
    bool ok = true;
    if (w->drop_items)
        b->deletes[b->n_deletes++] = w->src.id;
    if (w->event == ILK_EVENT_INDEXED) {
        w->src.state = ILKI_SOURCE_INDEXED;
        w->src.n_items = w->picture ? 1 : (uint32_t)w->n_passages;
        ok = w->picture ? add_picture(b, g, w) : add_parent(b, w);
        for (size_t k = 0; ok && !w->picture && k < w->n_passages; k++)
            ok = add_passage(b, g, w, k);
    }
    b->sources[b->n_sources++] = w->src;
    return ok;
}

/* Told only now that it is durable. */
static void tell_file(ilki_ingest *g, ilki_file_work *w)
{
    bool made = w->event == ILK_EVENT_INDEXED;
    ilk_event e = {.size = sizeof e, .kind = w->event, .path = w->src.path, .reason = w->reason};
    if (made) {
        e.n_chunks = w->picture ? 0 : w->n_passages;
        e.n_tokens = w->n_tokens;
        g->result->n_chunks += e.n_chunks;
        g->result->n_pictures += w->picture != NULL;
        g->result->n_tokens += w->n_tokens;
        g->result->n_bytes += w->src.n_bytes;
    }
    ilki_engine_tell(g->opt, g->result, &e);
    g->n_settled++;
}

ilk_status ilki_engine_commit(ilki_ingest *g, ilk_error *err)
{
    batch_build b = {.n_items = 0};
    size_t n_items = 0;
    for (size_t i = 0; i < g->done.n; i++)
        n_items += g->done.list[i]->event == ILK_EVENT_INDEXED ? g->done.list[i]->n_passages + 1 : 0;
    b.items = ilki_base_arena_alloc(&b.a, n_items, sizeof *b.items);
    b.sources = ilki_base_arena_alloc(&b.a, g->done.n, sizeof *b.sources);
    b.deletes = ilki_base_arena_alloc(&b.a, g->done.n, sizeof *b.deletes);
    bool ok = b.items && b.sources && b.deletes;
    for (size_t i = 0; ok && !g->opt->dry_run && i < g->done.n; i++)
        ok = add_file(&b, g, g->done.list[i]);
    ilki_batch batch = {.deletes = b.deletes,
                        .n_deletes = b.n_deletes,
                        .items = b.items,
                        .n_items = b.n_items,
                        .sources = b.sources,
                        .n_sources = b.n_sources};
    if (!g->ensured && b.n_items) {
        batch.spaces = g->own;
        batch.n_spaces = g->n_models;
    }
    ilk_status st = ok ? ILK_OK : ilki_base_fail_memory(err, n_items * sizeof *b.items, "a batch");
    /* without the job: what is done is kept also by a call that was cancelled */
    if (!st && g->done.n && !g->opt->dry_run)
        st = g->s->backend->type->upsert(g->s->backend, &batch, NULL, err);
    if (!st) {
        g->ensured |= batch.n_spaces > 0;
        for (size_t i = 0; i < g->done.n; i++) {
            ilki_engine_known_keep(&g->known, g->done.list[i]->known, &g->done.list[i]->src);
            tell_file(g, g->done.list[i]);
            ilki_engine_work_free(g->done.list[i]);
        }
        g->done.n = 0;
        g->done_bytes = 0;
        g->committed_ns = ilki_base_now_ns();
    }
    ilki_base_arena_deinit(&b.a);
    return st;
}
