/* SPDX-License-Identifier: Apache-2.0
 * Zero-shot classification as CLIP's notebooks and open_clip 3.3 zero_shot_classifier.py have it: a class's vector is the
 * mean of its prompts' unit vectors, brought to unit length again; a picture's class is the one whose vector has the largest
 * dot product with the picture's own. Of equal scores the class that comes first is first. Pictures are a stream: memory
 * grows with classes times the dimension, and with paths. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "embed/many.h"
#include "embed/rank.h"
#include "embed/state.h"
#include "tasks/captions.h"
#include "tasks/files.h"
#include "tasks/prompts.h"
#include "tasks/tasks.h"

#define BATCH_PICTURES 256
#define BATCH_PROMPTS  4096
#define MAX_CLASSES    ((size_t)1 << 20)
#define MAX_TEXT       ((size_t)1 << 28)
#define TOP            5

typedef struct class
{
    const char *id, *name; /* of its folder or label; in the prompts */
    uint64_t n, top1, top5;
} class;

typedef struct zeroshot {
    ilk_model *m;
    const ilki_vfs *vfs;
    const char *place;
    const ilk_zeroshot_options *opt;
    ilk_job *job;
    ilki_notes notes;
    ilki_arena arena; /* names, paths */
    class *classes;   /* [n_classes] by id */
    size_t n_classes, cap_classes;
    const char **paths; /* [n_pictures] */
    uint32_t *of;       /* [n_pictures] its class */
    size_t n_pictures, cap_pictures;
    ilki_prompts prompts;
    float *vectors; /* [n_classes][dim] */
    float *rows;    /* [BATCH_PICTURES][dim] */
    float *scores;  /* [n_classes] */
    bool *bad;      /* [BATCH_PICTURES] */
    size_t first;   /* picture of the batch */
} zeroshot;

/* ------------------------------------------------------------------ classes and pictures */

static ilk_status add_class(zeroshot *z, const char *id, ilk_error *err)
{
    if (z->n_classes == z->cap_classes) {
        size_t cap = z->cap_classes ? z->cap_classes * 2 : 256;
        class *classes = realloc(z->classes, cap * sizeof *classes);
        if (!classes)
            return ilki_base_fail_memory(err, cap * sizeof *classes, "classes");
        z->classes = classes;
        z->cap_classes = cap;
    }
    char *kept = ilki_base_arena_strndup(&z->arena, id, strlen(id)),
         *name = ilki_base_arena_strndup(&z->arena, id, strlen(id));
    if (!kept || !name)
        return ilki_base_fail_memory(err, strlen(id), "a class");
    for (char *s = name; *s; s++)
        *s = *s == '_' ? ' ' : *s;
    z->classes[z->n_classes++] = (class){.id = kept, .name = name};
    return z->n_classes <= MAX_CLASSES
               ? ILK_OK
               : ilki_base_fail(err, ILK_LIMIT, "%s: more than %zu classes", z->place, MAX_CLASSES);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const class *)a)->id, ((const class *)b)->id);
}

static class *find_class(const zeroshot *z, const char *id)
{
    class key = {.id = id};
    return z->n_classes ? bsearch(&key, z->classes, z->n_classes, sizeof key, by_id) : NULL;
}

static ilk_status add_picture(zeroshot *z, const char *path, const class *c, ilk_error *err)
{
    if (z->n_pictures == z->cap_pictures) {
        size_t cap = z->cap_pictures ? z->cap_pictures * 2 : 1024;
        const char **paths = realloc(z->paths, cap * sizeof *paths);
        if (paths)
            z->paths = paths;
        uint32_t *of = paths ? realloc(z->of, cap * sizeof *of) : NULL;
        if (!of)
            return ilki_base_fail_memory(err, cap * sizeof *of, "pictures");
        z->of = of;
        z->cap_pictures = cap;
    }
    const char *kept = ilki_base_arena_strndup(&z->arena, path, strlen(path));
    if (!kept)
        return ilki_base_fail_memory(err, strlen(path), "a path");
    z->paths[z->n_pictures] = kept;
    z->of[z->n_pictures++] = (uint32_t)(c - z->classes);
    return ILK_OK;
}

/* ---- a folder for each class */

typedef struct top_entries {
    zeroshot *z;
    ilk_status status;
    ilk_error *err;
} top_entries;

static bool add_top_entry(void *user, const char *name, ilki_file_type type)
{
    top_entries *t = user;
    ilki_stat info;
    (void)type;
    if (name[0] == '.')
        return true;
    char *path = ilki_base_path_join(t->z->place, name);
    if (!path)
        t->status = ilki_base_fail_memory(t->err, strlen(name), "a path");
    else if (t->z->vfs->stat(t->z->vfs, path, true, &info, NULL) != ILK_OK || info.type != ILKI_FILE_DIR)
        t->status = ilki_tasks_junk(&t->z->notes, path, 0, t->err, "expected a folder for each class");
    else
        t->status = add_class(t->z, name, t->err);
    free(path);
    return t->status == ILK_OK;
}

static ilk_status read_class(zeroshot *z, const class *c, ilk_error *err)
{
    ilki_file_list files = {0};
    char *dir = ilki_base_path_join(z->place, c->id), *path;
    ilk_status st = dir ? ilki_tasks_list_files(&files, z->vfs, dir, err)
                        : ilki_base_fail_memory(err, strlen(c->id), "a path");
    if (st == ILK_OK && files.n == 0)
        ilki_tasks_note(&z->notes, "%s: no pictures: a class that is never right", dir);
    for (size_t i = 0; i < files.n && st == ILK_OK; i++) {
        path = ilki_base_path_join(dir, files.path[i]);
        st = path ? add_picture(z, path, c, err) : ilki_base_fail_memory(err, strlen(files.path[i]), "a path");
        free(path);
    }
    ilki_tasks_file_list_deinit(&files);
    free(dir);
    return st;
}

static ilk_status read_folders(zeroshot *z, ilk_error *err)
{
    top_entries t = {z, ILK_OK, err};
    ilk_status st = z->vfs->list(z->vfs, z->place, add_top_entry, &t, err);
    if (st == ILK_OK)
        st = t.status;
    if (st == ILK_OK && z->n_classes)
        qsort(z->classes, z->n_classes, sizeof *z->classes, by_id);
    for (size_t i = 0; i < z->n_classes && st == ILK_OK; i++)
        st = read_class(z, &z->classes[i], err);
    return st;
}

/* ---- a file of labels */

static ilk_status read_labels(zeroshot *z, const char *file, ilk_error *err)
{
    ilki_captions said;
    ilk_status st = ilki_tasks_read_captions(&said, z->vfs, file, ILKI_SAID_LABEL, &z->notes, err);
    for (size_t i = 0; i < said.texts.n && st == ILK_OK; i++)
        st = add_class(z, said.texts.name[i], err);
    if (st == ILK_OK)
        qsort(z->classes, z->n_classes, sizeof *z->classes, by_id);
    for (size_t i = 0; i < said.n && st == ILK_OK; i++) {
        const char *path = said.pictures.name[said.list[i].picture], *label = said.texts.name[said.list[i].text];
        if (i && said.list[i].picture == said.list[i - 1].picture)
            st = ilki_tasks_junk(&z->notes, path, 0, err, "it has a label already, \"%s\" is passed over", label);
        else
            st = add_picture(z, path, find_class(z, label), err);
    }
    ilki_tasks_captions_deinit(&said);
    return st;
}

static ilk_status read_pictures(zeroshot *z, ilk_error *err)
{
    ilki_stat info;
    ilk_status st = z->vfs->stat(z->vfs, z->place, true, &info, err);
    if (st != ILK_OK)
        return st;
    bool folder = info.type == ILKI_FILE_DIR;
    char *file = NULL;
    if (folder && (st = ilki_tasks_captions_file(z->vfs, z->place, ILKI_SAID_LABEL, &file, err)) != ILK_OK)
        return st;
    if (folder && !file)
        st = read_folders(z, err);
    else
        st = read_labels(z, file ? file : z->place, err);
    free(file);
    if (st == ILK_OK && (z->n_classes < 2 || z->n_pictures == 0))
        st = ilki_base_fail(err, ILK_BAD_FORMAT,
                            "%s: expected pictures in a folder for each class, or a file of labels, of two classes at "
                            "least; found %zu classes and %zu files",
                            z->place, z->n_classes, z->n_pictures);
    return st;
}

/* "ID <tab> NAME" for some, or a name per line for all of them in the order of their ids. */
static ilk_status read_names(zeroshot *z, const char *file, ilk_error *err)
{
    ilki_lines l;
    const char *text;
    size_t n, at = 0, n_lines = 0;
    ilk_status st = ilki_tasks_lines_open(&l, z->vfs, file, err);
    while (st == ILK_OK && (st = ilki_tasks_lines_next(&l, &text, &n, err)) == ILK_OK && text) {
        const char *tab = n ? memchr(text, '\t', n) : NULL;
        if (n == 0 && !l.too_long)
            continue;
        n_lines++;
        char *id = tab ? ilki_base_strndup(text, (size_t)(tab - text)) : NULL;
        class *c = tab ? (id ? find_class(z, id) : NULL) : at < z->n_classes ? &z->classes[at++] : NULL;
        const char *name = tab ? tab + 1 : text;
        size_t len = n - (size_t)(name - text);
        if (tab && !id)
            st = ilki_base_fail_memory(err, n, "a name");
        else if (!c || l.too_long || !ilki_tasks_is_id(name, len))
            st = ilki_tasks_junk(&z->notes, file, l.line, err, "expected a class of %s, a tab and its name", z->place);
        else if (!(c->name = ilki_base_arena_strndup(&z->arena, name, len)))
            st = ilki_base_fail_memory(err, len, "a name");
        free(id);
    }
    ilki_tasks_lines_close(&l);
    if (st == ILK_OK && at && n_lines != z->n_classes)
        st = ilki_base_fail(
            err, ILK_MISMATCH,
            "%s: expected a name for each of %zu classes in the order of their ids, or lines of an id, a "
            "tab and a name; found %zu lines",
            file, z->n_classes, n_lines);
    return st;
}

/* ------------------------------------------------------------------ vectors of classes */

static ilk_status prompt_failed(void *user, size_t i, const char *message, ilk_error *err)
{
    (void)user;
    return ilki_base_fail(err, ILK_BAD_FORMAT, "prompt %zu of a class: %s", i, message);
}

/* Classes [first, first + n): each the mean of its prompts' vectors. */
static ilk_status embed_classes(zeroshot *z, size_t first, size_t n, float *rows, ilk_error *err)
{
    size_t dim = z->m->info.dim, k = z->prompts.n, n_strings = n * k;
    ilki_buf text;
    ilki_base_buf_init(&text, MAX_TEXT);
    size_t *at = ilki_base_zalloc(n_strings, sizeof *at);
    const char **strings = ilki_base_zalloc(n_strings, sizeof *strings);
    ilk_status st = at && strings ? ILK_OK : ilki_base_fail_memory(err, n_strings * sizeof *at, "prompts");
    for (size_t i = 0; st == ILK_OK && i < n_strings; i++) {
        at[i] = text.len;
        ilki_tasks_fill_prompt(&text, z->prompts.text[i % k], z->classes[first + i / k].name);
        ilki_base_buf_addc(&text, 0);
        st = ilki_base_buf_check(&text, "prompts", err);
    }
    for (size_t i = 0; st == ILK_OK && i < n_strings; i++)
        strings[i] = text.data + at[i];
    ilki_many how = {.modality = ILK_TEXT,
                     .stage = "classes",
                     .done = first * k,
                     .total = z->n_classes * k,
                     .failed = prompt_failed};
    if (st == ILK_OK)
        st = ilki_embed_many(z->m, strings, n_strings, &how, z->job, rows, err);
    for (size_t c = 0; st == ILK_OK && c < n; c++) {
        double length = 0;
        float *to = z->vectors + (first + c) * dim;
        for (size_t d = 0; d < dim; d++) {
            double sum = 0;
            for (size_t i = 0; i < k; i++)
                sum += (double)rows[(c * k + i) * dim + d];
            to[d] = (float)(sum / (double)k);
            length += (double)to[d] * (double)to[d];
        }
        for (size_t d = 0; d < dim && length > 0; d++)
            to[d] = (float)((double)to[d] / sqrt(length));
    }
    free((void *)strings);
    free(at);
    ilki_base_buf_deinit(&text);
    return st;
}

static ilk_status make_classes(zeroshot *z, ilk_error *err)
{
    size_t dim = z->m->info.dim, some = BATCH_PROMPTS / z->prompts.n, n_floats = 0;
    some = some ? some : 1;
    some = some < z->n_classes ? some : z->n_classes;
    float *rows = ilki_base_mul(some * z->prompts.n, dim, &n_floats) ? ilki_base_zalloc(n_floats, sizeof *rows) : NULL;
    z->vectors = ilki_base_mul(z->n_classes, dim, &n_floats) ? ilki_base_zalloc(n_floats, sizeof *z->vectors) : NULL;
    ilk_status st = rows && z->vectors ? ILK_OK : ilki_base_fail_memory(err, n_floats * sizeof *rows, "classes");
    for (size_t first = 0; first < z->n_classes && st == ILK_OK; first += some)
        st = embed_classes(z, first, z->n_classes - first < some ? z->n_classes - first : some, rows, err);
    free(rows);
    return st;
}

/* ------------------------------------------------------------------ pictures */

static ilk_status picture_failed(void *user, size_t i, const char *message, ilk_error *err)
{
    zeroshot *z = user;
    z->bad[i] = true;
    return ilki_tasks_junk(&z->notes, z->paths[z->first + i], 0, err, "%s", message);
}

static ilk_status classify(zeroshot *z, ilk_error *err)
{
    size_t dim = z->m->info.dim;
    z->rows = ilki_base_zalloc(BATCH_PICTURES * dim, sizeof *z->rows);
    z->scores = ilki_base_zalloc(z->n_classes, sizeof *z->scores);
    z->bad = ilki_base_zalloc(BATCH_PICTURES, sizeof *z->bad);
    ilk_status st = z->rows && z->scores && z->bad ? ILK_OK
                                                   : ilki_base_fail_memory(err, BATCH_PICTURES * dim, "pictures");
    ilki_many how = {
        .modality = ILK_IMAGE, .stage = "pictures", .total = z->n_pictures, .failed = picture_failed, .user = z};
    for (z->first = 0; z->first < z->n_pictures && st == ILK_OK; z->first += BATCH_PICTURES) {
        size_t n = z->n_pictures - z->first < BATCH_PICTURES ? z->n_pictures - z->first : BATCH_PICTURES;
        memset(z->bad, 0, BATCH_PICTURES * sizeof *z->bad);
        how.done = z->first;
        st = ilki_embed_many(z->m, z->paths + z->first, n, &how, z->job, z->rows, err);
        for (size_t i = 0; i < n && st == ILK_OK; i++) {
            class *c = &z->classes[z->of[z->first + i]];
            if (z->bad[i])
                continue;
            z->m->rt->ops->dot_f32_rows(z->scores, z->rows + i * dim, z->vectors, dim, z->n_classes, dim);
            size_t place = ilki_embed_first_place(z->scores, z->n_classes, &z->of[z->first + i], 1);
            c->n++;
            c->top1 += place == 0;
            c->top5 += place < TOP;
        }
    }
    return st;
}

static ilk_status sum_up(const zeroshot *z, ilk_zeroshot_result *r, ilk_error *err)
{
    uint64_t top1 = 0, top5 = 0, seen = 0;
    double mean = 0;
    r->n_classes = z->n_classes;
    r->n_prompts = z->prompts.n;
    r->n_junk = z->notes.n_junk;
    for (size_t i = 0; i < z->n_classes; i++) {
        const class *c = &z->classes[i];
        r->n_pictures += c->n;
        top1 += c->top1;
        top5 += c->top5;
        if (c->n) {
            mean += (double)c->top1 / (double)c->n;
            seen++;
        }
        if (z->opt->each)
            z->opt->each(z->opt->user, &(ilk_zeroshot_class){.size = sizeof(ilk_zeroshot_class),
                                                             .id = c->id,
                                                             .name = c->name,
                                                             .n_pictures = c->n,
                                                             .n_top1 = c->top1,
                                                             .n_top5 = c->top5});
    }
    if (r->n_pictures == 0)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: none of %zu files is a picture that can be read", z->place,
                              z->n_pictures);
    r->top1 = (double)top1 / (double)r->n_pictures;
    r->top5 = (double)top5 / (double)r->n_pictures;
    r->mean_per_class = mean / (double)seen;
    return ILK_OK;
}

ilk_status ilki_tasks_zeroshot(ilk_model *m, const char *place, const ilk_zeroshot_options *opt, ilk_job *job,
                               ilk_zeroshot_result *result, ilk_error *err)
{
    zeroshot z = {.m = m,
                  .vfs = m->rt->vfs,
                  .place = place,
                  .opt = opt,
                  .job = job,
                  .notes = {.fn = opt->note, .user = opt->user, .strict = opt->strict != 0}};
    uint64_t start = ilki_base_now_ns();
    ilk_status st = ilki_embed_need(m, 1u << ILK_TEXT | 1u << ILK_IMAGE, err);
    if (st == ILK_OK && opt->templates)
        st = ilki_tasks_read_prompts(&z.prompts, z.vfs, opt->templates, &z.notes, err);
    else if (st == ILK_OK)
        st = ilki_tasks_clip_prompts(&z.prompts, opt->prompts ? opt->prompts : 80, err);
    if (st == ILK_OK)
        st = read_pictures(&z, err);
    if (st == ILK_OK && opt->classnames)
        st = read_names(&z, opt->classnames, err);
    if (st == ILK_OK)
        st = make_classes(&z, err);
    if (st == ILK_OK)
        st = classify(&z, err);
    if (st == ILK_OK)
        st = sum_up(&z, result, err);
    result->seconds = (double)(ilki_base_now_ns() - start) * 1e-9;
    ilki_tasks_prompts_deinit(&z.prompts);
    ilki_base_arena_deinit(&z.arena);
    free(z.classes);
    free((void *)z.paths);
    free(z.of);
    free(z.vectors);
    free(z.rows);
    free(z.scores);
    free(z.bad);
    return st;
}
