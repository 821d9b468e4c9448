/* SPDX-License-Identifier: Apache-2.0
 * Pictures of a folder. A picture is one item, the file's own, with a vector of every model that sees. It is decoded by a
 * helper, one task of the pool each, and at once becomes what the models' towers read, so that of a picture of 12
 * megapixels some hundred kilobytes wait for their pass. A failure is that picture's alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "embed/modality.h"
#include "engine/ingest.h"
#include "media/dicom.h"

/* What the vectors of a picture are made from: the file, and how it is read. */
static void hash_picture(const ilki_ingest *g, const ilki_file_work *w, uint8_t hash[32])
{
    static const char ways[2][16] = {"picture 1", "picture 1 as is"};
    const char *how = ways[g->no_exif != 0];
    ilki_sha256 h;
    ilki_base_sha256_init(&h);
    ilki_base_sha256_add(&h, w->src.content_hash, 32);
    ilki_base_sha256_add(&h, how, sizeof ways[0]);
    if (g->ocr)
        ilki_base_sha256_add(&h, g->ocr, strlen(g->ocr));
    ilki_base_sha256_end(&h, hash);
}

static ilk_status make_vectors(ilki_ingest *g, ilki_file_work *w, ilk_error *err)
{
    w->n_models = g->n_models;
    w->vectors = ilki_base_zalloc(g->n_models, sizeof *w->vectors);
    w->rows = ilki_base_zalloc(g->n_models, sizeof *w->rows);
    bool ok = w->vectors && w->rows;
    for (size_t m = 0; ok && m < g->n_models; m++)
        if (g->sees >> m & 1)
            ok = (w->vectors[m] = ilki_base_zalloc(g->spaces[m]->dim, sizeof(float))) != NULL;
    return ok ? ILK_OK : ilki_base_fail_memory(err, sizeof **w->vectors, "vectors");
}

static size_t rows_bytes(const ilki_ingest *g, size_t m)
{
    uint32_t shape[2];
    ilki_embed_rows_shape(g->models[m], ILK_IMAGE, shape);
    return (size_t)shape[0] * shape[1] * sizeof(float);
}

ilk_status ilki_engine_plan_picture(ilki_ingest *g, ilki_file_work *w, ilk_error *err)
{
    ilk_status st = g->ocr && !g->ocr_checked && !g->opt->dry_run ? ilki_engine_check_language(g, err) : ILK_OK;
    if (st)
        return st;
    w->passages = ilki_base_zalloc(1, sizeof *w->passages);
    if (!w->passages)
        return ilki_base_fail_memory(err, sizeof *w->passages, "a picture");
    w->n_passages = w->cap_passages = 1;
    w->passages[0] = (ilki_passage){.picture = true, .context = "", .todo = g->sees};
    w->n_embedded = g->sees == 0; /* it is there for its words alone */
    hash_picture(g, w, w->passages[0].hash);
    if (!g->opt->dry_run)
        st = make_vectors(g, w, err);
    if (!st && !g->opt->dry_run)
        st = ilki_engine_reuse_own(g, w, 0, err);
    for (size_t m = 0; !g->opt->dry_run && m < g->n_models; m++)
        if (w->passages[0].todo >> m & 1)
            w->rows_bytes += rows_bytes(g, m);
    return st;
}

/* ------------------------------------------------------------------ rows
 * Half a megabyte each and hundreds under way in turn: given back to the C library one by one they would leave holes that
 * small things settle in, and memory would grow with the folder. */

void ilki_engine_spare_deinit(ilki_ingest *g)
{
    for (size_t m = 0; g->spare && m < g->n_models; m++)
        for (void *rows = g->spare[m], *next; rows; rows = next) {
            memcpy(&next, rows, sizeof next);
            free(rows);
        }
    free(g->spare);
}

static float *new_rows(ilki_ingest *g, size_t m)
{
    pthread_mutex_lock(&g->spare_lock);
    void *rows = g->spare[m];
    if (rows)
        memcpy(&g->spare[m], rows, sizeof rows);
    pthread_mutex_unlock(&g->spare_lock);
    return rows ? rows : malloc(rows_bytes(g, m));
}

void ilki_engine_drop_rows(ilki_ingest *g, ilki_file_work *w, size_t m)
{
    void *rows = w->rows[m];
    size_t n = rows_bytes(g, m);
    w->rows[m] = NULL;
    w->rows_bytes -= n;
    g->rows_bytes -= n;
    pthread_mutex_lock(&g->spare_lock);
    memcpy(rows, &g->spare[m], sizeof rows);
    g->spare[m] = rows;
    pthread_mutex_unlock(&g->spare_lock);
}

/* What the towers of the models `which` read, of one decoding. */
static ilk_status make_rows(ilki_ingest *g, ilki_file_work *w, uint32_t which, const ilki_media_picture *p,
                            ilk_error *err)
{
    ilk_status st = ILK_OK;
    ilki_picture in = ilki_media_view_picture(p);
    for (size_t m = 0; !st && m < g->n_models; m++) {
        if (!(which >> m & 1))
            continue;
        w->rows[m] = new_rows(g, m);
        st = w->rows[m] ? ilki_embed_fill_picture(g->models[m], &in, g->job, w->rows[m], err)
                        : ilki_base_fail_memory(err, rows_bytes(g, m), "a picture");
    }
    return st;
}

/* ------------------------------------------------------------------ decoding */

/* What the file says is taken the first time. */
static unsigned ask_fields(const ilki_ingest *g, const ilki_file_work *w)
{
    return g->no_exif ? 0 : ILKI_MEDIA_TURNED | (w->about ? 0 : ILKI_MEDIA_WITH_FIELDS);
}

/* For the models `which`, which want stored pictures, or of which none does. */
static unsigned ask_how(const ilki_ingest *g, uint32_t which)
{
    unsigned how = 0;
    for (size_t m = 0; m < g->n_models; m++)
        how |= which >> m & 1 ? ilki_embed_decode_how(g->models[m]) : 0;
    return how;
}

static ilk_status take(ilki_ingest *g, ilki_file_work *w, uint32_t which, ilki_media_picture *p, ilk_error *err)
{
    w->width = p->width;
    w->height = p->height;
    if (p->fields) {
        w->about = p->fields;
        p->fields = NULL;
    }
    return w->rows ? make_rows(g, w, which, p, err) : ILK_OK;
}

static ilk_status decode(ilki_ingest *g, ilki_file_work *w, ilki_media *media, uint32_t which, ilk_error *err)
{
    ilki_media_picture p;
    unsigned how = ask_how(g, which) | ask_fields(g, w);
    ilk_status st = ilki_media_read_picture(media, w->data, w->n_data, how, g->job, &p, err);
    if (st)
        return st;
    st = take(g, w, which, &p, err);
    if (!st && g->ocr && !g->opt->dry_run && !(how & ILKI_MEDIA_AS_STORED))
        st = ilki_engine_read_words(g, w, media, &p, err);
    ilki_media_end_picture(media, &p);
    return st;
}

/* Of the models that lack a vector of it, those whose reference resizes what a file holds: they want another decoding than
 * the others. */
static uint32_t want_stored(const ilki_ingest *g, const ilki_file_work *w)
{
    uint32_t stored = 0, todo = w->passages[0].todo;
    for (size_t m = 0; m < g->n_models; m++)
        if (todo >> m & 1 && ilki_embed_decode_how(g->models[m]) & ILKI_MEDIA_AS_STORED)
            stored |= 1U << m;
    return stored;
}

/* By the helpers of this build. */
static ilk_status check(ilki_ingest *g, ilki_file_work *w, ilki_media **media, ilk_error *err)
{
    w->by_helper = true;
    ilk_status st = ilki_media_of(g->rt, media, err);
    if (!st)
        st = ilki_media_check(*media, w->picture, g->job, err);
    w->lacking = st == ILK_UNSUPPORTED;
    return st;
}

bool ilki_engine_is_serial(ilki_ingest *g, ilki_file_work *w)
{
    ilki_media *media;
    uint32_t stored = want_stored(g, w);
    return !g->ocr && (!stored || stored == w->passages[0].todo) && !ilki_media_is_dicom(w->data, w->n_data) &&
           check(g, w, &media, NULL) == ILK_OK;
}

void ilki_engine_wish_picture(const ilki_ingest *g, const ilki_file_work *w, ilki_media_wish *out)
{
    *out = (ilki_media_wish){w->data, w->n_data, ask_how(g, w->passages[0].todo) | ask_fields(g, w)};
}

ilk_status ilki_engine_take_picture(ilki_ingest *g, ilki_file_work *w, ilki_media_picture *p, ilk_error *err)
{
    return take(g, w, w->passages[0].todo, p, err);
}

ilk_status ilki_engine_read_picture(ilki_ingest *g, ilki_file_work *w, ilk_error *err)
{
    ilki_media *media;
    uint32_t stored = want_stored(g, w), todo = w->passages[0].todo;
    ilk_status st = check(g, w, &media, err);
    if (!st && (todo & ~stored || !stored || g->ocr))
        st = decode(g, w, media, todo & ~stored, err);
    if (!st && stored)
        st = decode(g, w, media, stored, err);
    return st;
}
