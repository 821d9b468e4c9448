/* SPDX-License-Identifier: Apache-2.0
 * ilk_file_probe, ilk_document_*: argument checks before room engine. */
#include "api/sized.h"
#include "api/take.h"
#include "engine/collection.h"

static const ilk_document_options default_options = {.size = sizeof default_options, .overlap_tokens = ILK_ABSENT};

void ilk_file_info_init_sized(void *info, size_t size)
{
    ilki_api_init_sized(info, size);
}

ilk_status ilk_file_probe(const char *name, const void *head, size_t n, ilk_file_info *info, ilk_error *err)
{
    if (!name || !info || (!head && n))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_file_probe: %s is NULL",
                              !name   ? "name"
                              : !info ? "info"
                                      : "head");
    ilk_file_info all = {.size = sizeof all};
    ilk_status st = ilki_engine_probe(name, head, n, &all, err);
    return st ? st : ilki_api_give_sized(info, &all, sizeof all, "file info", err);
}

void ilk_document_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_from(opt, size, &default_options, sizeof default_options);
}

void ilk_document_info_init_sized(void *info, size_t size)
{
    ilki_api_init_sized(info, size);
}

void ilk_passage_init_sized(void *passage, size_t size)
{
    static const ilk_passage none = {.size = sizeof none, .segment = {.size = sizeof none.segment}};
    ilki_api_init_from(passage, size, &none, sizeof none);
}

ilk_status ilk_document_open(ilk_document **out, ilk_runtime *rt, ilk_model *m, const char *path,
                             const ilk_document_options *opt, ilk_job *job, ilk_error *err)
{
    ilk_document_options o = default_options;
    if (!out)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_document_open: out is NULL");
    *out = NULL;
    if (!rt || !path || !*path)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_document_open: %s", rt ? "path is empty" : "runtime is NULL");
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (!st && opt)
        st = ilki_base_take_options(&o, sizeof o, opt, "document options", err);
    return st ? st : ilki_engine_document_open(out, rt, m, path, &o, job, err);
}

void ilk_document_close(ilk_document *d)
{
    ilki_engine_document_close(d);
}

ilk_status ilk_document_get_info(const ilk_document *d, ilk_document_info *info, ilk_error *err)
{
    ilk_document_info all = {.size = sizeof all};
    if (!d)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_document_get_info: document is NULL");
    ilki_engine_document_info(d, &all);
    return ilki_api_give_sized(info, &all, sizeof all, "document info", err);
}

ilk_status ilk_document_get_passage(const ilk_document *d, size_t i, ilk_passage *passage, ilk_error *err)
{
    const ilk_passage *p = d ? ilki_engine_document_passage(d, i) : NULL;
    if (!d)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_document_get_passage: document is NULL");
    if (!p)
        return ilki_base_fail(err, ILK_NOT_FOUND, "ilk_document_get_passage: there is no passage %zu", i);
    return ilki_api_give_sized(passage, p, sizeof *p, "passage", err);
}
