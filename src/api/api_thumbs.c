/* SPDX-License-Identifier: Apache-2.0
 * Thumbnails: argument checks before room engine. */
#include "api/sized.h"
#include "api/take.h"
#include "engine/collection.h"

void ilk_thumbnail_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_thumbnail_init_sized(void *thumbnail, size_t size)
{
    ilki_api_init_sized(thumbnail, size);
}

ilk_status ilk_store_get_thumbnails(ilk_store *s, const char *const *paths, size_t n, const ilk_thumbnail_options *opt,
                                    ilk_job *job, ilk_thumbnails **out, ilk_error *err)
{
    ilk_thumbnail_options o = {.size = sizeof o};
    if (!out)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_get_thumbnails: out is NULL");
    *out = NULL;
    ilk_status st = s ? ilki_base_runtime_check(s->rt, err)
                      : ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_get_thumbnails: store is NULL");
    if (!st)
        st = ilki_base_take_options(&o, sizeof o, opt, "thumbnail options", err);
    if (!st && n && !paths)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_get_thumbnails: paths is NULL for %zu of them", n);
    for (size_t i = 0; !st && i < n; i++)
        if (!paths[i] || !*paths[i])
            st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_get_thumbnails: path %zu is empty", i);
    return st ? st : ilki_engine_thumbnails(s, paths, n, &o, job, out, err);
}

ilk_status ilk_thumbnails_get(const ilk_thumbnails *t, size_t i, ilk_thumbnail *thumbnail, ilk_error *err)
{
    if (!t)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_thumbnails_get: thumbnails is NULL");
    if (i >= t->n)
        return ilki_base_fail(err, ILK_NOT_FOUND, "ilk_thumbnails_get: there are %zu, asked for number %zu", t->n, i);
    return ilki_api_give_sized(thumbnail, &t->list[i], sizeof *t->list, "thumbnail", err);
}

void ilk_thumbnails_free(ilk_thumbnails *t)
{
    ilki_engine_thumbnails_free(t);
}
