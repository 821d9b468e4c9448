/* SPDX-License-Identifier: Apache-2.0
 * Retrieval over a folder of the BEIR layout. Judged queries are embedded first and stay in memory; the corpus is a
 * stream of batches, each embedded, scored against every query and forgotten, so that memory grows with queries times k
 * and with the documents' ids, not with their texts or vectors. A heap per query keeps the k best under trec_eval's total
 * order: a tie at the cut falls as trec_eval would have it. The ranking does not depend on batches or threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "tasks/tasks.h"
#include "tasks/texts.h"
#include "tasks/trec.h"

#define BATCH_DOCS    2048
#define BATCH_BYTES   ((size_t)8 << 20)
#define TASK_QUERIES  8
#define MAX_TEXT      ((size_t)1 << 30)
#define DEFAULT_DEPTH 100

/* Where a document stands in corpus.jsonl, to be read again for a reranker. */
typedef struct place {
    uint64_t offset;
    size_t n;
} place;

typedef struct retrieval {
    ilk_runtime *rt;
    const ilki_vfs *vfs;
    ilk_model *m;
    const ilk_eval_options *opt;
    ilk_job *job;
    ilki_notes notes;
    ilki_judgements judged;
    ilki_ranking run;
    char *corpus_path, *queries_path;
    size_t k;

    ilki_buf query_text; /* one behind the other */
    size_t *query_at;    /* [run.queries.n + 1] */
    ilk_vectors *queries;
    bool dot; /* the similarity is a dot product of the vectors as they are */

    ilki_ranked *heap; /* [queries][k], the worst kept one on top */
    size_t *n_kept;    /* [queries] */
    place *places;     /* [run.docs.n] */
    size_t cap_places;
} retrieval;

/* ------------------------------------------------------------------ JSON lines */

typedef struct record {
    ilki_json *json;
    const char *id, *text, *title;
    size_t n_id, n_text, n_title;
    char number[32];
} record;

/* A line as {"_id", "text", "title"?}; `*what` says what is wrong with it, NULL: nothing. */
static ilk_status read_record(record *r, const char *s, size_t n, const char **what, ilk_error *err)
{
    static const ilki_json_limits limits = {.max_depth = 64};
    ilk_error why;
    int64_t number;
    ilk_error_init(&why);
    *r = (record){0};
    *what = "expected a JSON object {\"_id\", \"text\"}";
    ilk_status st = ilki_base_json_parse(&r->json, s, n, "line", &limits, &why);
    if (st == ILK_NO_MEMORY)
        return ilki_base_fail(err, st, "%s", why.message);
    if (st != ILK_OK)
        return ILK_OK;
    ilki_json_node root = ilki_base_json_root(r->json), id = ilki_base_json_get(r->json, root, "_id");
    r->id = ilki_base_json_string(r->json, id, &r->n_id);
    if (!r->id && ilki_base_json_int(r->json, id, INT64_MIN, INT64_MAX, &number)) {
        ilki_buf b;
        ilki_base_buf_init(&b, sizeof r->number);
        ilki_base_buf_addf(&b, "%lld", (long long)number);
        r->n_id = b.len;
        memcpy(r->number, ilki_base_buf_view(&b), b.len + 1);
        ilki_base_buf_deinit(&b);
        r->id = r->number;
    }
    r->text = ilki_base_json_string(r->json, ilki_base_json_get(r->json, root, "text"), &r->n_text);
    r->title = ilki_base_json_string(r->json, ilki_base_json_get(r->json, root, "title"), &r->n_title);
    if (!r->id || !ilki_tasks_is_id(r->id, r->n_id))
        *what = "expected a string \"_id\" of 1 to 4096 bytes without a NUL";
    else if (!r->text)
        *what = "expected a string \"text\"";
    else
        *what = NULL;
    return ILK_OK;
}

/* The next line that is one, *n bytes of it, 0 at the end; what is none is told. rec->json is the caller's. */
static ilk_status next_record(retrieval *r, ilki_lines *l, record *rec, size_t *n, ilk_error *err)
{
    const char *text, *what;
    ilk_status st;
    while ((st = ilki_tasks_lines_next(l, &text, n, err)) == ILK_OK && text) {
        if (*n == 0 && !l->too_long)
            continue;
        *rec = (record){0};
        what = "a line of more than 32 MiB";
        st = l->too_long ? ILK_OK : read_record(rec, text, *n, &what, err);
        if (st == ILK_OK && !what)
            return ILK_OK;
        ilki_base_json_free(rec->json);
        if (st == ILK_OK)
            st = ilki_tasks_junk(&r->notes, l->path, l->line, err, "%s", what);
        if (st != ILK_OK)
            return st;
    }
    *n = 0;
    return st;
}

/* Title and text with a blank between, white space around them gone: as BEIR's loader hands them to a model. */
static void add_text(ilki_buf *b, const record *r)
{
    size_t from = b->len;
    if (r->n_title) {
        ilki_base_buf_add(b, r->title, r->n_title);
        ilki_base_buf_addc(b, ' ');
    }
    ilki_base_buf_add(b, r->text, r->n_text);
    if (b->failed)
        return;
    size_t skip = 0;
    while (b->len > from && ilki_tasks_is_space(b->data[b->len - 1]))
        b->len--;
    while (from + skip < b->len && ilki_tasks_is_space(b->data[from + skip]))
        skip++;
    memmove(b->data + from, b->data + from + skip, b->len - from - skip);
    ilki_base_buf_truncate(b, b->len - skip);
}

/* ------------------------------------------------------------------ queries */

static ilk_status add_query(retrieval *r, const ilki_lines *l, const record *rec, ilk_error *err)
{
    uint32_t number;
    bool fresh;
    if (ilki_tasks_ids_find(&r->judged.queries, rec->id, rec->n_id) == ILKI_MAP_NONE)
        return ILK_OK; /* of another split */
    ilk_status st = ilki_tasks_ids_add(&r->run.queries, rec->id, rec->n_id, &number, &fresh, err);
    if (st != ILK_OK)
        return st;
    if (!fresh)
        return ilki_tasks_junk(&r->notes, l->path, l->line, err, "query %s is there already: the first one counts",
                               r->run.queries.name[number]);
    r->query_at[number] = r->query_text.len;
    ilki_base_buf_add(&r->query_text, rec->text, rec->n_text);
    r->query_at[number + 1] = r->query_text.len;
    return ilki_base_buf_check(&r->query_text, "queries", err);
}

static ilk_status read_queries(retrieval *r, ilk_error *err)
{
    ilki_lines l;
    record rec;
    size_t n;
    r->query_at = ilki_base_zalloc(r->judged.queries.n + 1, sizeof *r->query_at);
    if (!r->query_at)
        return ilki_base_fail_memory(err, r->judged.queries.n * sizeof *r->query_at, "queries");
    ilk_status st = ilki_tasks_lines_open(&l, r->vfs, r->queries_path, err);
    while (st == ILK_OK && (st = next_record(r, &l, &rec, &n, err)) == ILK_OK && n) {
        st = add_query(r, &l, &rec, err);
        ilki_base_json_free(rec.json);
    }
    ilki_tasks_lines_close(&l);
    if (st == ILK_OK && r->run.queries.n == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected the %zu queries that are judged, found none",
                            r->queries_path, r->judged.queries.n);
    if (st == ILK_OK && r->run.queries.n < r->judged.queries.n)
        ilki_tasks_note(&r->notes, "%s: %zu of %zu judged queries are not there", r->queries_path,
                        r->judged.queries.n - r->run.queries.n, r->judged.queries.n);
    return st;
}

static ilk_status embed_queries(retrieval *r, ilk_error *err)
{
    size_t n = r->run.queries.n, n_heap;
    bool cosine = strcmp(r->m->info.similarity, "cosine") == 0;
    ilki_texts_how how = {
        .role = ILK_ROLE_QUERY, .prompt = r->opt->prompt_query, .dim = r->opt->dim, .normalize = cosine};
    ilki_text *texts = ilki_base_zalloc(n, sizeof *texts);
    r->n_kept = ilki_base_zalloc(n, sizeof *r->n_kept);
    if (!ilki_base_mul(n, r->k, &n_heap))
        n_heap = SIZE_MAX / 2;
    r->heap = ilki_base_zalloc(n_heap, sizeof *r->heap);
    ilk_status st = texts && r->n_kept && r->heap ? ILK_OK
                                                  : ilki_base_fail_memory(err, n_heap * sizeof *r->heap, "rankings");
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        texts[i] = (ilki_text){ilki_base_buf_view(&r->query_text) + r->query_at[i],
                               r->query_at[i + 1] - r->query_at[i]};
    r->dot = cosine || strcmp(r->m->info.similarity, "dot") == 0;
    ilki_base_job_progress(r->job, "queries", "texts", 0, n, 0, false);
    if (st == ILK_OK)
        st = ilki_tasks_embed(r->m, texts, n, &how, r->job, &r->queries, err);
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        if (r->queries->state[i].status != ILK_OK)
            st = ilki_tasks_junk(&r->notes, r->queries_path, 0, err, "query %s: %s", r->run.queries.name[i],
                                 r->queries->state[i].message ? r->queries->state[i].message : "not embedded");
    free(texts);
    return st;
}

/* ------------------------------------------------------------------ the corpus */

typedef struct batch {
    ilki_buf text;
    size_t at[BATCH_DOCS + 1];
    uint32_t doc[BATCH_DOCS];
    uint64_t line[BATCH_DOCS];
    size_t n;
} batch;

/* What a thread does with a batch: scores of some queries against all of it. */
typedef struct scoring {
    retrieval *r;
    const batch *b;
    const ilk_vectors *docs;
    float *scores; /* [threads][BATCH_DOCS] */
} scoring;

static void keep(retrieval *r, size_t q, ilki_ranked one)
{
    ilki_ranked *heap = r->heap + q * r->k;
    const ilki_ids *docs = &r->run.docs;
    size_t at = r->n_kept[q];
    if (at < r->k) { /* up */
        r->n_kept[q]++;
        for (size_t up; at && ilki_tasks_before(docs, heap[up = (at - 1) / 2], one); at = up)
            heap[at] = heap[up];
        heap[at] = one;
        return;
    }
    if (!ilki_tasks_before(docs, one, heap[0]))
        return;
    at = 0;
    for (size_t child; (child = 2 * at + 1) < r->k; at = child) {
        if (child + 1 < r->k && ilki_tasks_before(docs, heap[child], heap[child + 1]))
            child++;
        if (!ilki_tasks_before(docs, one, heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = one;
}

static void score_queries(void *arg, size_t index, unsigned slot)
{
    const scoring *s = arg;
    retrieval *r = s->r;
    float *scores = s->scores + (size_t)slot * BATCH_DOCS;
    size_t dim = s->docs->dim, last = (index + 1) * TASK_QUERIES;
    last = last < r->run.queries.n ? last : r->run.queries.n;
    for (size_t q = index * TASK_QUERIES; q < last; q++) {
        const float *v = r->queries->data + q * dim;
        if (r->queries->state[q].status != ILK_OK)
            continue;
        if (r->dot)
            r->rt->ops->dot_f32_rows(scores, v, s->docs->data, dim, s->docs->n, dim);
        for (size_t i = 0; i < s->docs->n; i++) {
            if (!r->dot && ilki_embed_similarity(r->m, v, s->docs->data + i * dim, dim, &scores[i], NULL) != ILK_OK)
                continue;
            if (s->docs->state[i].status == ILK_OK && isfinite(scores[i]))
                keep(r, q, (ilki_ranked){s->b->doc[i], scores[i]});
        }
    }
}

static ilk_status run_batch(retrieval *r, batch *b, float *scores, ilk_error *err)
{
    bool cosine = strcmp(r->m->info.similarity, "cosine") == 0;
    ilki_texts_how how = {
        .role = ILK_ROLE_DOCUMENT, .prompt = r->opt->prompt_document, .dim = r->opt->dim, .normalize = cosine};
    ilki_text texts[BATCH_DOCS];
    ilk_vectors *v = NULL;
    ilk_status st = ilki_base_buf_check(&b->text, "documents", err);
    for (size_t i = 0; i < b->n; i++)
        texts[i] = (ilki_text){ilki_base_buf_view(&b->text) + b->at[i], b->at[i + 1] - b->at[i]};
    if (st == ILK_OK)
        st = ilki_tasks_embed(r->m, texts, b->n, &how, r->job, &v, err);
    for (size_t i = 0; st == ILK_OK && i < b->n; i++)
        if (v->state[i].status != ILK_OK)
            st = ilki_tasks_junk(&r->notes, r->corpus_path, b->line[i], err, "%s",
                                 v->state[i].message ? v->state[i].message : "not embedded");
    if (st == ILK_OK && b->n) {
        size_t n_queries = r->run.queries.n;
        scoring s = {r, b, v, scores};
        ilki_run run = {.fn = score_queries,
                        .arg = &s,
                        .n_tasks = (n_queries + TASK_QUERIES - 1) / TASK_QUERIES,
                        .cost_ns = (uint64_t)n_queries * b->n * (v->dim / 8 + 1),
                        .job = r->job};
        st = ilki_base_pool_run(r->rt->pool, &run, err);
    }
    ilki_embed_vectors_free(v);
    ilki_base_buf_reset(&b->text);
    b->n = 0;
    return st;
}

static ilk_status add_document(retrieval *r, batch *b, const ilki_lines *l, const record *rec, size_t n, ilk_error *err)
{
    uint32_t number;
    bool fresh;
    ilk_status st = ilki_tasks_ids_add(&r->run.docs, rec->id, rec->n_id, &number, &fresh, err);
    if (st != ILK_OK)
        return st;
    if (!fresh)
        return ilki_tasks_junk(&r->notes, l->path, l->line, err, "document %s is there already: the first one counts",
                               r->run.docs.name[number]);
    if (number >= r->cap_places) {
        size_t cap = r->cap_places ? r->cap_places * 2 : 1024;
        place *places = realloc(r->places, cap * sizeof *places);
        if (!places)
            return ilki_base_fail_memory(err, cap * sizeof *places, "documents");
        r->places = places;
        r->cap_places = cap;
    }
    r->places[number] = (place){l->offset, n};
    b->at[b->n] = b->text.len;
    b->doc[b->n] = number;
    b->line[b->n] = l->line;
    add_text(&b->text, rec);
    b->at[++b->n] = b->text.len;
    return ILK_OK;
}

static ilk_status read_corpus(retrieval *r, batch *b, float *scores, ilk_error *err)
{
    ilki_lines l;
    record rec;
    size_t n;
    ilk_status st = ilki_tasks_lines_open(&l, r->vfs, r->corpus_path, err);
    while (st == ILK_OK && (st = next_record(r, &l, &rec, &n, err)) == ILK_OK && n) {
        st = add_document(r, b, &l, &rec, n, err);
        ilki_base_json_free(rec.json);
        if (st == ILK_OK && (b->n == BATCH_DOCS || b->text.len >= BATCH_BYTES)) {
            st = run_batch(r, b, scores, err);
            ilki_base_job_progress(r->job, "corpus", "bytes", l.offset, l.size, r->notes.n_junk, false);
        }
    }
    if (st == ILK_OK)
        st = run_batch(r, b, scores, err);
    if (st == ILK_OK)
        ilki_base_job_progress(r->job, "corpus", "bytes", l.size, l.size, r->notes.n_junk, true);
    ilki_tasks_lines_close(&l);
    if (st == ILK_OK && r->run.docs.n == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected documents {\"_id\", \"text\"}, found none",
                            r->corpus_path);
    return st;
}

static ilk_status search_corpus(retrieval *r, ilk_error *err)
{
    unsigned threads = ilki_base_pool_threads(r->rt->pool);
    batch *b = ilki_base_zalloc(1, sizeof *b);
    float *scores = ilki_base_zalloc((size_t)threads * BATCH_DOCS, sizeof *scores);
    ilk_status st = b && scores ? ILK_OK : ilki_base_fail_memory(err, sizeof *b, "a batch");
    if (b)
        ilki_base_buf_init(&b->text, MAX_TEXT);
    if (st == ILK_OK)
        st = read_corpus(r, b, scores, err);
    if (b)
        ilki_base_buf_deinit(&b->text);
    free(b);
    free(scores);
    return st;
}

/* Heaps to rankings. */
static ilk_status take_rankings(retrieval *r, ilk_error *err)
{
    ilki_ranking *run = &r->run;
    size_t n = 0;
    run->first = ilki_base_zalloc(run->queries.n + 1, sizeof *run->first);
    if (!run->first)
        return ilki_base_fail_memory(err, run->queries.n * sizeof *run->first, "rankings");
    for (size_t q = 0; q < run->queries.n; q++) {
        ilki_tasks_sort(&run->docs, r->heap + q * r->k, r->n_kept[q]);
        memmove(r->heap + n, r->heap + q * r->k, r->n_kept[q] * sizeof *r->heap);
        n += r->n_kept[q];
        run->first[q + 1] = n;
    }
    run->ranked = r->heap;
    run->n = n;
    r->heap = NULL;
    return ILK_OK;
}

/* ------------------------------------------------------------------ the second look */

/* Texts of list[0, n) again, one behind the other. */
static ilk_status read_again(retrieval *r, ilki_file *f, const ilki_ranked *list, size_t n, ilki_buf *line,
                             ilki_buf *all, size_t *at, ilk_error *err)
{
    ilk_status st = ILK_OK;
    ilki_base_buf_reset(all);
    at[0] = 0;
    for (size_t i = 0; i < n && st == ILK_OK; i++) {
        record rec = {0};
        const char *what = NULL;
        st = ilki_tasks_read_at(f, r->places[list[i].doc].offset, r->places[list[i].doc].n, line, err);
        if (st == ILK_OK)
            st = read_record(&rec, ilki_base_buf_view(line), line->len, &what, err);
        if (st == ILK_OK && what)
            st = ilki_base_fail(err, ILK_IO, "%s: changed while it was read", r->corpus_path);
        if (st == ILK_OK)
            add_text(all, &rec);
        ilki_base_json_free(rec.json);
        at[i + 1] = all->len;
    }
    return st == ILK_OK ? ilki_base_buf_check(all, "documents", err) : st;
}

static ilk_status rerank_query(retrieval *r, size_t q, ilki_ranked *list, const ilki_buf *all, const size_t *at,
                               size_t n, ilk_error *err)
{
    ilki_text *docs = ilki_base_zalloc(n, sizeof *docs);
    float *scores = ilki_base_zalloc(n, sizeof *scores);
    ilki_text query = {ilki_base_buf_view(&r->query_text) + r->query_at[q], r->query_at[q + 1] - r->query_at[q]};
    ilk_status st = docs && scores ? ILK_OK : ilki_base_fail_memory(err, n * sizeof *docs, "documents");
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        docs[i] = (ilki_text){ilki_base_buf_view(all) + at[i], at[i + 1] - at[i]};
    if (st == ILK_OK)
        st = ilki_tasks_rerank(r->opt->reranker, query, docs, n, r->job, scores, err);
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        list[i].score = scores[i];
    if (st == ILK_OK)
        ilki_tasks_sort(&r->run.docs, list, n);
    free(docs);
    free(scores);
    return st;
}

static ilk_status rerank(retrieval *r, ilk_error *err)
{
    size_t top = r->opt->top ? r->opt->top : DEFAULT_DEPTH, to = 0, from = 0;
    ilki_ranking *run = &r->run;
    ilki_buf line, all;
    ilki_file *f = NULL;
    ilki_base_buf_init(&line, 2 * ILKI_TASKS_LINE);
    ilki_base_buf_init(&all, (size_t)4 << 30);
    size_t *at = ilki_base_zalloc(top + 1, sizeof *at);
    ilk_status st = at ? r->vfs->open(r->vfs, &f, r->corpus_path, ILKI_OPEN_READ, err)
                       : ilki_base_fail_memory(err, top * sizeof *at, "documents");
    for (size_t q = 0; q < run->queries.n && st == ILK_OK; q++) {
        size_t n = run->first[q + 1] - from;
        n = n < top ? n : top;
        ilki_ranked *list = run->ranked + to;
        memmove(list, run->ranked + from, n * sizeof *list);
        st = read_again(r, f, list, n, &line, &all, at, err);
        if (st == ILK_OK && n)
            st = rerank_query(r, q, list, &all, at, n, err);
        from = run->first[q + 1];
        run->first[q + 1] = to += n;
        ilki_base_job_progress(r->job, "rerank", "queries", q + 1, run->queries.n, 0, q + 1 == run->queries.n);
    }
    run->n = to;
    if (f)
        f->vfs->close(f);
    free(at);
    ilki_base_buf_deinit(&line);
    ilki_base_buf_deinit(&all);
    return st;
}

/* ------------------------------------------------------------------ a call */

static void set_cuts(ilk_eval_scores *s, size_t k)
{
    static const uint32_t usual[] = {1, 5, 10, 20, 50, 100, 1000};
    s->size = sizeof *s;
    s->n_cuts = 0;
    bool there = false;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (usual[i] >= k && !there) {
            s->cuts[s->n_cuts++] = (uint32_t)k;
            there = true;
        }
        if (usual[i] < k || (usual[i] == 10 && k != 10))
            s->cuts[s->n_cuts++] = usual[i];
    }
    if (!there)
        s->cuts[s->n_cuts++] = (uint32_t)k;
}

struct split_list {
    ilki_buf names;
};

static bool add_split(void *user, const char *name, ilki_file_type type)
{
    struct split_list *l = user;
    size_t n = strlen(name);
    (void)type;
    if (n > 4 && strcmp(name + n - 4, ".tsv") == 0)
        ilki_base_buf_addf(&l->names, "%s%.*s", l->names.len ? ", " : "", (int)(n - 4), name);
    return true;
}

/* DIR/qrels/SPLIT.tsv, or DIR itself where it is a file. */
static ilk_status read_judged(retrieval *r, const char *dir, ilk_error *err)
{
    const char *split = r->opt->split ? r->opt->split : "test";
    ilki_stat info;
    ilk_status st = r->vfs->stat(r->vfs, dir, true, &info, err);
    if (st != ILK_OK)
        return st;
    if (info.type != ILKI_FILE_DIR)
        return ilki_tasks_read_judgements(&r->judged, r->vfs, dir, &r->notes, err);
    if (strchr(split, '/'))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "split: expected a name, found \"%s\"", split);
    struct split_list there;
    ilki_base_buf_init(&there.names, 4096);
    char *folder = ilki_base_path_join(dir, "qrels"), *path = NULL;
    if (folder) {
        ilki_buf name;
        ilki_base_buf_init(&name, 4096);
        ilki_base_buf_addf(&name, "%s.tsv", split);
        st = ilki_base_buf_check(&name, "the name of a split", err);
        path = st ? NULL : ilki_base_path_join(folder, ilki_base_buf_view(&name));
        ilki_base_buf_deinit(&name);
    }
    if (st == ILK_OK && !path)
        st = ilki_base_fail_memory(err, strlen(dir), "a path");
    else if (st == ILK_OK)
        st = ilki_tasks_read_judgements(&r->judged, r->vfs, path, &r->notes, err);
    if (st == ILK_NOT_FOUND) {
        (void)r->vfs->list(r->vfs, folder, add_split, &there, NULL);
        st = ilki_base_fail(err, ILK_NOT_FOUND, "%s: expected judgements of split \"%s\", found %s%s", path, split,
                            there.names.len ? "" : "none at all", ilki_base_buf_view(&there.names));
    }
    ilki_base_buf_deinit(&there.names);
    free(folder);
    free(path);
    return st;
}

/* Judged documents that nobody could have found. */
static void note_unknown(retrieval *r)
{
    size_t n = 0;
    const char *one = NULL;
    for (size_t i = 0; i < r->judged.docs.n; i++) {
        const char *name = r->judged.docs.name[i];
        if (ilki_tasks_ids_find(&r->run.docs, name, strlen(name)) != ILKI_MAP_NONE)
            continue;
        n++;
        one = one ? one : name;
    }
    if (n)
        ilki_tasks_note(&r->notes, "%zu judged documents are not in the corpus, %s among them: they count as not found",
                        n, one);
}

static ilk_status make_run(retrieval *r, const char *dir, ilk_error *err)
{
    if (!r->m)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_eval_retrieval: expected a model or a run to read");
    r->corpus_path = ilki_base_path_join(dir, "corpus.jsonl");
    r->queries_path = ilki_base_path_join(dir, "queries.jsonl");
    ilk_status st = r->corpus_path && r->queries_path ? ILK_OK : ilki_base_fail_memory(err, strlen(dir), "a path");
    if (st == ILK_OK)
        st = read_queries(r, err);
    if (st == ILK_OK)
        st = embed_queries(r, err);
    if (st == ILK_OK)
        st = search_corpus(r, err);
    if (st == ILK_OK)
        st = take_rankings(r, err);
    if (st == ILK_OK)
        note_unknown(r);
    return st == ILK_OK && r->opt->reranker ? rerank(r, err) : st;
}

static void deinit(retrieval *r)
{
    ilki_tasks_judgements_deinit(&r->judged);
    ilki_tasks_ranking_deinit(&r->run);
    ilki_embed_vectors_free(r->queries);
    ilki_base_buf_deinit(&r->query_text);
    free(r->corpus_path);
    free(r->queries_path);
    free(r->query_at);
    free(r->heap);
    free(r->n_kept);
    free(r->places);
}

ilk_status ilki_tasks_retrieval(ilk_runtime *rt, ilk_model *m, const char *dir, const ilk_eval_options *opt,
                                ilk_job *job, ilk_eval_result *result, ilk_error *err)
{
    retrieval r = {.rt = rt,
                   .vfs = rt->vfs,
                   .m = m,
                   .opt = opt,
                   .job = job,
                   .notes = {.fn = opt->note, .user = opt->user, .strict = opt->strict != 0},
                   .k = opt->k ? opt->k : DEFAULT_DEPTH};
    uint64_t start = ilki_base_now_ns();
    ilki_base_buf_init(&r.query_text, MAX_TEXT);
    set_cuts(&result->mean, r.k);
    ilk_status st = read_judged(&r, dir, err);
    if (st == ILK_OK)
        st = opt->run_in ? ilki_tasks_read_run(&r.run, r.vfs, opt->run_in, &r.notes, err) : make_run(&r, dir, err);
    if (st == ILK_OK && opt->run_out)
        st = ilki_tasks_write_run(&r.run, r.vfs, opt->run_out, opt->tag ? opt->tag : "ilk", err);
    if (st == ILK_OK) {
        ilki_tasks_evaluate(&r.run, &r.judged, opt->complete != 0, opt->each, opt->user, result);
        result->n_documents = r.run.docs.n;
        result->n_junk = r.notes.n_junk;
        result->seconds = (double)(ilki_base_now_ns() - start) * 1e-9;
        if (result->n_queries == 0)
            st = ilki_base_fail(err, ILK_MISMATCH, "%s: expected judged queries in the run, found none", dir);
    }
    deinit(&r);
    return st;
}
