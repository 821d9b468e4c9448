/* SPDX-License-Identifier: Apache-2.0
 * ilk_known_*, ilk_pull_*, ilk_model_pull: argument checks before the table of known models and room engine. */
#include <string.h>

#include "api/sized.h"
#include "embed/known.h"
#include "engine/pull.h"

void ilk_known_init_sized(void *known, size_t size)
{
    ilki_api_init_sized(known, size);
}

ilk_status ilk_known_get(size_t i, ilk_known *known, ilk_error *err)
{
    const ilk_known *row = ilki_embed_known_at(i);
    if (row == NULL)
        return ilki_base_fail(err, ILK_NOT_FOUND, "no row %zu in the table of known models", i);
    return ilki_api_give_sized(known, row, sizeof *row, "known model", err);
}

ilk_status ilk_known_find(const char *name, ilk_known *known, ilk_error *err)
{
    if (name == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_known_find: name is NULL");
    const ilk_known *row = ilki_embed_known_find(name, strlen(name));
    if (row == NULL)
        return ilki_base_fail(err, ILK_NOT_FOUND, "%s: no known model has this name or id", name);
    return ilki_api_give_sized(known, row, sizeof *row, "known model", err);
}

/* ------------------------------------------------------------------ pull */

void ilk_pull_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_pull_info_init_sized(void *info, size_t size)
{
    ilki_api_init_sized(info, size);
}

void ilk_pull_file_init_sized(void *file, size_t size)
{
    ilki_api_init_sized(file, size);
}

static ilk_status open_pull(ilk_pull **out, ilk_runtime *rt, const char *id, const ilk_pull_options *opt, ilk_job *job,
                            ilk_error *err)
{
    if (rt == NULL || id == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "a pull: %s is NULL", rt == NULL ? "runtime" : "id");
    ilk_pull_options o;
    ilk_pull_options_init(&o);
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st == ILK_OK && opt != NULL)
        st = ilki_base_take_options(&o, sizeof o, opt, "pull options", err);
    return st == ILK_OK ? ilki_engine_pull_open(out, rt, id, &o, job, err) : st;
}

ilk_status ilk_pull_open(ilk_pull **out, ilk_runtime *rt, const char *id, const ilk_pull_options *opt, ilk_job *job,
                         ilk_error *err)
{
    if (out == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_pull_open: out is NULL");
    *out = NULL;
    return open_pull(out, rt, id, opt, job, err);
}

void ilk_pull_close(ilk_pull *p)
{
    ilki_engine_pull_close(p);
}

static ilk_status check_pull(const ilk_pull *p, const char *function, ilk_error *err)
{
    if (p == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: pull is NULL", function);
    return ilki_base_runtime_check(ilki_engine_pull_runtime(p), err);
}

ilk_status ilk_pull_get_info(const ilk_pull *p, ilk_pull_info *info, ilk_error *err)
{
    ilk_status st = check_pull(p, "ilk_pull_get_info", err);
    if (st != ILK_OK)
        return st;
    return ilki_api_give_sized(info, ilki_engine_pull_info(p), sizeof *info, "pull info", err);
}

ilk_status ilk_pull_get_file(const ilk_pull *p, size_t i, ilk_pull_file *file, ilk_error *err)
{
    ilk_status st = check_pull(p, "ilk_pull_get_file", err);
    if (st != ILK_OK)
        return st;
    const ilk_pull_file *f = ilki_engine_pull_file(p, i);
    if (f == NULL)
        return ilki_base_fail(err, ILK_NOT_FOUND, "no file %zu of %s", i, ilki_engine_pull_info(p)->id);
    return ilki_api_give_sized(file, f, sizeof *f, "pull file", err);
}

ilk_status ilk_pull_run(ilk_pull *p, ilk_job *job, ilk_error *err)
{
    ilk_status st = check_pull(p, "ilk_pull_run", err);
    return st == ILK_OK ? ilki_engine_pull_run(p, job, err) : st;
}

ilk_status ilk_model_pull(ilk_runtime *rt, const char *id, const ilk_pull_options *opt, ilk_job *job, ilk_error *err)
{
    ilk_pull *p = NULL;
    ilk_status st = open_pull(&p, rt, id, opt, job, err);
    if (st == ILK_OK)
        st = ilki_engine_pull_run(p, job, err);
    ilki_engine_pull_close(p);
    return st;
}

const char *ilk_network_version(ilk_error *err)
{
    return ilki_engine_network_version(err);
}
