/* SPDX-License-Identifier: Apache-2.0
 * The table of names: what may be said of a picture, and within which bounds. Whatever lies outside is not believed. */
#include "media/fields.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "media/protocol.h"

#define US_PER_DAY 86400000000.0

static const struct row {
    const char *name;
    ilk_value_type type;
    double least, most; /* of numbers */
} rows[] = {
    {"taken", ILK_VALUE_TIME, -719162 * US_PER_DAY, 2932897 * US_PER_DAY}, /* the years 1 to 9999 */
    {"study_date", ILK_VALUE_TIME, -719162 * US_PER_DAY, 2932897 * US_PER_DAY},
    {"study_modality", ILK_VALUE_TEXT, 0, 0},
    {"body_part", ILK_VALUE_TEXT, 0, 0},
    {"camera_make", ILK_VALUE_TEXT, 0, 0},
    {"camera_model", ILK_VALUE_TEXT, 0, 0},
    {"lens", ILK_VALUE_TEXT, 0, 0},
    {"latitude", ILK_VALUE_REAL, -90, 90},
    {"longitude", ILK_VALUE_REAL, -180, 180},
    {"altitude", ILK_VALUE_REAL, -12000, 100000},
};

static const struct row *find_row(const char *name, ilk_value_type type)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0 && rows[i].type == type)
            return &rows[i];
    return NULL;
}

static bool allowed_number(const struct row *r, double d)
{
    return r && isfinite(d) && d >= r->least && d <= r->most;
}

static bool allowed_text(const char *s)
{
    if (!*s || !ilki_base_utf8_valid(s, strlen(s)))
        return false;
    for (; *s; s++)
        if ((unsigned char)*s < 32 || *s == 127)
            return false;
    return true;
}

static ilki_media_field *next(ilki_media_fields *f, const struct row *r)
{
    if (f->n == ILKI_MEDIA_MAX_FIELDS)
        return NULL;
    for (size_t i = 0; i < f->n; i++)
        if (f->list[i].name == r->name)
            return NULL; /* the first one counts */
    ilki_media_field *to = &f->list[f->n++];
    *to = (ilki_media_field){.name = r->name, .type = r->type};
    return to;
}

/* ---- adding */

static size_t trim(const char *s, size_t n)
{
    while (n && s[n - 1] == ' ')
        n--;
    return n;
}

void ilki_media_add_text_field(ilki_media_fields *f, const char *name, const void *text, size_t n)
{
    enum { MOST = ILKI_MEDIA_FIELD_TEXT - 1 };
    char utf8[ILKI_MEDIA_FIELD_TEXT];
    const char *s = text, *nul = memchr(s, '\0', n);
    const struct row *r = find_row(name, ILK_VALUE_TEXT);
    size_t keep = 0;
    n = nul ? (size_t)(nul - s) : n;
    for (; n && *s == ' '; n--)
        s++;
    n = trim(s, n);
    size_t cut = n > MOST ? ilki_base_utf8_floor(s, MOST) : n;
    if (ilki_base_utf8_valid(s, cut))
        memcpy(utf8, s, keep = cut);
    else
        for (size_t i = 0; i < n && keep < MOST - 1; i++)
            keep += ilki_base_utf8_put((unsigned char)s[i], utf8 + keep);
    keep = trim(utf8, keep);
    utf8[keep] = '\0';
    ilki_media_field *to = r && allowed_text(utf8) ? next(f, r) : NULL;
    if (to)
        memcpy(to->text, utf8, keep + 1);
}

void ilki_media_add_real_field(ilki_media_fields *f, const char *name, double d)
{
    const struct row *r = find_row(name, ILK_VALUE_REAL);
    ilki_media_field *to = allowed_number(r, d) ? next(f, r) : NULL;
    if (to)
        to->d = d;
}

void ilki_media_add_int_field(ilki_media_fields *f, const char *name, ilk_value_type int_or_time, int64_t i)
{
    const struct row *r = find_row(name, int_or_time);
    ilki_media_field *to = allowed_number(r, (double)i) ? next(f, r) : NULL;
    if (to)
        to->i = i;
}

/* ---- bytes */

void ilki_media_put_fields(ilki_buf *b, const ilki_media_fields *f)
{
    ilki_base_buf_put_u16(b, (uint16_t)f->n);
    for (size_t i = 0; i < f->n; i++) {
        const ilki_media_field *x = &f->list[i];
        ilki_media_put_str(b, x->name);
        ilki_base_buf_put_u8(b, (uint8_t)x->type);
        if (x->type == ILK_VALUE_TEXT)
            ilki_media_put_str(b, x->text);
        else if (x->type == ILK_VALUE_REAL)
            ilki_base_buf_put_f64(b, x->d);
        else
            ilki_base_buf_put_u64(b, (uint64_t)x->i);
    }
}

static bool get_field(ilki_media_fields *f, ilki_cur *c)
{
    char name[32], text[ILKI_MEDIA_FIELD_TEXT];
    size_t had = f->n;
    if (!ilki_media_get_str(c, name, sizeof name))
        return false;
    ilk_value_type type = (ilk_value_type)ilki_base_cur_u8(c);
    if (type == ILK_VALUE_TEXT && ilki_media_get_str(c, text, sizeof text) && allowed_text(text))
        ilki_media_add_text_field(f, name, text, strlen(text));
    else if (type == ILK_VALUE_REAL)
        ilki_media_add_real_field(f, name, ilki_base_cur_f64(c));
    else if (type == ILK_VALUE_INT || type == ILK_VALUE_TIME)
        ilki_media_add_int_field(f, name, type, (int64_t)ilki_base_cur_u64(c));
    return !c->bad && f->n == had + 1;
}

ilk_status ilki_media_get_fields(ilki_media_fields *f, const void *data, size_t n, ilk_error *err)
{
    ilki_cur c;
    f->n = 0;
    ilki_base_cur_init(&c, data, n);
    size_t n_fields = ilki_base_cur_u16(&c);
    bool ok = !c.bad && n_fields <= ILKI_MEDIA_MAX_FIELDS;
    for (size_t i = 0; ok && i < n_fields; i++)
        ok = get_field(f, &c);
    if (ok && ilki_base_cur_left(&c) == 0)
        return ILK_OK;
    f->n = 0;
    return ilki_base_fail(err, ILK_BAD_FORMAT, "fields: malformed within their %zu bytes", n);
}
