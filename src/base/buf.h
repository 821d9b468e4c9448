/* SPDX-License-Identifier: Apache-2.0
 * A growable byte buffer with a ceiling from birth. After a failed append the buffer is empty and every later append
 * fails too, so that a caller may append many times and check once. Contents are always NUL-terminated behind `len`. */
#ifndef ILKI_BASE_BUF_H
#define ILKI_BASE_BUF_H

#include "base/mem.h"

typedef struct ilki_buf {
    char *data; /* NULL while empty */
    size_t len, cap, max;
    bool failed;
    ilk_status why; /* of the first failure */
} ilki_buf;

void ilki_base_buf_init(ilki_buf *b, size_t max_bytes);
void ilki_base_buf_deinit(ilki_buf *b);
void ilki_base_buf_reset(ilki_buf *b); /* empty, failure forgotten, memory kept */
bool ilki_base_buf_add(ilki_buf *b, const void *data, size_t n);
bool ilki_base_buf_adds(ilki_buf *b, const char *s);
bool ilki_base_buf_addc(ilki_buf *b, char c);
bool ilki_base_buf_addf(ilki_buf *b, const char *fmt, ...) ILKI_PRINTF(2, 3);
bool ilki_base_buf_reserve(ilki_buf *b, size_t n); /* room for n more bytes */
void ilki_base_buf_truncate(ilki_buf *b, size_t len);
char *ilki_base_buf_take(ilki_buf *b, size_t *len); /* ownership to the caller (free); the buffer is empty after */
/* The string so far; "" while empty. Borrowed until the next change. */
const char *ilki_base_buf_view(const ilki_buf *b);

/* Empties the buffer and makes it fail from here on, for writers that stand on it; the first status stays. */
void ilki_base_buf_fail(ilki_buf *b, ilk_status why);

/* NO_MEMORY, LIMIT or what a writer has set, with a message that names `what`, for a buffer that has failed; OK
 * otherwise. */
ilk_status ilki_base_buf_check(const ilki_buf *b, const char *what, ilk_error *err);

/* little-endian fixed-width numbers, for formats on disk */
bool ilki_base_buf_put_u8(ilki_buf *b, uint8_t v);
bool ilki_base_buf_put_u16(ilki_buf *b, uint16_t v);
bool ilki_base_buf_put_u32(ilki_buf *b, uint32_t v);
bool ilki_base_buf_put_u64(ilki_buf *b, uint64_t v);
bool ilki_base_buf_put_f32(ilki_buf *b, float v);
bool ilki_base_buf_put_f64(ilki_buf *b, double v);

/* ---- reader over bytes that are not trusted: a cursor with an end. A get past the end returns 0, sets `bad` and
 * moves nothing; a caller may read a whole header and check `bad` once. */
typedef struct ilki_cur {
    const unsigned char *p, *end;
    bool bad;
} ilki_cur;

void ilki_base_cur_init(ilki_cur *c, const void *data, size_t n);
uint8_t ilki_base_cur_u8(ilki_cur *c);
uint16_t ilki_base_cur_u16(ilki_cur *c);
uint32_t ilki_base_cur_u32(ilki_cur *c);
uint64_t ilki_base_cur_u64(ilki_cur *c);
float ilki_base_cur_f32(ilki_cur *c);
double ilki_base_cur_f64(ilki_cur *c);
const unsigned char *ilki_base_cur_bytes(ilki_cur *c, size_t n); /* NULL past the end */
static inline size_t ilki_base_cur_left(const ilki_cur *c)
{
    return (size_t)(c->end - c->p);
}

#endif
