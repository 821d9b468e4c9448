/* SPDX-License-Identifier: Apache-2.0
 * What an ingest goes by: which models read what, the space of each, how long a passage may be, and a hash of all that
 * makes a text's items and one of all that makes a picture's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/ingest.h"

enum { DEFAULT_CHUNK_TOKENS = 200, MIN_ROOM_TOKENS = 8 };

/* Raised when documents or pictures are read otherwise than before. */
static const char settings_version[] = "ilk ingest 4";

/* ------------------------------------------------------------------ models */

static ilk_status sort_models(ilki_ingest *g, ilk_error *err)
{
    for (size_t m = 0; m < g->n_models; m++) {
        const ilk_model_info *info = ilki_embed_info(g->models[m]);
        if (!(info->heads & ILK_HEAD_DENSE))
            return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a model that makes vectors, found a reranker",
                                  info->id);
        for (size_t k = 0; k < m; k++)
            if (g->models[k] == g->models[m])
                return ilki_base_fail(err, ILK_BAD_ARGUMENT, "models: %s is given twice", info->id);
        if (info->modalities & 1U << ILK_TEXT && ilki_embed_tokenizer(g->models[m]))
            g->reads_text |= 1U << m;
        if (info->modalities & 1U << ILK_IMAGE)
            g->sees |= 1U << m;
    }
    return ILK_OK;
}

/* The space of model m: the store's own where it has one of this fingerprint, else a new one. */
static ilk_status decide_space(ilki_ingest *g, size_t m, ilk_error *err)
{
    const ilk_space *made, *had;
    ilk_status st = ilki_embed_space(g->models[m], g->job, &made, err);
    if (st)
        return st;
    for (size_t k = 0; k < m; k++)
        if (strcmp(g->own[k].fingerprint, made->fingerprint) == 0)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "models: %s and %s are one checkpoint", g->own[k].model,
                                  made->model);
    had = g->store ? ilki_engine_space_by_fingerprint(g->s, made->fingerprint) : NULL;
    g->own[m] = had ? *had : *made;
    g->spaces[m] = &g->own[m];
    if (had)
        return ilki_engine_check_precision(g->s, had, ilki_embed_info(g->models[m])->precision_name, err);
    if (!g->store) /* a planned store has no space yet */
        return ILK_OK;
    bool taken = ilki_engine_space_by_name(g->s, made->name, &had, NULL) == ILK_OK;
    if (taken && g->n_models == 1)
        return ilki_base_fail(
            err, ILK_MISMATCH,
            "the vectors of %s were made by %s (%.12s), this model is %s (%.12s): index with the store's "
            "own model, with both, or into a new store",
            g->s->path, had->model ? had->model : "another model", had->fingerprint ? had->fingerprint : "unknown",
            made->model, made->fingerprint);
    for (size_t k = 0; k < m; k++)
        taken |= strcmp(g->own[k].name, made->name) == 0;
    if (taken) {
        snprintf(g->names[m], sizeof g->names[m], "%.15s-%.12s", made->name, made->fingerprint);
        g->own[m].name = g->names[m];
    }
    return ILK_OK;
}

/* A file that changed gets its vectors in every space, or some would be lost without a word: each space that a model
 * made must have its model here, once there are files. */
static ilk_status check_spaces(ilki_ingest *g, ilk_error *err)
{
    const ilk_space *space = NULL;
    for (size_t i = 0;
         g->known.n && g->n_models && g->store && g->s->backend->type->space(g->s->backend, i, &space, NULL) == ILK_OK;
         i++) {
        bool given = !space->fingerprint;
        for (size_t m = 0; !given && m < g->n_models; m++)
            given = strcmp(g->own[m].fingerprint, space->fingerprint) == 0;
        if (!given)
            return ilki_base_fail(err, ILK_MISMATCH,
                                  "store %s has vectors of %s in its space \"%s\": give that model too, so that files "
                                  "that change keep a vector in every space",
                                  g->s->path, space->model ? space->model : "another model", space->name);
    }
    return ILK_OK;
}

/* ------------------------------------------------------------------ passages */

static ilk_status count_prompt(const ilk_model *m, size_t *n, ilk_error *err)
{
    const char *prompt = ilki_embed_info(m)->prompt_document;
    *n = 0;
    if (!prompt || !*prompt)
        return ILK_OK;
    ilki_text_scratch *s = ilki_text_scratch_new();
    if (!s)
        return ilki_base_fail_memory(err, 1, "a tokenizer's scratch");
    ilk_status st = ilki_text_count(ilki_embed_tokenizer(m), s, prompt, strlen(prompt), 0, n, err);
    ilki_text_scratch_free(s);
    return st;
}

/* Tokens that a model leaves for a passage. */
static ilk_status room_of(const ilk_model *m, size_t *room, ilk_error *err)
{
    const ilk_model_info *info = ilki_embed_info(m);
    size_t n_prompt;
    ilk_status st = count_prompt(m, &n_prompt, err);
    if (st)
        return st;
    size_t taken = n_prompt + ilki_text_n_added(ilki_embed_tokenizer(m), false);
    *room = info->max_tokens ? info->max_tokens : SIZE_MAX / 2;
    if (*room < taken + MIN_ROOM_TOKENS)
        return ilki_base_fail(err, ILK_LIMIT, "model %s: %u tokens, %zu of them for prompt and specials, leave no room",
                              info->id, info->max_tokens, taken);
    *room -= taken;
    return ILK_OK;
}

/* Of equal models, the same whatever their order. */
ilk_status ilki_engine_decide_room(ilki_ingest *g, ilk_error *err)
{
    g->room_tokens = SIZE_MAX;
    for (size_t m = 0; m < g->n_models; m++) {
        size_t room;
        if (!(g->reads_text >> m & 1))
            continue;
        ilk_status st = room_of(g->models[m], &room, err);
        if (st)
            return st;
        if (room < g->room_tokens ||
            (room == g->room_tokens && strcmp(g->own[m].fingerprint, g->own[g->measure].fingerprint) < 0)) {
            g->room_tokens = room;
            g->measure = m;
        }
    }
    g->chunk_tokens = g->opt->chunk_tokens ? g->opt->chunk_tokens : DEFAULT_CHUNK_TOKENS;
    if (g->opt->chunk_tokens > g->room_tokens)
        return ilki_base_fail(err, ILK_LIMIT, "chunk_tokens is %u, model %s leaves room for %zu", g->opt->chunk_tokens,
                              g->own[g->measure].model, g->room_tokens);
    if (g->chunk_tokens > g->room_tokens)
        g->chunk_tokens = g->room_tokens;
    g->overlap = g->opt->overlap_tokens == ILK_ABSENT ? g->chunk_tokens / 8 : g->opt->overlap_tokens;
    if (g->opt->overlap_tokens != ILK_ABSENT && g->overlap && g->overlap >= g->chunk_tokens / 2)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "overlap_tokens is %zu, expected less than half of %zu",
                              g->overlap, g->chunk_tokens);
    return ILK_OK;
}

/* ------------------------------------------------------------------ hashes */

static void add_model(const ilki_ingest *g, ilki_sha256 *h, size_t m)
{
    const char *parts[] = {g->spaces[m]->name, g->spaces[m]->fingerprint, g->spaces[m]->precision,
                           g->spaces[m]->prompt[1]};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ilki_base_sha256_add(h, parts[i] ? parts[i] : "", parts[i] ? strlen(parts[i]) + 1 : 1);
}

/* In order of fingerprint, so that the caller's order is none of the settings. */
static void add_models(const ilki_ingest *g, ilki_sha256 *h, uint32_t which)
{
    while (which) {
        size_t least = SIZE_MAX;
        for (size_t m = 0; m < g->n_models; m++)
            if (which >> m & 1 &&
                (least == SIZE_MAX || strcmp(g->spaces[m]->fingerprint, g->spaces[least]->fingerprint) < 0))
                least = m;
        add_model(g, h, least);
        which &= ~(1U << least);
    }
}

static void hash_settings(ilki_ingest *g)
{
    static const char kinds[2][8] = {"text", "picture"};
    uint64_t numbers[4] = {g->chunk_tokens, g->overlap, g->room_tokens, g->measure};
    if (g->n_models)
        memcpy(&numbers[3], g->own[g->measure].fingerprint, sizeof numbers[3]);
    for (int k = 0; k < 2; k++) {
        ilki_sha256 h;
        ilki_base_sha256_init(&h);
        ilki_base_sha256_add(&h, settings_version, sizeof settings_version);
        ilki_base_sha256_add(&h, kinds[k], sizeof kinds[k]);
        if (k == ILKI_DOCUMENT)
            ilki_base_sha256_add(&h, numbers, sizeof numbers);
        else
            ilki_base_sha256_add(&h, g->no_exif ? "as is" : "turned", 6);
        if (k == ILKI_PICTURE && g->ocr) {
            ilki_base_sha256_add(&h, g->ocr, strlen(g->ocr));
            ilki_base_sha256_add(&h, numbers, sizeof numbers);
        }
        add_models(g, &h, k == ILKI_DOCUMENT ? g->reads_text : g->sees | g->reads_words);
        ilki_base_sha256_end(&h, g->settings[k]);
    }
}

bool ilki_engine_same_settings(const ilki_ingest *g, const ilki_source *src)
{
    return g->n_models == 0 || memcmp(src->settings_hash, g->settings[ILKI_DOCUMENT], 32) == 0 ||
           memcmp(src->settings_hash, g->settings[ILKI_PICTURE], 32) == 0;
}

ilk_status ilki_engine_decide_settings(ilki_ingest *g, ilk_error *err)
{
    g->own = ilki_base_zalloc(g->n_models, sizeof *g->own);
    g->names = ilki_base_zalloc(g->n_models, sizeof *g->names);
    g->spaces = ilki_base_zalloc(g->n_models, sizeof *g->spaces);
    bool ok = g->own && g->names && g->spaces;
    ilk_status st = ok ? sort_models(g, err) : ilki_base_fail_memory(err, g->n_models * sizeof *g->own, "an ingest");
    if (!st)
        st = ilki_engine_recall_pictures(g, err);
    for (size_t m = 0; !st && m < g->n_models; m++)
        st = decide_space(g, m, err);
    if (!st)
        st = check_spaces(g, err);
    if (!st && g->reads_text)
        st = ilki_engine_decide_room(g, err);
    g->reads_words = g->ocr ? g->reads_text & ~g->sees : 0;
    if (!st && g->ocr)
        st = ilki_engine_check_words(g, err);
    if (!st)
        hash_settings(g);
    return st;
}
