/* SPDX-License-Identifier: Apache-2.0
 * The table of modalities beside text. A picture is cut into patches, row by row from the left, each a row of the tower:
 * [channel][y][x], every byte through the processor's table. Files are decoded by media's helper program, and then pixels
 * like any others, which media resizes and crops (prepare.h). */
#include "embed/modality.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vfs.h"
#include "embed/state.h"
#include "media/decode.h"
#include "media/prepare.h"

enum { MAX_FILE_BYTES = 256 << 20 };

/* ------------------------------------------------------------------ pictures */

static const ilki_tower_info *picture_tower(const ilk_model *m)
{
    return &m->net->tower[m->image_tower];
}

static ilki_picture picture_of(const ilk_part *p)
{
    return ilki_media_plain(p->data, p->shape[1], p->shape[0], p->shape[2]);
}

/* What the processor makes of a picture must be what the network takes. */
static ilk_status plan_picture(ilki_image_plan *plan, const ilk_model *m, const ilki_picture *in, ilk_error *err)
{
    uint32_t side = picture_tower(m)->image_size;
    ilk_status st = ilki_media_plan(plan, &m->image, in, err);
    if (st == ILK_OK && (plan->width != side || plan->height != side))
        return ilki_base_fail(
            err, ILK_MISMATCH,
            "pixels: expected %u x %u, the network's, found %u x %u, which the processor makes %u x %u", side, side,
            in->height, in->width, plan->height, plan->width);
    return st;
}

static ilk_status check_pixels(const ilk_model *m, const ilk_part *p, ilk_error *err)
{
    size_t n = (size_t)p->shape[0] * p->shape[1] * 3;
    if (p->shape[2] != 3 || p->shape[0] == 0 || p->shape[1] == 0 || p->shape[0] > 1 << 16 || p->shape[1] > 1 << 16)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                              "pixels: expected height, width and 3 channels, found %u x %u x %u", p->shape[0],
                              p->shape[1], p->shape[2]);
    if (p->n_bytes && p->n_bytes != n)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "pixels: expected %zu bytes of %u x %u x 3, found %zu", n,
                              p->shape[0], p->shape[1], p->n_bytes);
    ilki_picture in = picture_of(p);
    ilki_image_plan plan;
    return plan_picture(&plan, m, &in, err);
}

static ilk_status check_rows(const ilk_model *m, const ilk_part *p, ilk_error *err)
{
    uint32_t want[2];
    ilki_embed_rows_shape(m, ILK_IMAGE, want);
    if (p->shape[0] != want[0] || p->shape[1] != want[1])
        return ilki_base_fail(err, ILK_MISMATCH, "rows: expected %u x %u, found %u x %u", want[0], want[1], p->shape[0],
                              p->shape[1]);
    return ILK_OK;
}

static ilk_status check_picture(const ilk_model *m, const ilk_part *p, ilk_error *err)
{
    if (!p->data)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "picture: data is NULL");
    switch (p->kind) {
    case ILK_PART_PIXELS:
        return check_pixels(m, p, err);
    case ILK_PART_ROWS:
        return check_rows(m, p, err);
    case ILK_PART_PATH: /* whatever is wrong with a file is found when it is read */
    case ILK_PART_ENCODED:
        return ILK_OK;
    default:
        return ilki_base_fail(err, ILK_UNSUPPORTED, "picture: expected pixels, rows or a file, found kind %d",
                              (int)p->kind);
    }
}

ilk_status ilki_embed_read_file(const ilk_model *m, const char *path, char **data, size_t *n, ilk_error *err)
{
    const ilki_vfs *vfs = m->rt->vfs;
    ilki_stat info;
    ilk_status st = vfs->stat(vfs, path, true, &info, err);
    if (st == ILK_OK && info.type != ILKI_FILE_REGULAR) /* opening a pipe would wait for its writer */
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected a file, found something else", path);
    return st == ILK_OK ? ilki_base_read_file(vfs, path, MAX_FILE_BYTES, data, n, err) : st;
}

/* A picture on its way: decoded, prepared, either or neither. */
typedef struct sight {
    ilki_media *media;
    ilki_media_picture decoded;
    uint8_t *prepared;
    const uint8_t *pixels; /* [side][side][3], as the processor leaves them */
} sight;

static void end_sight(sight *s)
{
    if (s->media)
        ilki_media_end_picture(s->media, &s->decoded);
    free(s->prepared);
}

/* Where the reference resizes what a file holds, it is decoded to that; else to RGB, where the other reference's conversion
 * makes white of the one colour that a file calls transparent. */
unsigned ilki_embed_decode_how(const ilk_model *m)
{
    if (m->image.family == ILKI_IMAGE_OPEN_CLIP)
        return ILKI_MEDIA_AS_STORED;
    return m->image.rgb ? ILKI_MEDIA_PAINTED : 0;
}

static ilk_status decode_file(sight *s, const ilk_model *m, const ilk_part *p, bool as_is, ilk_job *job, ilk_error *err)
{
    unsigned how = ilki_embed_decode_how(m) | (as_is ? 0 : ILKI_MEDIA_TURNED);
    char *data = NULL;
    size_t n = p->n_bytes;
    ilk_status st = ilki_media_of(m->rt, &s->media, err);
    if (st == ILK_OK && p->kind == ILK_PART_PATH)
        st = ilki_embed_read_file(m, p->data, &data, &n, err);
    if (st != ILK_OK)
        return st;
    st = ilki_media_read_picture(s->media, data ? data : p->data, n, how, job, &s->decoded, err);
    free(data);
    if (st != ILK_OK)
        ilki_base_error_prefix(err, "%s", p->kind == ILK_PART_PATH ? (const char *)p->data : "picture");
    return st;
}

static ilk_status prepare(sight *s, const ilk_model *m, const ilki_picture *in, ilk_job *job, ilk_error *err)
{
    ilki_image_plan plan;
    ilk_status st = plan_picture(&plan, m, in, err);
    s->pixels = in->pixels;
    if (st != ILK_OK || plan.unchanged)
        return st;
    size_t n_bytes = (size_t)plan.width * plan.height * 3; /* the network's own size: checked */
    uint64_t counted = n_bytes + ilki_media_prepare_bytes(&plan, &m->image, in);
    st = ilki_base_runtime_reserve(m->rt, counted, "a picture to be resized", job, err);
    if (st != ILK_OK)
        return st;
    s->pixels = s->prepared = ilki_base_alloc_aligned(n_bytes, 1);
    st = s->prepared ? ilki_media_prepare(s->prepared, m->rt->ops, &m->image, in, job, err)
                     : ilki_base_fail_memory(err, n_bytes, "a picture");
    ilki_base_runtime_release(m->rt, counted);
    return st;
}

/* From pixels of any size or a file. The sight is to be ended, whatever is returned. */
static ilk_status see(sight *s, const ilk_model *m, const ilk_part *p, bool as_is, ilk_job *job, ilk_error *err)
{
    ilki_picture in;
    ilk_status st;
    if (p->kind == ILK_PART_PATH || p->kind == ILK_PART_ENCODED) {
        st = decode_file(s, m, p, as_is, job, err);
        in = ilki_media_view_picture(&s->decoded);
    } else {
        st = check_picture(m, p, err);
        in = picture_of(p);
    }
    return st == ILK_OK ? prepare(s, m, &in, job, err) : st;
}

static void cut_patches(const ilk_model *m, const uint8_t *pixels, float *rows)
{
    const ilki_tower_info *t = picture_tower(m);
    size_t side = t->image_size, p = t->patch_size, across = side / p;
    for (size_t i = 0; i < across * across; i++)
        for (size_t c = 0; c < 3; c++)
            for (size_t y = 0; y < p; y++) {
                const uint8_t *from = pixels + ((i / across * p + y) * side + i % across * p) * 3 + c;
                float *to = rows + i * t->row_dim + (c * p + y) * p;
                for (size_t x = 0; x < p; x++)
                    to[x] = m->pixel_values[c][from[3 * x]];
            }
}

ilk_status ilki_embed_fill_picture(const ilk_model *m, const ilki_picture *in, ilk_job *job, float *rows,
                                   ilk_error *err)
{
    sight s = {0};
    ilk_status st = prepare(&s, m, in, job, err);
    if (st == ILK_OK)
        cut_patches(m, s.pixels, rows);
    end_sight(&s);
    return st;
}

static ilk_status fill_picture(const ilk_model *m, const ilk_part *p, bool as_is, ilk_job *job, float *rows,
                               ilk_error *err)
{
    sight s = {0};
    if (p->kind == ILK_PART_ROWS) {
        memcpy(rows, p->data, (size_t)p->shape[0] * p->shape[1] * sizeof *rows);
        return ILK_OK;
    }
    ilk_status st = see(&s, m, p, as_is, job, err);
    if (st == ILK_OK)
        cut_patches(m, s.pixels, rows);
    end_sight(&s);
    return st;
}

/* ------------------------------------------------------------------ the table */

static const ilki_modality modalities[] = {
    {ILK_IMAGE, "image", check_picture, fill_picture},
};

const ilki_modality *ilki_embed_modality(ilk_modality modality)
{
    for (size_t i = 0; i < sizeof modalities / sizeof *modalities; i++)
        if (modalities[i].modality == modality)
            return &modalities[i];
    return NULL;
}

ilk_modality ilki_embed_part_modality(const ilk_part *p)
{
    if (p->modality)
        return p->modality;
    if (p->kind == ILK_PART_TEXT || p->kind == ILK_PART_IDS)
        return ILK_TEXT;
    return p->kind == ILK_PART_PIXELS ? ILK_IMAGE : (ilk_modality)0;
}

int ilki_embed_tower(const ilk_model *m, ilk_modality modality)
{
    for (unsigned t = 0; t < m->net->n_towers; t++)
        if (m->net->tower[t].modalities & 1U << modality)
            return (int)t;
    return -1;
}

void ilki_embed_rows_shape(const ilk_model *m, ilk_modality modality, uint32_t shape[2])
{
    const ilki_tower_info *t = &m->net->tower[ilki_embed_tower(m, modality)];
    shape[0] = t->max_tokens - t->n_own_rows;
    shape[1] = t->row_dim;
}
