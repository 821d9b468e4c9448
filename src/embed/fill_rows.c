/* SPDX-License-Identifier: Apache-2.0
 * Parts of a pass to rows of its tower. Files of pictures go in a series (media/series.h), whose helpers are kept busy; then
 * everything else, one task each. A part's failure is its input's alone. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "embed/modality.h"
#include "embed/pass.h"
#include "embed/state.h"
#include "media/dicom.h"
#include "media/series.h"

enum { NS_PER_BYTE = 2 }; /* of rows that are filled */

/* A file on its way. */
typedef struct file {
    size_t seq;
    char *data; /* owned: of a path */
    size_t n;
    bool apart; /* it takes more than one request, so it goes with the others */
} file;

typedef struct fill {
    ilki_pass *p;
    ilk_vectors *v;
    pthread_mutex_t lock; /* guards v: two parts may be of one input */
    file *files;
    size_t n_files;
    bool *done; /* [n_seqs] by the series */
    ilki_media_series *series;
} fill;

static float *rows_of(const fill *f, size_t i, size_t *n)
{
    const ilki_pass *p = f->p;
    const ilki_tower_info *t = &p->m->net->tower[p->tower];
    float *rows = p->rows + (size_t)p->offsets[i] * t->row_dim;
    *n = (p->offsets[i + 1] - p->offsets[i]) * (size_t)t->row_dim;
    memset(rows, 0, (size_t)t->n_own_rows * t->row_dim * sizeof *rows);
    return rows + (size_t)t->n_own_rows * t->row_dim;
}

static void end_part(fill *f, size_t i, ilk_status st, const ilk_error *why)
{
    size_t n;
    float *rows = rows_of(f, i, &n);
    if (st == ILK_OK)
        return;
    const ilki_tower_info *t = &f->p->m->net->tower[f->p->tower];
    memset(rows, 0, (n - (size_t)t->n_own_rows * t->row_dim) * sizeof *rows);
    pthread_mutex_lock(&f->lock);
    ilki_embed_vectors_fail(f->v, f->p->row[i], why);
    pthread_mutex_unlock(&f->lock);
}

static void fill_part(void *arg, size_t i, unsigned slot)
{
    fill *f = arg;
    const ilk_part *part = f->p->parts[i];
    size_t n;
    ilk_error err;
    (void)slot;
    if (f->done && f->done[i])
        return;
    ilk_error_init(&err);
    float *rows = rows_of(f, i, &n);
    const ilki_modality *modality = ilki_embed_modality(ilki_embed_part_modality(part));
    ilk_status st = modality->fill(f->p->m, part, f->p->plan->as_is, f->p->job, rows, &err);
    if (st == ILK_OK && part->kind == ILK_PART_ROWS &&
        !ilki_tensor_finite(rows, (size_t)part->shape[0] * part->shape[1]))
        st = ilki_base_fail(&err, ILK_NOT_FINITE, "rows: expected finite numbers, found a NaN or infinity");
    end_part(f, i, st, &err);
}

/* ------------------------------------------------------------------ files */

static ilk_status wish(void *user, size_t i, ilki_media_wish *out, ilk_error *err)
{
    const fill *f = user;
    file *x = &f->files[i];
    const ilk_part *part = f->p->parts[x->seq];
    ilk_status st = ILK_OK;
    if (part->kind == ILK_PART_PATH && !x->data)
        st = ilki_embed_read_file(f->p->m, part->data, &x->data, &x->n, err);
    if (st != ILK_OK)
        return st;
    unsigned how = ilki_embed_decode_how(f->p->m) | (f->p->plan->as_is ? 0 : ILKI_MEDIA_TURNED);
    *out = (ilki_media_wish){part->data, part->n_bytes, how};
    if (part->kind == ILK_PART_PATH)
        *out = (ilki_media_wish){x->data, x->n, how};
    x->apart = ilki_media_is_dicom(out->data, out->n);
    return x->apart ? ilki_base_fail(err, ILK_UNSUPPORTED, "DICOM, which is converted before") : ILK_OK;
}

/* The file that a helper has decoded by now, whichever it is. */
static void fill_next(void *arg, size_t task, unsigned slot)
{
    fill *f = arg;
    ilki_media_picture p;
    ilk_error err;
    size_t i, n;
    (void)task;
    (void)slot;
    ilk_error_init(&err);
    ilk_status st = ilki_media_series_next(f->series, f->p->job, &i, &p, &err);
    if (i == SIZE_MAX) /* the run is over with the job */
        return;
    file *x = &f->files[i];
    const ilk_part *part = f->p->parts[x->seq];
    if (st == ILK_OK) {
        const ilki_picture in = ilki_media_view_picture(&p);
        st = ilki_embed_fill_picture(f->p->m, &in, f->p->job, rows_of(f, x->seq, &n), &err);
        ilki_media_series_end_picture(f->series, &p);
    } else if (!x->apart && (x->data || part->kind == ILK_PART_ENCODED)) { /* reading tells the path itself */
        ilki_base_error_prefix(&err, "%s", part->kind == ILK_PART_PATH ? (const char *)part->data : "picture");
    }
    free(x->data);
    x->data = NULL;
    if (x->apart)
        return;
    f->done[x->seq] = true;
    end_part(f, x->seq, st, &err);
}

static bool is_file(const ilk_part *part)
{
    return (part->kind == ILK_PART_PATH || part->kind == ILK_PART_ENCODED) &&
           ilki_embed_part_modality(part) == ILK_IMAGE;
}

/* Those that are files of pictures. */
static ilk_status fill_files(fill *f, ilk_error *err)
{
    ilki_pass *p = f->p;
    ilki_media *media;
    f->files = ilki_base_zalloc(p->n_seqs, sizeof *f->files);
    f->done = ilki_base_zalloc(p->n_seqs, sizeof *f->done);
    if (!f->files || !f->done)
        return ilki_base_fail_memory(err, p->n_seqs * sizeof *f->files, "pictures");
    for (size_t i = 0; i < p->n_seqs; i++)
        if (is_file(p->parts[i]))
            f->files[f->n_files++].seq = i;
    ilk_status st = ilki_media_of(p->m->rt, &media, err);
    if (st == ILK_OK)
        st = ilki_media_series_new(&f->series, media, f->n_files, wish, f, err);
    ilki_run run = {.fn = fill_next, .arg = f, .n_tasks = f->n_files, .job = p->job};
    if (st == ILK_OK)
        st = ilki_base_pool_run(p->m->rt->pool, &run, err);
    ilki_media_series_free(f->series);
    for (size_t i = 0; i < f->n_files; i++)
        free(f->files[i].data);
    return st;
}

ilk_status ilki_embed_fill_rows(ilki_pass *p, ilk_vectors *v, ilk_error *err)
{
    fill f = {.p = p, .v = v};
    uint64_t cost = (uint64_t)p->n_tokens * p->m->net->tower[p->tower].row_dim * NS_PER_BYTE;
    if (pthread_mutex_init(&f.lock, NULL) != 0)
        return ilki_base_fail_memory(err, sizeof f.lock, "a lock");
    size_t n = 0;
    for (size_t i = 0; i < p->n_seqs; i++)
        n += is_file(p->parts[i]);
    ilk_status st = n > 1 ? fill_files(&f, err) : ILK_OK; /* one alone waits for its helper in any case */
    ilki_run run = {.fn = fill_part, .arg = &f, .n_tasks = p->n_seqs, .job = p->job, .cost_ns = cost};
    if (st == ILK_OK)
        st = ilki_base_pool_run(p->m->rt->pool, &run, err);
    free(f.files);
    free(f.done);
    pthread_mutex_destroy(&f.lock);
    return st;
}
