/* SPDX-License-Identifier: Apache-2.0
 * Pictures of a folder. A picture is one item, the file's own, with a vector of every model that sees. It is decoded by a
 * helper, one task of the pool each, and at once becomes what the models' towers read, so that of a picture of 12
 * megapixels some hundred kilobytes wait for their pass. A failure is that picture's alone. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "embed/modality.h"
#include "engine/ingest.h"
#include "media/decode.h"

/* What the vectors of a picture are made from: the file, and how it is read. */
static void hash_picture(ilki_file_work *w, uint8_t hash[32])
{
    static const char how[] = "picture 1";
    ilki_sha256 h;
    ilki_base_sha256_init(&h);
    ilki_base_sha256_add(&h, w->src.content_hash, 32);
    ilki_base_sha256_add(&h, how, sizeof how);
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
    ilk_status st = ILK_OK;
    w->passages = ilki_base_zalloc(1, sizeof *w->passages);
    if (!w->passages)
        return ilki_base_fail_memory(err, sizeof *w->passages, "a picture");
    w->n_passages = w->cap_passages = 1;
    w->passages[0] = (ilki_passage){.picture = true, .context = "", .todo = g->sees};
    hash_picture(w, w->passages[0].hash);
    if (!g->opt->dry_run)
        st = make_vectors(g, w, err);
    if (!st && !g->opt->dry_run)
        st = ilki_engine_reuse_own(g, w, 0, err);
    for (size_t m = 0; !g->opt->dry_run && m < g->n_models; m++)
        if (w->passages[0].todo >> m & 1)
            w->rows_bytes += rows_bytes(g, m);
    return st;
}

/* What the tower of model m reads of the pixels. */
static ilk_status make_rows(ilki_ingest *g, ilki_file_work *w, size_t m, const ilki_media_picture *p, ilk_error *err)
{
    ilki_picture in = ilki_media_view_picture(p);
    w->rows[m] = malloc(rows_bytes(g, m));
    if (!w->rows[m])
        return ilki_base_fail_memory(err, rows_bytes(g, m), "a picture");
    return ilki_embed_fill_picture(g->models[m], &in, g->job, w->rows[m], err);
}

ilk_status ilki_engine_read_picture(ilki_ingest *g, ilki_file_work *w, ilk_error *err)
{
    ilki_media *media = NULL;
    ilki_media_picture p = {0};
    w->by_helper = true;
    ilk_status st = ilki_media_of(g->rt, &media, err);
    if (!st)
        st = ilki_media_check(media, w->picture, g->job, err);
    w->lacking = st == ILK_UNSUPPORTED;
    if (!st)
        st = ilki_media_read_picture(media, w->data, w->n_data, ILKI_MEDIA_TURNED | ILKI_MEDIA_AS_STORED, g->job, &p,
                                     err);
    w->width = p.width;
    w->height = p.height;
    for (size_t m = 0; !st && w->rows && m < g->n_models; m++)
        if (w->passages[0].todo >> m & 1)
            st = make_rows(g, w, m, &p, err);
    if (media)
        ilki_media_end_picture(media, &p);
    return st;
}
