/* SPDX-License-Identifier: Apache-2.0
 * ilk_hits_*: argument checks before room engine. */
#include "api/sized.h"
#include "api/take.h"
#include "engine/collection.h"

const char *ilk_score_kind_string(ilk_score_kind kind)
{
    static const char *const names[] = {
        [ILK_SCORE_NONE] = "none",     [ILK_SCORE_COSINE] = "cosine",     [ILK_SCORE_DOT] = "dot",
        [ILK_SCORE_NEG_L2] = "neg_l2", [ILK_SCORE_PROB] = "prob",         [ILK_SCORE_LOGIT] = "logit",
        [ILK_SCORE_RRF] = "rrf",       [ILK_SCORE_BM25] = "bm25",         [ILK_SCORE_SPARSE] = "sparse",
        [ILK_SCORE_MAXSIM] = "maxsim", [ILK_SCORE_WEIGHTED] = "weighted", [ILK_SCORE_CENTRED] = "centred",
    };
    size_t i = (size_t)kind;
    return i < sizeof names / sizeof *names ? names[i] : "unknown";
}

void ilk_hit_init_sized(void *hit, size_t size)
{
    static const ilk_hit none = {.size = sizeof none, .segment = {.size = sizeof none.segment}};
    ilki_api_init_from(hit, size, &none, sizeof none);
}

void ilk_hits_free(ilk_hits *h)
{
    ilki_engine_hits_free(h);
}

size_t ilk_hits_get_count(const ilk_hits *h, size_t query)
{
    return h ? ilki_engine_hits_count(h, query) : 0;
}

static ilk_status check_place(const ilk_hits *h, size_t query, size_t i, const char *call, ilk_error *err)
{
    if (!h)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: hits is NULL", call);
    if (!ilki_engine_hits_at(h, query, i))
        return ilki_base_fail(err, ILK_NOT_FOUND, "%s: query %zu has no hit %zu", call, query, i);
    return ILK_OK;
}

ilk_status ilk_hits_get(const ilk_hits *h, size_t query, size_t i, ilk_hit *hit, ilk_error *err)
{
    ilk_status st = check_place(h, query, i, "ilk_hits_get", err);
    return st ? st : ilki_api_give_sized(hit, ilki_engine_hits_at(h, query, i), sizeof(ilk_hit), "hit", err);
}

ilk_status ilk_hits_get_vector(const ilk_hits *h, size_t query, size_t i, const char *space, ilk_vector *out,
                               ilk_error *err)
{
    const ilk_vector *own = NULL;
    ilk_status st = check_place(h, query, i, "ilk_hits_get_vector", err);
    if (!st && !space)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_hits_get_vector: space is NULL");
    if (!st)
        st = ilki_engine_hits_vector(h, query, i, space, &own, err);
    return st ? st : ilki_api_give_sized(out, own, sizeof *own, "vector", err);
}
