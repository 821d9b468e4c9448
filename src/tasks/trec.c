/* SPDX-License-Identifier: Apache-2.0
 * Measures as trec_eval 9 computes them (checked against pytrec_eval, tools/make_eval_goldens.py):
 *
 *   order       score as f32, descending; equal scores by document id, descending as strcmp has it; ranks are not read
 *   relevant    grade >= 1; R counts them over the judgements, retrieved or not
 *   recall@k    relevant among the first k / R
 *   MAP         sum over relevant ranks i of (relevant among the first i) / i, divided by R
 *   MRR         1 / rank of the first relevant
 *   nDCG@k      DCG over the first k of grade / log2(rank + 1), grades below 1 count nothing; divided by the DCG of
 *               the best possible order of all that is judged
 *
 * R = 0 gives 0 everywhere. Means are over the queries that are both judged and in the run, or over all judged ones
 * (trec_eval -c). Sums in double. What trec_eval refuses (a document twice, a line with too few fields) is junk here:
 * named, counted, left out. */
#include "tasks/trec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#define MAX_FIELDS 8

typedef struct field {
    const char *s;
    size_t n;
} field;

/* Fields between tabs, where there is one, else between white space; returns how many there are, up to MAX_FIELDS. */
static size_t split_fields(const char *s, size_t n, field out[MAX_FIELDS])
{
    bool tabs = n && memchr(s, '\t', n) != NULL;
    const char *end = s + n;
    size_t count = 0;
    while (s < end && count < MAX_FIELDS) {
        while (!tabs && s < end && ilki_tasks_is_space(*s))
            s++;
        const char *begin = s;
        while (s < end && (tabs ? *s != '\t' : !ilki_tasks_is_space(*s)))
            s++;
        if (s > begin || tabs)
            out[count++] = (field){begin, (size_t)(s - begin)};
        s += s < end;
    }
    return count;
}

static ilk_status grow(void **list, size_t *cap, size_t n, size_t size, const char *what, ilk_error *err)
{
    if (n < *cap)
        return ILK_OK;
    size_t want = *cap ? *cap * 2 : 1024, n_bytes;
    if (!ilki_base_mul(want, size, &n_bytes))
        return ilki_base_fail(err, ILK_LIMIT, "%zu %s", n, what);
    void *p = realloc(*list, n_bytes);
    if (!p)
        return ilki_base_fail_memory(err, n_bytes, what);
    *list = p;
    *cap = want;
    return ILK_OK;
}

/* ------------------------------------------------------------------ judgements */

static int by_query_and_doc(const void *a, const void *b)
{
    const ilki_judgement *x = a, *y = b;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static ilk_status add_judgement(ilki_judgements *to, ilki_map *seen, ilki_arena *keys, const ilki_lines *l,
                                ilki_notes *notes, const field f[3], ilk_error *err)
{
    double number;
    if (!ilki_tasks_number(f[2].s, f[2].n, &number) || number != floor(number) || fabs(number) > 1e6)
        return l->line == 1 ? ILK_OK /* names of columns */
                            : ilki_tasks_junk(notes, l->path, l->line, err,
                                              "expected a whole number as the grade, found \"%.*s\"",
                                              f[2].n < 80 ? (int)f[2].n : 80, f[2].s);
    ilk_status st = grow((void **)&to->list, &to->cap, to->n, sizeof *to->list, "judgements", err);
    ilki_judgement j = {.grade = (int32_t)number};
    if (st == ILK_OK)
        st = ilki_tasks_ids_add(&to->queries, f[0].s, f[0].n, &j.query, NULL, err);
    if (st == ILK_OK)
        st = ilki_tasks_ids_add(&to->docs, f[1].s, f[1].n, &j.doc, NULL, err);
    if (st != ILK_OK)
        return st;
    uint32_t pair[2] = {j.query, j.doc}, old = ILKI_MAP_NONE;
    char *key = ilki_base_arena_alloc(keys, 1, sizeof pair);
    if (key)
        memcpy(key, pair, sizeof pair);
    if (!key || !ilki_base_map_put(seen, key, sizeof pair, 0, &old))
        return ilki_base_fail_memory(err, sizeof pair, "judgements");
    if (old != ILKI_MAP_NONE)
        return ilki_tasks_junk(notes, l->path, l->line, err,
                               "query %s has a judgement of document %s already: the first one counts",
                               to->queries.name[j.query], to->docs.name[j.doc]);
    to->list[to->n++] = j;
    return ILK_OK;
}

ilk_status ilki_tasks_read_judgements(ilki_judgements *to, const ilki_vfs *vfs, const char *path, ilki_notes *notes,
                                      ilk_error *err)
{
    ilki_lines l;
    ilki_map seen = {0};
    ilki_arena keys = {0};
    const char *text;
    size_t n;
    *to = (ilki_judgements){0};
    ilk_status st = ilki_tasks_lines_open(&l, vfs, path, err);
    while (st == ILK_OK && (st = ilki_tasks_lines_next(&l, &text, &n, err)) == ILK_OK && text) {
        field f[MAX_FIELDS];
        size_t count = split_fields(text, n, f);
        if (count == 4) /* TREC's second field says nothing */
            memmove(f + 1, f + 2, 2 * sizeof *f);
        if (count == 0 && !l.too_long)
            continue;
        if ((count == 3 || count == 4) && (!ilki_tasks_is_id(f[0].s, f[0].n) || !ilki_tasks_is_id(f[1].s, f[1].n)))
            st = ilki_tasks_junk(notes, path, l.line, err, "expected ids of 1 to 4096 bytes without a NUL");
        else if (count == 3 || count == 4)
            st = add_judgement(to, &seen, &keys, &l, notes, f, err);
        else
            st = ilki_tasks_junk(notes, path, l.line, err, "expected query, document and grade, found %s",
                                 l.too_long ? "a line of more than 32 MiB" : "another number of fields");
    }
    ilki_tasks_lines_close(&l);
    ilki_base_map_deinit(&seen);
    ilki_base_arena_deinit(&keys);
    if (st == ILK_OK && to->n == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected judgements \"query TAB document TAB grade\", found none",
                            path);
    if (st == ILK_OK)
        qsort(to->list, to->n, sizeof *to->list, by_query_and_doc);
    return st;
}

void ilki_tasks_judgements_deinit(ilki_judgements *j)
{
    ilki_tasks_ids_deinit(&j->queries);
    ilki_tasks_ids_deinit(&j->docs);
    free(j->list);
    *j = (ilki_judgements){0};
}

/* ------------------------------------------------------------------ order */

bool ilki_tasks_before(const ilki_ids *docs, ilki_ranked a, ilki_ranked b)
{
    if (a.score != b.score)
        return a.score > b.score;
    return strcmp(docs->name[a.doc], docs->name[b.doc]) > 0;
}

/* Heap sort: no context can be handed to qsort. The worst stands on top. */
static void sift(const ilki_ids *docs, ilki_ranked *list, size_t n, size_t at)
{
    ilki_ranked moving = list[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && ilki_tasks_before(docs, list[child], list[child + 1]))
            child++;
        if (!ilki_tasks_before(docs, moving, list[child]))
            break;
        list[at] = list[child];
    }
    list[at] = moving;
}

void ilki_tasks_sort(const ilki_ids *docs, ilki_ranked *list, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(docs, list, n, i);
    for (size_t left = n; left > 1; left--) {
        ilki_ranked worst = list[0];
        list[0] = list[left - 1];
        list[left - 1] = worst;
        sift(docs, list, left - 1, 0);
    }
}

/* ------------------------------------------------------------------ runs */

typedef struct run_line {
    uint32_t query;
    ilki_ranked r;
} run_line;

static int by_query(const void *a, const void *b)
{
    const run_line *x = a, *y = b;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return x->r.doc < y->r.doc ? -1 : x->r.doc > y->r.doc;
}

typedef struct run_reader {
    ilki_ranking *to;
    run_line *list;
    size_t n, cap;
    ilki_map seen; /* pairs of query and document */
    ilki_arena keys;
} run_reader;

static ilk_status add_run_line(run_reader *r, const ilki_lines *l, ilki_notes *notes, const field f[6], ilk_error *err)
{
    double score;
    if (!ilki_tasks_number(f[4].s, f[4].n, &score) || !isfinite(score))
        return ilki_tasks_junk(notes, l->path, l->line, err, "expected a finite number as the score, found \"%.*s\"",
                               f[4].n < 80 ? (int)f[4].n : 80, f[4].s);
    ilk_status st = grow((void **)&r->list, &r->cap, r->n, sizeof *r->list, "lines of a run", err);
    run_line line = {.r.score = (float)score};
    if (st == ILK_OK)
        st = ilki_tasks_ids_add(&r->to->queries, f[0].s, f[0].n, &line.query, NULL, err);
    if (st == ILK_OK)
        st = ilki_tasks_ids_add(&r->to->docs, f[2].s, f[2].n, &line.r.doc, NULL, err);
    if (st != ILK_OK)
        return st;
    uint32_t pair[2] = {line.query, line.r.doc}, old = ILKI_MAP_NONE;
    char *key = ilki_base_arena_alloc(&r->keys, 1, sizeof pair);
    if (key)
        memcpy(key, pair, sizeof pair);
    if (!key || !ilki_base_map_put(&r->seen, key, sizeof pair, 0, &old))
        return ilki_base_fail_memory(err, sizeof pair, "a run");
    if (old != ILKI_MAP_NONE)
        return ilki_tasks_junk(notes, l->path, l->line, err, "query %s has document %s already: the first line counts",
                               r->to->queries.name[line.query], r->to->docs.name[line.r.doc]);
    r->list[r->n++] = line;
    return ILK_OK;
}

/* Lines to rankings. */
static ilk_status take_lines(run_reader *r, ilk_error *err)
{
    ilki_ranking *to = r->to;
    if (r->n)
        qsort(r->list, r->n, sizeof *r->list, by_query);
    to->ranked = ilki_base_zalloc(r->n, sizeof *to->ranked);
    to->first = ilki_base_zalloc(to->queries.n + 1, sizeof *to->first);
    if (!to->ranked || !to->first)
        return ilki_base_fail_memory(err, r->n * sizeof *to->ranked, "a run");
    for (size_t i = 0; i < r->n; i++) {
        to->ranked[i] = r->list[i].r;
        to->first[r->list[i].query + 1] = i + 1;
    }
    to->n = r->n;
    for (size_t q = 0; q < to->queries.n; q++) {
        if (to->first[q + 1] < to->first[q])
            to->first[q + 1] = to->first[q];
        ilki_tasks_sort(&to->docs, to->ranked + to->first[q], to->first[q + 1] - to->first[q]);
    }
    return ILK_OK;
}

ilk_status ilki_tasks_read_run(ilki_ranking *to, const ilki_vfs *vfs, const char *path, ilki_notes *notes,
                               ilk_error *err)
{
    ilki_lines l;
    run_reader r = {.to = to};
    const char *text;
    size_t n;
    *to = (ilki_ranking){0};
    ilk_status st = ilki_tasks_lines_open(&l, vfs, path, err);
    while (st == ILK_OK && (st = ilki_tasks_lines_next(&l, &text, &n, err)) == ILK_OK && text) {
        field f[MAX_FIELDS];
        size_t count = split_fields(text, n, f);
        if (count == 0 && !l.too_long)
            continue;
        if (count >= 6 && (!ilki_tasks_is_id(f[0].s, f[0].n) || !ilki_tasks_is_id(f[2].s, f[2].n)))
            st = ilki_tasks_junk(notes, path, l.line, err, "expected ids of 1 to 4096 bytes without a NUL");
        else if (count >= 6)
            st = add_run_line(&r, &l, notes, f, err);
        else
            st = ilki_tasks_junk(notes, path, l.line, err, "expected \"query Q0 document rank score tag\", found %s",
                                 l.too_long ? "a line of more than 32 MiB" : "too few fields");
    }
    ilki_tasks_lines_close(&l);
    if (st == ILK_OK && r.n == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected lines \"query Q0 document rank score tag\", found none",
                            path);
    if (st == ILK_OK)
        st = take_lines(&r, err);
    free(r.list);
    ilki_base_map_deinit(&r.seen);
    ilki_base_arena_deinit(&r.keys);
    return st;
}

static bool has_space(const char *s)
{
    bool found = *s == 0;
    for (; *s && !found; s++)
        found = ilki_tasks_is_space(*s);
    return found;
}

static ilk_status add_query_lines(ilki_buf *b, const ilki_ranking *r, size_t q, const char *tag, ilk_error *err)
{
    const char *query = r->queries.name[q];
    char score[ILKI_NUM_BYTES];
    if (has_space(query))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                              "query id \"%s\": expected no white space, which a run cannot hold", query);
    for (size_t i = r->first[q]; i < r->first[q + 1]; i++) {
        const char *doc = r->docs.name[r->ranked[i].doc];
        if (has_space(doc))
            return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                                  "document id \"%s\": expected no white space, which a run cannot hold", doc);
        size_t n = ilki_base_num_print_float(r->ranked[i].score, score);
        ilki_base_buf_addf(b, "%s Q0 %s %zu %.*s %s\n", query, doc, i - r->first[q] + 1, (int)n, score, tag);
    }
    return ILK_OK;
}

ilk_status ilki_tasks_write_run(const ilki_ranking *r, const ilki_vfs *vfs, const char *path, const char *tag,
                                ilk_error *err)
{
    ilki_buf b;
    ilk_status st = ILK_OK;
    ilki_base_buf_init(&b, (size_t)8 << 30);
    if (has_space(tag))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "tag \"%s\": expected a word without white space", tag);
    for (size_t q = 0; q < r->queries.n && st == ILK_OK; q++)
        st = add_query_lines(&b, r, q, tag, err);
    if (st == ILK_OK)
        st = ilki_base_buf_check(&b, "a run", err);
    if (st == ILK_OK)
        st = ilki_base_write_file(vfs, path, ilki_base_buf_view(&b), b.len, err);
    ilki_base_buf_deinit(&b);
    return st;
}

void ilki_tasks_ranking_deinit(ilki_ranking *r)
{
    ilki_tasks_ids_deinit(&r->queries);
    ilki_tasks_ids_deinit(&r->docs);
    free(r->ranked);
    free(r->first);
    *r = (ilki_ranking){0};
}

/* ------------------------------------------------------------------ measures */

static int32_t grade_of(const ilki_ids *run_docs, uint32_t doc, const ilki_judgements *j, const ilki_judgement *judged,
                        size_t n)
{
    const char *name = run_docs->name[doc];
    uint32_t number = ilki_tasks_ids_find(&j->docs, name, strlen(name));
    size_t low = 0, high = n;
    if (number == ILKI_MAP_NONE)
        return 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (judged[middle].doc < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && judged[low].doc == number ? judged[low].grade : 0;
}

/* Adds the gain at a rank (from 1) to every cut that it lies within. */
static void add_gain(const ilk_eval_scores *s, double dcg[ILK_EVAL_CUTS], int32_t grade, size_t rank)
{
    double gain = (double)grade / log2((double)rank + 1);
    for (uint32_t c = 0; c < s->n_cuts; c++)
        if (rank <= s->cuts[c])
            dcg[c] += gain;
}

/* DCG of the best order: grades descending. */
static void ideal_dcg(const ilk_eval_scores *s, const ilki_judgement *judged, size_t n, double dcg[ILK_EVAL_CUTS])
{
    int32_t below = INT32_MAX;
    for (size_t rank = 1; rank <= n;) {
        int32_t best = 0;
        for (size_t i = 0; i < n; i++)
            if (judged[i].grade < below && judged[i].grade > best)
                best = judged[i].grade;
        if (best == 0)
            return;
        for (size_t i = 0; i < n; i++)
            if (judged[i].grade == best)
                add_gain(s, dcg, best, rank++);
        below = best;
    }
}

void ilki_tasks_measure(const ilki_ids *run_docs, const ilki_ranked *list, size_t n, const ilki_judgements *j,
                        const ilki_judgement *judged, size_t n_judged, ilk_eval_scores *to)
{
    double dcg[ILK_EVAL_CUTS] = {0}, ideal[ILK_EVAL_CUTS] = {0}, precisions = 0;
    size_t n_relevant = 0, found = 0, in_cut[ILK_EVAL_CUTS] = {0};
    for (size_t i = 0; i < n_judged; i++)
        n_relevant += judged[i].grade >= 1;
    to->mrr = to->mrr10 = to->map = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t grade = grade_of(run_docs, list[i].doc, j, judged, n_judged);
        size_t rank = i + 1;
        if (grade < 1)
            continue;
        if (++found == 1)
            to->mrr = 1.0 / (double)rank;
        precisions += (double)found / (double)rank;
        add_gain(to, dcg, grade, rank);
        for (uint32_t c = 0; c < to->n_cuts; c++)
            in_cut[c] += rank <= to->cuts[c];
    }
    to->mrr10 = to->mrr >= 0.1 ? to->mrr : 0;
    to->map = n_relevant ? precisions / (double)n_relevant : 0;
    ideal_dcg(to, judged, n_judged, ideal);
    for (uint32_t c = 0; c < to->n_cuts; c++) {
        to->ndcg[c] = ideal[c] > 0 ? dcg[c] / ideal[c] : 0;
        to->recall[c] = n_relevant ? (double)in_cut[c] / (double)n_relevant : 0;
    }
    to->n_relevant = n_relevant;
    to->n_retrieved = n;
    to->n_found = found;
}

static void add_scores(ilk_eval_scores *sum, const ilk_eval_scores *one, double by)
{
    for (uint32_t c = 0; c < sum->n_cuts; c++) {
        sum->ndcg[c] = (sum->ndcg[c] + one->ndcg[c]) * by;
        sum->recall[c] = (sum->recall[c] + one->recall[c]) * by;
    }
    sum->mrr = (sum->mrr + one->mrr) * by;
    sum->mrr10 = (sum->mrr10 + one->mrr10) * by;
    sum->map = (sum->map + one->map) * by;
    sum->n_relevant += one->n_relevant;
    sum->n_retrieved += one->n_retrieved;
    sum->n_found += one->n_found;
}

void ilki_tasks_evaluate(const ilki_ranking *r, const ilki_judgements *j, bool complete, ilk_eval_scores_fn each,
                         void *user, ilk_eval_result *result)
{
    ilk_eval_scores *mean = &result->mean, nothing = {0};
    for (size_t at = 0, end; at < j->n; at = end) {
        const char *name = j->queries.name[j->list[at].query];
        uint32_t q = ilki_tasks_ids_find(&r->queries, name, strlen(name));
        for (end = at; end < j->n && j->list[end].query == j->list[at].query;)
            end++;
        bool there = q != ILKI_MAP_NONE && r->first[q + 1] > r->first[q];
        result->n_missing += !there;
        if (!there && !complete)
            continue;
        ilk_eval_scores one = {.size = sizeof one, .query = name, .n_cuts = mean->n_cuts};
        memcpy(one.cuts, mean->cuts, sizeof one.cuts);
        size_t first = there ? r->first[q] : 0, n = there ? r->first[q + 1] - first : 0;
        ilki_tasks_measure(&r->docs, r->ranked ? r->ranked + first : NULL, n, j, j->list + at, end - at, &one);
        if (each)
            each(user, &one);
        add_scores(mean, &one, 1);
        result->n_queries++;
    }
    if (result->n_queries)
        add_scores(mean, &nothing, 1.0 / (double)result->n_queries);
}
