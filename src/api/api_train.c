/* SPDX-License-Identifier: Apache-2.0
 * ilk_train_projection: argument checks, and the pairs that room tasks reads handed to room train. */
#include <stdlib.h>
#include <string.h>

#include "api/sized.h"
#include "base/mem.h"
#include "base/runtime.h"
#include "tasks/captions.h"
#include "train/train.h"

void ilk_train_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_train_result_init_sized(void *result, size_t size)
{
    ilki_api_init_sized(result, size);
}

static ilk_status tell_failed(void *user, const char *what, const char *message, ilk_error *err)
{
    return ilki_tasks_junk(user, what, 0, err, "%s", message);
}

/* A caption said in two languages is one pair. */
static ilk_status take_pairs(const ilki_captions *said, ilki_train_pairs *to, ilki_train_pair **list, ilk_error *err)
{
    *list = ilki_base_zalloc(said->n, sizeof **list);
    if (*list == NULL)
        return ilki_base_fail_memory(err, said->n * sizeof **list, "pairs");
    for (size_t i = 0; i < said->n; i++) {
        ilki_train_pair p = {said->list[i].picture, said->list[i].text};
        if (to->n == 0 || memcmp(&(*list)[to->n - 1], &p, sizeof p) != 0)
            (*list)[to->n++] = p;
    }
    to->list = *list;
    to->pictures = said->pictures.name;
    to->texts = said->texts.name;
    to->n_pictures = said->pictures.n;
    to->n_texts = said->texts.n;
    return ILK_OK;
}

static ilk_status check_words(const ilk_train_options *o, ilk_error *err)
{
    if (o->method != NULL && strcmp(o->method, "ridge") != 0 && strcmp(o->method, "procrustes") != 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                              "train options: method: expected ridge or procrustes, found \"%s\"", o->method);
    if (o->side != NULL && strcmp(o->side, "pictures") != 0 && strcmp(o->side, "captions") != 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "train options: side: expected pictures or captions, found \"%s\"",
                              o->side);
    return ILK_OK;
}

ilk_status ilk_train_projection(ilk_model *from, ilk_model *into, const char *pairs, const char *folder,
                                const ilk_train_options *opt, ilk_job *job, ilk_train_result *result, ilk_error *err)
{
    ilk_train_options o;
    ilk_train_result all = {.size = sizeof all};
    ilki_captions said = {0};
    ilki_train_pair *list = NULL;
    if (from == NULL || into == NULL || pairs == NULL || folder == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_train_projection: a model, the pairs or the folder is NULL");
    ilk_train_options_init(&o);
    ilk_runtime *rt = ilki_embed_runtime(from);
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st == ILK_OK && ilki_embed_runtime(into) != rt)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_train_projection: expected models of one runtime, found two");
    if (st == ILK_OK && opt != NULL)
        st = ilki_base_take_options(&o, sizeof o, opt, "train options", err);
    if (st == ILK_OK)
        st = check_words(&o, err);
    ilki_notes notes = {.fn = o.note, .user = o.user, .strict = o.strict != 0};
    ilki_train_pairs p = {.failed = tell_failed, .user = &notes};
    if (st == ILK_OK)
        st = ilki_tasks_read_captions(&said, rt->vfs, pairs, ILKI_SAID_CAPTION, &notes, err);
    all.n_junk = notes.n_junk;
    if (st == ILK_OK)
        st = take_pairs(&said, &p, &list, err);
    if (st == ILK_OK)
        st = ilki_train_projection(from, into, &p, folder, &o, job, &all, err);
    free(list);
    ilki_tasks_captions_deinit(&said);
    return st == ILK_OK ? ilki_api_give_sized(result, &all, sizeof all, "train result", err) : st;
}
