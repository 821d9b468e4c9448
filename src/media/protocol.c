/* SPDX-License-Identifier: Apache-2.0
 * Payloads of the protocol: written and read, on either side. */
#include "media/protocol.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "media/fields.h"

/* ---- writing */

void ilki_media_put_str(ilki_buf *b, const char *s)
{
    size_t n = strlen(s);
    n = n < UINT16_MAX ? n : UINT16_MAX;
    ilki_base_buf_put_u16(b, (uint16_t)n);
    ilki_base_buf_add(b, s, n);
}

void ilki_media_put_hello(ilki_buf *b, const ilki_media_hello *h)
{
    ilki_base_buf_put_u32(b, ILKI_MEDIA_MAGIC);
    ilki_base_buf_put_u16(b, ILKI_MEDIA_VERSION);
    ilki_base_buf_put_u8(b, (uint8_t)h->sandbox);
    ilki_media_put_str(b, h->note);
    ilki_base_buf_put_u16(b, (uint16_t)h->n_rows);
    for (size_t i = 0; i < h->n_rows; i++) {
        ilki_media_put_str(b, h->rows[i].name);
        ilki_media_put_str(b, h->rows[i].lacks);
    }
}

void ilki_media_add_op(ilki_buf *ops, ilki_media_op op, const void *args, size_t n)
{
    ilki_base_buf_put_u16(ops, (uint16_t)op);
    ilki_base_buf_put_u16(ops, (uint16_t)n);
    if (n)
        ilki_base_buf_add(ops, args, n);
}

void ilki_media_add_open(ilki_buf *ops, const char *reader)
{
    ilki_base_buf_put_u16(ops, ILKI_MEDIA_OPEN);
    ilki_base_buf_put_u16(ops, (uint16_t)(2 + strlen(reader)));
    ilki_media_put_str(ops, reader);
}

void ilki_media_add_slot(ilki_buf *ops, uint8_t which)
{
    ilki_media_add_op(ops, ILKI_MEDIA_SLOT, &which, 1);
}

void ilki_media_add_inbox(ilki_buf *ops, uint64_t n)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> 8 * i);
    ilki_media_add_op(ops, ILKI_MEDIA_IN_INBOX, bytes, sizeof bytes);
}

void ilki_media_add_text(ilki_buf *ops, uint64_t most_bytes)
{
    ilki_base_buf_put_u16(ops, ILKI_MEDIA_TEXT);
    ilki_base_buf_put_u16(ops, 8);
    ilki_base_buf_put_u64(ops, most_bytes);
}

static bool next_step(ilki_cur *c, ilki_media_step *s)
{
    s->op = (ilki_media_op)ilki_base_cur_u16(c);
    size_t n = ilki_base_cur_u16(c);
    const unsigned char *args = ilki_base_cur_bytes(c, n);
    ilki_base_cur_init(&s->args, args, args ? n : 0);
    return !c->bad;
}

void ilki_media_put_request(ilki_buf *b, uint32_t id, const void *ops, size_t n_ops_bytes)
{
    ilki_cur c;
    ilki_media_step s;
    uint16_t n = 0;
    ilki_base_cur_init(&c, ops, n_ops_bytes);
    while (ilki_base_cur_left(&c) && next_step(&c, &s))
        n++;
    ilki_base_buf_put_u32(b, id);
    ilki_base_buf_put_u16(b, n);
    ilki_base_buf_add(b, ops, n_ops_bytes);
}

void ilki_media_put_answer(ilki_buf *b, const ilki_media_answer *a)
{
    ilki_base_buf_put_u32(b, a->id);
    ilki_base_buf_put_u16(b, (uint16_t)a->status);
    ilki_base_buf_put_u16(b, (uint16_t)a->form);
    const uint32_t sizes[] = {a->width, a->height, a->channels, a->frames, a->source_width, a->source_height};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        ilki_base_buf_put_u32(b, sizes[i]);
    ilki_base_buf_put_u64(b, a->n_bytes);
    ilki_media_put_str(b, a->message);
    ilki_base_buf_put_u32(b, a->n_fields);
}

/* ---- reading */

bool ilki_media_get_str(ilki_cur *c, char *to, size_t n_to)
{
    size_t n = ilki_base_cur_u16(c), keep = n < n_to - 1 ? n : n_to - 1;
    const unsigned char *p = ilki_base_cur_bytes(c, n);
    to[0] = '\0';
    if (!p || memchr(p, '\0', n) || !ilki_base_utf8_valid((const char *)p, n))
        return false;
    if (keep < n)
        keep = ilki_base_utf8_floor((const char *)p, keep);
    memcpy(to, p, keep);
    to[keep] = '\0';
    return true;
}

ilk_status ilki_media_get_hello(ilki_media_hello *h, const void *data, size_t n, ilk_error *err)
{
    ilki_cur c;
    memset(h, 0, sizeof *h);
    ilki_base_cur_init(&c, data, n);
    if (ilki_base_cur_u32(&c) != ILKI_MEDIA_MAGIC || c.bad)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "hello: expected \"ILKM\" and a version, found %zu other bytes", n);
    unsigned version = ilki_base_cur_u16(&c);
    if (version != ILKI_MEDIA_VERSION || c.bad)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "hello: expected protocol %d, found %u", (int)ILKI_MEDIA_VERSION,
                              version);
    unsigned sandbox = ilki_base_cur_u8(&c);
    bool ok = sandbox < ILKI_MEDIA_SANDBOXES && ilki_media_get_str(&c, h->note, sizeof h->note);
    size_t n_rows = ilki_base_cur_u16(&c);
    ok = ok && n_rows <= ILKI_MEDIA_MAX_ROWS;
    for (size_t i = 0; ok && i < n_rows; i++) {
        ilki_media_row *r = &h->rows[i];
        ok = ilki_media_get_str(&c, r->name, sizeof r->name) && ilki_media_get_str(&c, r->lacks, sizeof r->lacks);
    }
    if (!ok || c.bad || ilki_base_cur_left(&c))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "hello: malformed within its %zu bytes", n);
    h->sandbox = (ilki_media_sandbox)sandbox;
    h->n_rows = n_rows;
    return ILK_OK;
}

ilk_status ilki_media_get_request(uint32_t *id, ilki_media_step steps[ILKI_MEDIA_MAX_OPS], size_t *n_steps,
                                  const void *data, size_t n, ilk_error *err)
{
    ilki_cur c;
    ilki_base_cur_init(&c, data, n);
    *id = ilki_base_cur_u32(&c);
    *n_steps = 0;
    size_t n_ops = ilki_base_cur_u16(&c);
    if (c.bad || n_ops == 0 || n_ops > ILKI_MEDIA_MAX_OPS)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "request: expected 1 to %d operations, found %zu",
                              (int)ILKI_MEDIA_MAX_OPS, n_ops);
    for (size_t i = 0; i < n_ops; i++)
        if (!next_step(&c, &steps[i]))
            return ilki_base_fail(err, ILK_BAD_FORMAT, "request: it ends within operation %zu of %zu", i + 1, n_ops);
    if (ilki_base_cur_left(&c))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "request: %zu bytes behind its last operation",
                              ilki_base_cur_left(&c));
    *n_steps = n_ops;
    return ILK_OK;
}

size_t ilki_media_pixel_bytes(ilki_media_form form)
{
    static const uint8_t bytes[ILKI_MEDIA_FORMS] = {
        [ILKI_MEDIA_FORM_PIXELS] = 3, [ILKI_MEDIA_FORM_PICKED] = 3, [ILKI_MEDIA_FORM_ALPHA] = 4,
        [ILKI_MEDIA_FORM_INK] = 4,    [ILKI_MEDIA_FORM_GRAY16] = 2, [ILKI_MEDIA_FORM_GRAY32] = 2,
    };
    return form < ILKI_MEDIA_FORMS ? bytes[form] : 0;
}

size_t ilki_media_behind_bytes(ilki_media_form form)
{
    return form == ILKI_MEDIA_FORM_PICKED ? (size_t)256 * 3 : 0;
}

/* Bytes that a form of these dimensions has; false: not this form, or too many. */
static bool form_fits(const ilki_media_answer *a)
{
    if (a->form == ILKI_MEDIA_FORM_NONE || a->status != ILK_OK)
        return a->n_bytes == 0;
    if (a->form == ILKI_MEDIA_FORM_TEXT)
        return a->n_bytes > 0;
    if (a->form == ILKI_MEDIA_FORM_FILE)
        return a->n_bytes > 0 && a->n_bytes <= ILKI_MEDIA_MAX_FILE;
    uint64_t n = (uint64_t)a->width * a->height; /* 32 bits each */
    if (n == 0 || a->channels == 0 || a->channels > 4 || a->frames == 0 || n > ILKI_MEDIA_WINDOW)
        return false;
    if (a->form != ILKI_MEDIA_FORM_PIXELS)
        return a->frames == 1 && n * ilki_media_pixel_bytes(a->form) + ilki_media_behind_bytes(a->form) == a->n_bytes;
    return n * a->channels <= ILKI_MEDIA_WINDOW && n * a->channels * a->frames == a->n_bytes;
}

/* What the helper may say about a file. */
static ilk_status allowed_status(unsigned status)
{
    switch (status) {
    case ILK_OK:
    case ILK_BAD_FORMAT:
    case ILK_UNSUPPORTED:
    case ILK_LIMIT:
        return (ilk_status)status;
    case ILK_NO_MEMORY:
        return ILK_LIMIT;
    default:
        return ILK_BAD_FORMAT;
    }
}

/* A decoder's words become part of a line: some end in a newline, and none may begin another. */
static void make_one_line(char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        s[i] = (unsigned char)s[i] < ' ' || s[i] == 0x7f ? ' ' : s[i];
    while (n && s[n - 1] == ' ')
        s[--n] = '\0';
}

ilk_status ilki_media_get_answer(ilki_media_answer *a, const void *data, size_t n, ilk_error *err)
{
    ilki_cur c;
    memset(a, 0, sizeof *a);
    ilki_base_cur_init(&c, data, n);
    a->id = ilki_base_cur_u32(&c);
    unsigned status = ilki_base_cur_u16(&c), form = ilki_base_cur_u16(&c);
    uint32_t *const sizes[] = {&a->width, &a->height, &a->channels, &a->frames, &a->source_width, &a->source_height};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        *sizes[i] = ilki_base_cur_u32(&c);
    a->n_bytes = ilki_base_cur_u64(&c);
    bool ok = ilki_media_get_str(&c, a->message, sizeof a->message);
    make_one_line(a->message);
    a->n_fields = ilki_base_cur_u32(&c);
    if (!ok || c.bad || ilki_base_cur_left(&c) || form >= ILKI_MEDIA_FORMS)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "answer: malformed within its %zu bytes", n);
    a->status = allowed_status(status);
    a->form = (ilki_media_form)form;
    if (a->n_bytes > ILKI_MEDIA_WINDOW || !form_fits(a) || a->n_fields > ILKI_MEDIA_FIELDS_BYTES ||
        a->n_fields > ILKI_MEDIA_WINDOW - a->n_bytes)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "answer: %llu bytes for form %u of %u x %u x %u x %u",
                              (unsigned long long)a->n_bytes, form, a->frames, a->height, a->width, a->channels);
    return ILK_OK;
}
