/* SPDX-License-Identifier: Apache-2.0
 * A folder, a store in it and a tiny model of random weights: what tests of ilk_ingest share. */
#ifndef ILK_TEST_FOLDER_H
#define ILK_TEST_FOLDER_H

#include "ilk.h"
#include "test.h"
#include "tree.h"

typedef struct folder {
    char *top; /* temporary directory */
    char *dir; /* the folder: top/docs */
    ilk_runtime *rt;
    ilk_model *m;
    ilk_store *s;
    ilk_error err;
    ilk_ingest_result result;
    char log[1 << 16]; /* of the last ingest: "kind path (reason)\n" in the order told */
    size_t n_log;
    const char *model_name;
} folder;

static inline void folder_tell(void *user, const ilk_event *e)
{
    static const char *const kinds[] = {"?", "indexed", "unchanged", "moved", "removed", "skipped", "failed"};
    folder *f = user;
    size_t room = sizeof f->log - f->n_log;
    int n = snprintf(f->log + f->n_log, room, "%s %s%s%s%s\n", kinds[e->kind], e->path, e->reason ? " (" : "",
                     e->reason ? e->reason : "", e->reason ? ")" : "");
    f->n_log += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

static inline bool folder_open_store(folder *f, const char *path)
{
    ilk_store_options opt;
    ilk_store_options_init(&opt);
    opt.sync = ILK_SYNC_NORMAL;
    ilk_store_close(f->s);
    return CHECK_OK(ilk_store_open(&f->s, f->rt, path, &opt, &f->err), &f->err);
}

/* The store at docs/.ilk; `model`: a folder of tests/fixtures. */
static inline bool folder_open(folder *f, const char *model)
{
    ilk_runtime_options opt;
    memset(f, 0, sizeof *f);
    ilk_error_init(&f->err);
    ilk_ingest_result_init(&f->result);
    ilk_runtime_options_init(&opt);
    opt.n_threads = 2;
    f->top = tree_new();
    f->dir = strdup(tree_path(f->top, "docs"));
    const char *hex;
    f->model_name = model;
    TREE_NEED(f->dir && mkdir(f->dir, 0700) == 0);
    return CHECK_OK(ilk_runtime_open(&f->rt, &opt, &f->err), &f->err) &&
           CHECK_OK(ilk_model_open(&f->m, f->rt, tree_path(ILK_TEST_DIR, "fixtures/%s", model), NULL, &f->err),
                    &f->err) &&
           /* now: a test may become another user, who cannot read the tree */
           CHECK_OK(ilk_model_get_fingerprint(f->m, NULL, &hex, &f->err), &f->err) &&
           folder_open_store(f, tree_path(f->dir, ".ilk"));
}

static inline void folder_close(folder *f)
{
    ilk_store_close(f->s);
    ilk_model_close(f->m);
    ilk_runtime_close(f->rt);
    free(f->dir);
    tree_free(f->top);
}

static inline ilk_ingest_options folder_options(folder *f)
{
    ilk_ingest_options o;
    ilk_ingest_options_init(&o);
    o.event = folder_tell;
    o.event_user = f;
    return o;
}

/* Ingests one path; NULL options: the folder's. */
static inline ilk_status folder_ingest(folder *f, const char *path, const ilk_ingest_options *opt)
{
    ilk_ingest_options o = folder_options(f);
    f->n_log = 0;
    f->log[0] = '\0';
    ilk_ingest_result_init(&f->result);
    return ilk_ingest(f->s, &f->m, 1, &path, 1, opt ? opt : &o, NULL, &f->result, &f->err);
}

static inline bool folder_told(const folder *f, const char *line)
{
    size_t n = strlen(line);
    for (const char *p = f->log; (p = strstr(p, line)); p += n)
        if ((p == f->log || p[-1] == '\n') && p[n] == '\n')
            return true;
    return false;
}
#define CHECK_TOLD(f, line) CHECK_THAT(folder_told((f), (line)), "told\n%s---- but not \"%s\"", (f)->log, (line))

/* A test of one field; *v has to live as long as the filter. */
static inline ilk_filter folder_filter(ilk_filter_op op, const char *field, const char *text, ilk_value *v)
{
    ilk_filter filter;
    ilk_value_init(v);
    ilk_filter_init(&filter);
    v->type = ILK_VALUE_TEXT;
    v->text = text;
    v->n_bytes = strlen(text);
    filter.op = op;
    filter.field = field;
    filter.values = v;
    filter.n_values = 1;
    return filter;
}

/* The best hit of a text; NULL result where the search failed. Freed with ilk_hits_free. */
static inline ilk_hits *folder_search(folder *f, const char *text, uint32_t k)
{
    ilk_hits *h = NULL;
    ilk_part part;
    ilk_input in;
    ilk_query q;
    ilk_part_init(&part);
    ilk_input_init(&in);
    ilk_query_init(&q);
    part.kind = ILK_PART_TEXT;
    part.modality = ILK_TEXT;
    part.data = text;
    part.n_bytes = strlen(text);
    in.parts = &part;
    in.n_parts = 1;
    q.k = k;
    CHECK_OK(ilk_search(f->s, f->m, &in, &q, NULL, &h, &f->err), &f->err);
    return h;
}

static inline ilk_hit folder_hit(const ilk_hits *h, size_t i)
{
    ilk_hit hit;
    ilk_hit_init(&hit);
    ilk_hits_get(h, 0, i, &hit, NULL);
    return hit;
}

#endif
