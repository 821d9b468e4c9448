/* SPDX-License-Identifier: Apache-2.0
 * What a picture's file says about the picture: typed fields of a closed list of names, made by the helper, checked here. */
#ifndef ILKI_MEDIA_FIELDS_H
#define ILKI_MEDIA_FIELDS_H

#include "base/buf.h"

enum { ILKI_MEDIA_MAX_FIELDS = 16, ILKI_MEDIA_FIELD_TEXT = 128, ILKI_MEDIA_FIELDS_BYTES = 4096 };

typedef struct ilki_media_field {
    const char *name; /* of the table in fields.c */
    ilk_value_type type;
    int64_t i; /* INT; TIME: microseconds since 1970 */
    double d;  /* REAL */
    char text[ILKI_MEDIA_FIELD_TEXT];
} ilki_media_field;

typedef struct ilki_media_fields {
    ilki_media_field list[ILKI_MEDIA_MAX_FIELDS];
    size_t n;
} ilki_media_fields;

/* Each adds a field, or nothing where the value is none that its name may have (fields.c) or the list is full. Text is
 * trimmed of blanks and NULs at its end, cut at a character; Latin-1 where it is no UTF-8. */
void ilki_media_add_text_field(ilki_media_fields *f, const char *name, const void *text, size_t n);
void ilki_media_add_real_field(ilki_media_fields *f, const char *name, double d);
void ilki_media_add_int_field(ilki_media_fields *f, const char *name, ilk_value_type int_or_time, int64_t i);

/* u16 n, n of {str name, u8 type, i64 or f64 or str}: at most ILKI_MEDIA_FIELDS_BYTES. */
void ilki_media_put_fields(ilki_buf *b, const ilki_media_fields *f);
/* BAD_FORMAT: no such bytes, a name that is not in the table, a value that it may not have. */
ilk_status ilki_media_get_fields(ilki_media_fields *f, const void *data, size_t n, ilk_error *err);

#endif
