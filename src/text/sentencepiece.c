/* SPDX-License-Identifier: Apache-2.0
 * Models of SentencePiece: of the protobuf (sentencepiece_model.proto) the pieces with score and type, the map of
 * characters, and what the trainer wrote about the unknown piece. Every length is checked; other fields are passed over,
 * and one that comes twice counts as it came last. */
#include "text/sentencepiece.h"

#include <string.h>

#include "base/utf8.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

typedef struct cursor {
    const unsigned char *p, *end;
} cursor;

/* One field: `value` of a number, or the bytes [at, at + n). */
typedef struct field {
    uint32_t number;
    int kind;
    uint64_t value;
    const unsigned char *at;
    size_t n;
} field;

static bool read_varint(cursor *c, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && c->p < c->end; shift += 7) {
        unsigned char b = *c->p++;
        *out |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return true;
    }
    return false;
}

static bool read_field(cursor *c, field *f)
{
    uint64_t key, n = 0;
    if (!read_varint(c, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return false;
    *f = (field){.number = (uint32_t)(key >> 3), .kind = (int)(key & 7)};
    if (f->kind == VARINT)
        return read_varint(c, &f->value);
    if (f->kind == BYTES && !read_varint(c, &n))
        return false;
    if (f->kind != BYTES)
        n = f->kind == FIXED64 ? 8 : 4;
    if ((f->kind != BYTES && f->kind != FIXED64 && f->kind != FIXED32) || n > (uint64_t)(c->end - c->p))
        return false;
    f->at = c->p;
    f->n = (size_t)n;
    c->p += n;
    return true;
}

static float float_of(const field *f)
{
    uint32_t bits = (uint32_t)f->at[0] | (uint32_t)f->at[1] << 8 | (uint32_t)f->at[2] << 16 | (uint32_t)f->at[3] << 24;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static bool read_piece(const field *f, ilki_spm_piece *p)
{
    cursor c = {f->at, f->at + f->n};
    field g;
    *p = (ilki_spm_piece){.text = "", .type = ILKI_SPM_NORMAL};
    while (c.p < c.end) {
        if (!read_field(&c, &g))
            return false;
        if (g.number == 1 && g.kind == BYTES) {
            p->text = (const char *)g.at;
            p->n = g.n;
        } else if (g.number == 2 && g.kind == FIXED32) {
            p->score = float_of(&g);
        } else if (g.number == 3 && g.kind == VARINT) {
            p->type = (int)(g.value & 0xff);
        }
    }
    return ilki_base_utf8_valid(p->text, p->n);
}

static bool read_specs(ilki_spm *m, const field *f)
{
    cursor c = {f->at, f->at + f->n};
    field g;
    while (c.p < c.end) {
        if (!read_field(&c, &g))
            return false;
        if (f->number == 2 && g.number == 3 && g.kind == VARINT)
            m->model_type = (int)(g.value & 0xff);
        if (f->number == 3 && g.number == 2 && g.kind == BYTES) {
            m->charsmap = (const char *)g.at;
            m->n_charsmap = g.n;
        }
    }
    return true;
}

/* One pass over the file: counts the pieces while m->pieces is NULL, else reads them and the rest. */
static bool read_pass(ilki_spm *m, const ilki_text_file *file)
{
    cursor c = {(const unsigned char *)file->data, (const unsigned char *)file->data + file->n};
    field f;
    m->n = 0;
    while (c.p < c.end) {
        if (!read_field(&c, &f))
            return false;
        bool piece = f.number == 1 && f.kind == BYTES;
        if (piece && m->pieces && !read_piece(&f, &m->pieces[m->n]))
            return false;
        m->n += piece;
        if ((f.number == 2 || f.number == 3) && f.kind == BYTES && !read_specs(m, &f))
            return false;
    }
    return true;
}

ilk_status ilki_text_spm_read(ilki_spm *m, const ilki_text_file *file, const ilki_text_reader *r)
{
    *m = (ilki_spm){.model_type = ILKI_SPM_UNIGRAM};
    if (!read_pass(m, file))
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: not a model of SentencePiece", r->name);
    if (m->n > ILKI_TEXT_MAX_ID)
        return ilki_base_fail(r->err, ILK_LIMIT, "%s: %zu pieces, at most %d are taken", r->name, m->n,
                              ILKI_TEXT_MAX_ID);
    m->pieces = ilki_base_arena_alloc(r->arena, m->n, sizeof *m->pieces);
    if (!m->pieces)
        return ilki_base_fail_memory(r->err, m->n * sizeof *m->pieces, "the pieces of a model");
    if (!read_pass(m, file))
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: piece %zu is malformed", r->name, m->n);
    return ILK_OK;
}
