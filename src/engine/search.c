/* SPDX-License-Identifier: Apache-2.0
 * Questions of texts and pictures. A question goes to every space that was made by one of the models given, as long as that
 * model reads all its terms. Where a model reads texts and pictures, its space is asked for each kind apart: a text is
 * nearer to any text than to the picture it describes, so one list would show a kind after the other. Lists with hits are
 * then fused by rank (fusion.c); a single one keeps its scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/runtime.h"
#include "embed/embed.h"
#include "embed/modality.h"
#include "embed/state.h"
#include "engine/collection.h"

enum { FUSED_DEPTH = 100, FIRST = ILK_IMAGE, LAST = ILK_IMU, N_OTHERS = LAST - FIRST + 1 };

/* The values of the field "modality". */
static const ilk_value names[] = {
    {.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = "image", .n_bytes = 5},
    {.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = "audio", .n_bytes = 5},
    {.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = "video", .n_bytes = 5},
    {.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = "depth", .n_bytes = 5},
    {.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = "thermal", .n_bytes = 7},
    {.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = "imu", .n_bytes = 3},
};
_Static_assert(sizeof names / sizeof *names == N_OTHERS, "a name for each modality beside text");

/* One list to ask for: a space, and of which modality; 0: all. */
typedef struct list {
    const float *vector;
    ilk_modality only;
} list;

typedef struct asking {
    ilk_store *s;
    const ilk_question *question;
    const ilk_query *q;
    ilk_job *job;
    uint32_t needs;       /* modalities of the terms, 1 << each */
    float **vectors;      /* of each model; NULL: it does not read the question */
    list *lists;          /* [n] */
    ilki_answer *answers; /* [n]: the same, with what was found */
    size_t n, cap;
} asking;

/* ------------------------------------------------------------------ who can answer */

static uint32_t needs_of(const ilk_question *question)
{
    uint32_t needs = 0;
    for (size_t i = 0; i < question->n_terms; i++) {
        const ilk_input *in = (const ilk_input *)(const void *)((const char *)question->terms +
                                                                i * question->terms->size);
        for (size_t k = 0; k < in->n_parts; k++)
            needs |= 1U << ilki_embed_part_modality(ilki_embed_part(in, k));
    }
    return needs & ~1U; /* a part that does not tell is judged when it is embedded */
}

static ilk_status no_such_space(ilk_store *s, const char *name, const char *model, const char *hex, ilk_error *err)
{
    ilki_buf made_by;
    const ilk_space *space, *named = NULL;
    ilk_status st = name ? ilki_engine_space_by_name(s, name, &named, err) : ILK_OK;
    if (st)
        return st;
    ilki_base_buf_init(&made_by, 4096);
    for (size_t i = 0; s->backend->type->space(s->backend, i, &space, NULL) == ILK_OK; i++)
        if (space->fingerprint && (!named || named == space))
            ilki_base_buf_addf(&made_by, "%s%s (%.12s)", made_by.len ? ", " : "",
                               space->model ? space->model : "a model", space->fingerprint);
    if (made_by.len)
        st = ilki_base_fail(err, ILK_MISMATCH,
                            "the vectors of %s were made by %s, the question by %s (%.12s): ask with the store's own "
                            "model, or index the folder again with this one into a new store",
                            named ? name : s->path, ilki_base_buf_view(&made_by), model, hex);
    else
        st = ilki_base_fail(err, ILK_MISMATCH, "no space of %s was made by a model: index something with %s first",
                            s->path, model);
    ilki_base_buf_deinit(&made_by);
    return st;
}

static const char *reads(uint32_t modalities)
{
    bool text = modalities & 1U << ILK_TEXT, image = modalities & 1U << ILK_IMAGE;
    return text && image ? "texts and pictures" : image ? "pictures" : "texts";
}

static ilk_status nobody_reads(const asking *a, ilki_models models, ilk_error *err)
{
    ilki_buf made_by;
    ilki_base_buf_init(&made_by, 4096);
    for (size_t i = 0; i < models.n; i++) {
        const ilk_model_info *info = ilki_embed_info(models.list[i]);
        ilki_base_buf_addf(&made_by, "%s%s reads %s", i ? ", " : "", info->id, reads(info->modalities));
    }
    ilk_status st = ilki_base_fail(
        err, ILK_MISMATCH,
        "no space of %s can answer: the question is made of %s, and %s; `ilk index -m MODEL` with a model that reads "
        "them gives the store such a space",
        a->s->path, reads(a->needs), ilki_base_buf_view(&made_by));
    ilki_base_buf_deinit(&made_by);
    return st;
}

/* ------------------------------------------------------------------ lists */

static ilk_status add_list(asking *a, const ilk_space *space, const float *vector, ilk_modality only, ilk_error *err)
{
    if (a->n == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 8;
        list *lists = realloc(a->lists, cap * sizeof *lists);
        a->lists = lists ? lists : a->lists;
        ilki_answer *answers = realloc(a->answers, cap * sizeof *answers);
        a->answers = answers ? answers : a->answers;
        if (!lists || !answers)
            return ilki_base_fail_memory(err, cap * sizeof *answers, "lists of results");
        a->cap = cap;
    }
    bool plain = a->question->n_terms == 1 && (!a->question->weights || a->question->weights[0] > 0);
    a->lists[a->n] = (list){vector, only};
    a->answers[a->n++] = (ilki_answer){plain ? ilki_engine_score_kind(space) : ILK_SCORE_WEIGHTED, space, NULL, 0};
    return ILK_OK;
}

/* The lists of one space: one of each modality that its model reads, those of the question first, or the one that is asked
 * for. */
static ilk_status add_lists(asking *a, const ilk_space *space, uint32_t modalities, const float *vector, ilk_error *err)
{
    ilk_modality wanted = a->question->modality;
    bool several = (modalities & (modalities - 1)) != 0;
    if (wanted || !several)
        return add_list(a, space, vector, wanted, err);
    ilk_status st = ILK_OK;
    for (int i = 0; !st && i < 2 * (LAST + 1); i++) {
        int m = i % (LAST + 1);
        bool first = (a->needs >> m & 1) != 0;
        if (modalities & 1U << m && first == (i <= LAST))
            st = add_list(a, space, vector, (ilk_modality)m, err);
    }
    return st;
}

static ilk_status add_model(asking *a, ilk_model *m, float **vector, size_t *n_spaces, ilk_error *err)
{
    const ilk_model_info *info = ilki_embed_info(m);
    const ilk_space *space, *own = NULL;
    const char *hex = NULL, *name = a->q->vector.space;
    ilk_status st = ilki_embed_space(m, a->job, &own, err);
    if (!st)
        hex = own->fingerprint;
    for (size_t i = 0; !st && a->s->backend->type->space(a->s->backend, i, &space, NULL) == ILK_OK; i++) {
        if (space->kind != ILK_DENSE || !ilki_embed_joins(m, hex, space) || (name && strcmp(space->name, name) != 0))
            continue;
        ++*n_spaces;
        if (a->needs & ~info->modalities)
            continue;
        if (space->fingerprint &&
            strcmp(space->fingerprint, hex) == 0) /* one that is joined has a precision of its own */
            st = ilki_engine_check_precision(a->s, space, info->precision_name, err);
        if (!st && a->question->n_terms > 1 && space->metric == ILK_NEG_L2)
            st = ilki_base_fail(err, ILK_UNSUPPORTED,
                                "space \"%s\" compares by distance: a question of several terms is compared by angle",
                                space->name);
        if (!st && !*vector)
            st = ilki_engine_compose(m, a->question, a->job, vector, err);
        if (!st)
            st = add_lists(a, space, info->modalities, *vector, err);
    }
    return st;
}

static ilk_status plan(asking *a, ilki_models models, ilk_error *err)
{
    size_t n_spaces = 0;
    ilk_status st = ILK_OK;
    a->vectors = ilki_base_zalloc(models.n, sizeof *a->vectors);
    if (!a->vectors)
        return ilki_base_fail_memory(err, models.n * sizeof *a->vectors, "vectors");
    for (size_t i = 0; !st && i < models.n; i++)
        st = add_model(a, models.list[i], &a->vectors[i], &n_spaces, err);
    if (st || a->n)
        return st;
    if (n_spaces)
        return nobody_reads(a, models, err);
    const char *hex;
    st = ilki_embed_fingerprint(models.list[0], a->job, &hex, err);
    return st ? st : no_such_space(a->s, a->q->vector.space, ilki_embed_info(models.list[0])->id, hex, err);
}

/* ------------------------------------------------------------------ answers */

static ilk_status run_list(const asking *a, const list *l, size_t k, ilki_answer *answer, ilk_error *err)
{
    ilk_query q = *a->q;
    ilk_filter other = {.size = sizeof other, .op = ILK_FILTER_IN, .field = "modality", .values = names};
    ilk_filter parts[2], all = {.size = sizeof all, .op = ILK_FILTER_AND, .children = parts};
    other.n_values = N_OTHERS;
    if (l->only == ILK_TEXT) { /* also what has no modality */
        parts[all.n_children++] = (ilk_filter){
            .size = sizeof *parts, .op = ILK_FILTER_NOT, .children = &other, .n_children = 1};
    } else if (l->only) {
        other.op = ILK_FILTER_EQ;
        other.values = &names[l->only - FIRST];
        other.n_values = 1;
        parts[all.n_children++] = other;
    }
    if (q.filter)
        parts[all.n_children++] = *q.filter;
    q.filter = all.n_children ? &all : NULL;
    q.k = (uint32_t)k;
    q.min_score = a->n > 1 ? NAN : q.min_score;
    q.vector = (ilk_vector){
        .size = sizeof q.vector, .space = answer->space->name, .data = l->vector, .rows = 1, .dim = answer->space->dim};
    answer->found = ilki_base_zalloc(k, sizeof *answer->found);
    if (!answer->found)
        return ilki_base_fail_memory(err, k * sizeof *answer->found, "results");
    return a->s->backend->type->query(a->s->backend, &q, a->job, answer->found, &answer->n, err);
}

/* Takes away what is past k or below the least score. */
static void cut(ilki_answer *a, size_t k, float min_score)
{
    while (a->n && (a->n > k || a->found[a->n - 1].score < min_score))
        ilki_store_record_free(a->found[--a->n].record);
}

/* The hits of the lists, which give up their records. */
static ilk_status merge(asking *a, size_t k, ilk_hits *h, ilk_error *err)
{
    size_t n_with_hits = 0, single = 0;
    for (size_t i = 0; i < a->n; i++)
        if (a->answers[i].n) {
            n_with_hits++;
            single = i;
        }
    if (n_with_hits < 2) {
        ilki_answer one = a->answers[single];
        a->answers[single].n = 0;
        cut(&one, k, a->q->min_score);
        return ilki_engine_hits_set(h, 0, a->s, &one, err);
    }
    ilki_answer all = {.kind = ILK_SCORE_RRF, .found = ilki_base_zalloc(k, sizeof *all.found)};
    if (!all.found)
        return ilki_base_fail_memory(err, k * sizeof *all.found, "results");
    ilk_status st = ilki_engine_fuse(a->answers, a->n, k, all.found, &all.n, err);
    for (size_t i = 0; i < a->n; i++)
        a->answers[i].n = 0;
    if (!st) {
        double best = all.n ? (double)all.found[0].score : -1; /* of ranks: above 0 */
        cut(&all, k, a->q->min_score);
        if (!all.n && best > 0)
            ilki_base_log(
                a->s->rt, ILK_LOG_WARN,
                "no hit has a score of %g: %zu lists are merged by rank, and the best has %.4f; one modality, or "
                "one space, has its own scores",
                (double)a->q->min_score, n_with_hits, best);
        st = ilki_engine_hits_set(h, 0, a->s, &all, err);
    }
    free(all.found);
    return st;
}

static void deinit(asking *a, size_t n_models)
{
    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < a->answers[i].n; k++)
            ilki_store_record_free(a->answers[i].found[k].record);
        free(a->answers[i].found);
    }
    for (size_t i = 0; a->vectors && i < n_models; i++)
        free(a->vectors[i]);
    free(a->vectors);
    free(a->lists);
    free(a->answers);
}

ilk_status ilki_engine_ask(ilk_store *s, ilki_models models, const ilk_question *question, const ilk_query *q,
                           ilk_job *job, ilk_hits **out, ilk_error *err)
{
    asking a = {.s = s, .question = question, .q = q, .job = job, .needs = needs_of(question)};
    ilk_hits *h = NULL;
    size_t k = q->k ? q->k : ILKI_DEFAULT_K;
    *out = NULL;
    if (k > ILKI_MAX_K)
        return ilki_base_fail(err, ILK_LIMIT, "query: k is %zu, at most %d", k, ILKI_MAX_K);
    ilk_status st = plan(&a, models, err);
    bool any = false;
    for (size_t i = 0; !st && i < a.n; i++) {
        bool alone = !any && i + 1 == a.n; /* nothing to be merged with: a store of pictures alone */
        st = run_list(&a, &a.lists[i], !alone && k < FUSED_DEPTH ? FUSED_DEPTH : k, &a.answers[i], err);
        any |= a.answers[i].n > 0;
    }
    if (!st)
        st = ilki_engine_hits_new(&h, 1, false, err);
    if (!st)
        st = merge(&a, k, h, err);
    deinit(&a, models.n);
    if (st)
        ilki_engine_hits_free(h);
    else
        *out = h;
    return st;
}
