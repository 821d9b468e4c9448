/* SPDX-License-Identifier: Apache-2.0
 * ilk_pull: embed says where a model is kept and what is known of it by name, net asks the hub and fills the cache. Small
 * files come first: they are what a malformed model fails by, before its weights were fetched. */
#include "engine/pull.h"

#include <stdlib.h>
#include <string.h>

#include "embed/embed.h"
#include "embed/known.h"
#include "net/hub_cache.h"

struct ilk_pull {
    ilk_runtime *rt;
    ilki_hub *hub;
    char *where; /* id@revision; revision of `id` lies in it */
    ilki_model_id id;
    ilki_hub_model *model;
    ilki_hub_cache cache;
    char *path;
    ilk_pull_info info;
    ilk_pull_file *files; /* small ones first */
    const ilki_hub_file **listed;
    size_t n;
};

/* "minilm" and "minilm@v1" are short names; opt->revision stands in for "@v1". */
static ilk_status take_name(ilk_pull *p, const char *id, const char *revision, ilk_error *err)
{
    ilki_buf b;
    size_t n = strcspn(id, "@");
    const ilk_known *known = ilki_embed_known_find(id, n);
    if (revision != NULL && id[n] != 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: it names a revision, and so does the option: %s", id,
                              revision);
    ilki_base_buf_init(&b, 2048);
    if (known)
        ilki_base_buf_adds(&b, known->id);
    else
        ilki_base_buf_add(&b, id, n);
    if (revision != NULL)
        ilki_base_buf_addf(&b, "@%s", revision);
    else
        ilki_base_buf_adds(&b, id + n);
    ilk_status st = ilki_base_buf_check(&b, "an id", err);
    p->where = ilki_base_buf_take(&b, NULL);
    if (st == ILK_OK)
        st = ilki_embed_cache_repo(p->where, &p->id, err);
    if (st == ILK_OK && !ilki_net_hub_is_path(p->id.revision, strlen(p->id.revision)))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: expected a branch, a tag or a commit, found \"%s\"", id,
                            p->id.revision);
    return st;
}

/* Small before large. */
static int by_size(const void *a, const void *b)
{
    const ilki_hub_file *x = *(const ilki_hub_file *const *)a, *y = *(const ilki_hub_file *const *)b;
    return x->n_bytes != y->n_bytes ? (x->n_bytes > y->n_bytes ? 1 : -1) : strcmp(x->path, y->path);
}

static ilk_status list_files(ilk_pull *p, ilk_error *err)
{
    for (size_t i = 0; i < p->model->n_files; i++)
        p->n += p->model->files[i].wanted;
    p->files = ilki_base_zalloc(p->n, sizeof *p->files);
    p->listed = ilki_base_zalloc(p->n, sizeof *p->listed);
    if (p->files == NULL || p->listed == NULL)
        return ilki_base_fail_memory(err, p->n * sizeof *p->files, "a list of files");
    for (size_t i = 0, k = 0; i < p->model->n_files; i++)
        if (p->model->files[i].wanted)
            p->listed[k++] = &p->model->files[i];
    if (p->n > 1)
        qsort(p->listed, p->n, sizeof *p->listed, by_size);
    for (size_t i = 0; i < p->n; i++) {
        bool whole;
        uint64_t present = ilki_net_cache_present(&p->cache, p->listed[i], &whole);
        p->files[i] = (ilk_pull_file){sizeof p->files[i], p->listed[i]->path, p->listed[i]->n_bytes, present, whole};
        p->info.n_bytes += p->listed[i]->n_bytes;
        p->info.n_present_bytes += present;
    }
    return ILK_OK;
}

static ilk_status describe(ilk_pull *p, ilk_error *err)
{
    ilki_buf b;
    const ilk_known *known = ilki_embed_known_find(p->id.id, strlen(p->id.id));
    const ilki_hub_model *m = p->model;
    ilki_base_buf_init(&b, 8192);
    ilki_base_buf_addf(&b, "%s/snapshots/%s", p->id.repo, m->commit);
    ilk_status st = ilki_base_buf_check(&b, "a path", err);
    p->path = ilki_base_buf_take(&b, NULL);
    p->info = (ilk_pull_info){
        .size = sizeof p->info,
        .id = p->id.id,
        .revision = p->id.revision,
        .commit = m->commit,
        .endpoint = ilki_net_hub_endpoint(p->hub),
        .path = p->path,
        .licence = *m->licence ? m->licence
                   : known     ? known->licence
                               : NULL,
        .languages = *m->languages ? m->languages
                     : known       ? known->languages
                                   : NULL,
        .gated = m->gated,
    };
    if (st == ILK_OK)
        st = list_files(p, err);
    p->info.n_files = p->n;
    return st;
}

ilk_status ilki_engine_pull_open(ilk_pull **out, ilk_runtime *rt, const char *id, const ilk_pull_options *opt,
                                 ilk_job *job, ilk_error *err)
{
    *out = NULL;
    ilk_pull *p = ilki_base_zalloc(1, sizeof *p);
    if (p == NULL)
        return ilki_base_fail_memory(err, sizeof *p, "a pull");
    p->rt = rt;
    ilk_status st = take_name(p, id, opt->revision, err);
    if (st == ILK_OK)
        st = ilki_net_cache_init(&p->cache, rt, p->id.repo, p->id.n_hub, err);
    if (st == ILK_OK)
        st = ilki_net_hub_open(&p->hub, rt, err);
    if (st == ILK_OK)
        st = ilki_net_hub_ask(p->hub, p->id.id, p->id.revision, job, &p->model, err);
    if (st == ILK_OK)
        st = ilki_net_hub_choose_all(p->hub, p->id.id, p->model, job, err);
    if (st == ILK_OK)
        st = describe(p, err);
    if (st == ILK_OK)
        *out = p;
    else
        ilki_engine_pull_close(p);
    return st;
}

void ilki_engine_pull_close(ilk_pull *p)
{
    if (p == NULL)
        return;
    ilki_net_hub_free(p->model);
    ilki_net_hub_close(p->hub);
    ilki_net_cache_deinit(&p->cache);
    ilki_embed_free_id(&p->id);
    free(p->where);
    free(p->path);
    free(p->files);
    free(p->listed);
    free(p);
}

const ilk_pull_info *ilki_engine_pull_info(const ilk_pull *p)
{
    return &p->info;
}

const ilk_pull_file *ilki_engine_pull_file(const ilk_pull *p, size_t i)
{
    return i < p->n ? &p->files[i] : NULL;
}

ilk_runtime *ilki_engine_pull_runtime(const ilk_pull *p)
{
    return p->rt;
}

ilk_status ilki_engine_pull_run(ilk_pull *p, ilk_job *job, ilk_error *err)
{
    p->cache.job = job;
    p->cache.done = 0;
    p->cache.total = p->info.n_bytes;
    ilk_status st = ilki_base_job_check(job, err);
    if (st == ILK_OK)
        st = ilki_net_cache_prepare(&p->cache, p->info.n_bytes - p->info.n_present_bytes, err);
    for (size_t i = 0; i < p->n && st == ILK_OK; i++) {
        st = ilki_net_cache_fetch(&p->cache, p->hub, p->id.id, p->model->commit, p->listed[i], err);
        if (st == ILK_OK)
            p->files[i].whole = 1, p->files[i].n_present_bytes = p->files[i].n_bytes;
    }
    if (st == ILK_OK)
        st = ilki_net_cache_publish(&p->cache, p->model, p->id.revision, err);
    if (st == ILK_OK) {
        p->info.n_present_bytes = p->info.n_bytes;
        ilki_base_job_progress(job, "fetching", "bytes", p->info.n_bytes, p->info.n_bytes, 0, true);
    }
    return st;
}

const char *ilki_engine_network_version(ilk_error *err)
{
    return ilki_net_version(err);
}
