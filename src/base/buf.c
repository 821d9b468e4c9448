/* SPDX-License-Identifier: Apache-2.0
 * The growable buffer and the byte cursor. cap counts the NUL's byte too; max does not. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ilki_base_buf_init(ilki_buf *b, size_t max_bytes)
{
    *b = (ilki_buf){.max = max_bytes < PTRDIFF_MAX ? max_bytes : PTRDIFF_MAX - 1};
}

void ilki_base_buf_deinit(ilki_buf *b)
{
    free(b->data);
    ilki_base_buf_init(b, b->max);
}

void ilki_base_buf_reset(ilki_buf *b)
{
    b->len = 0;
    b->failed = false;
    b->why = ILK_OK;
    if (b->data)
        b->data[0] = '\0';
}

void ilki_base_buf_fail(ilki_buf *b, ilk_status why)
{
    if (b->failed)
        return;
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
    b->failed = true;
    b->why = why;
}

bool ilki_base_buf_reserve(ilki_buf *b, size_t n)
{
    if (b->failed)
        return false;
    if (n > b->max - b->len) {
        ilki_base_buf_fail(b, ILK_LIMIT);
        return false;
    }
    size_t need = b->len + n + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap < 32 ? 64 : b->cap + b->cap / 2;
    if (cap > b->max)
        cap = b->max + 1;
    if (cap < need)
        cap = need;
    char *data = realloc(b->data, cap);
    if (!data) {
        ilki_base_buf_fail(b, ILK_NO_MEMORY);
        return false;
    }
    if (!b->data)
        data[0] = '\0';
    b->data = data;
    b->cap = cap;
    return true;
}

bool ilki_base_buf_add(ilki_buf *b, const void *data, size_t n)
{
    if (!ilki_base_buf_reserve(b, n))
        return false;
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = '\0';
    return true;
}

bool ilki_base_buf_adds(ilki_buf *b, const char *s)
{
    return ilki_base_buf_add(b, s, strlen(s));
}

bool ilki_base_buf_addc(ilki_buf *b, char c)
{
    return ilki_base_buf_add(b, &c, 1);
}

bool ilki_base_buf_addf(ilki_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        ilki_base_buf_fail(b, ILK_BAD_ARGUMENT);
        return false;
    }
    if (!ilki_base_buf_reserve(b, (size_t)n))
        return false;
    va_start(args, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n;
    return true;
}

void ilki_base_buf_truncate(ilki_buf *b, size_t len)
{
    if (len < b->len) {
        b->len = len;
        b->data[len] = '\0';
    }
}

char *ilki_base_buf_take(ilki_buf *b, size_t *len)
{
    char *data = NULL;
    size_t n = 0;
    if (ilki_base_buf_reserve(b, 0)) {
        data = b->data;
        n = b->len;
        ilki_base_buf_init(b, b->max);
    }
    if (len)
        *len = n;
    return data;
}

const char *ilki_base_buf_view(const ilki_buf *b)
{
    return b->data ? b->data : "";
}

ilk_status ilki_base_buf_check(const ilki_buf *b, const char *what, ilk_error *err)
{
    if (!b->failed)
        return ILK_OK;
    if (b->why == ILK_LIMIT)
        return ilki_base_fail(err, ILK_LIMIT, "%s: longer than its limit of %zu bytes", what, b->max);
    return ilki_base_fail(err, b->why, "%s: %s", what, ilk_status_string(b->why));
}

/* ---- numbers, little-endian on every machine */

/* Inline, so that n is known and the loop becomes one store: records are made of these. */
static inline bool put_le(ilki_buf *b, uint64_t v, size_t n)
{
    if (b->cap <= n || b->len >= b->cap - n) { /* no room for n and the NUL */
        if (!ilki_base_buf_reserve(b, n))
            return false;
    }
    const unsigned char bytes[8] = {(unsigned char)v,         (unsigned char)(v >> 8),  (unsigned char)(v >> 16),
                                    (unsigned char)(v >> 24), (unsigned char)(v >> 32), (unsigned char)(v >> 40),
                                    (unsigned char)(v >> 48), (unsigned char)(v >> 56)};
    memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
    return true;
}

bool ilki_base_buf_put_u8(ilki_buf *b, uint8_t v)
{
    return put_le(b, v, 1);
}

bool ilki_base_buf_put_u16(ilki_buf *b, uint16_t v)
{
    return put_le(b, v, 2);
}

bool ilki_base_buf_put_u32(ilki_buf *b, uint32_t v)
{
    return put_le(b, v, 4);
}

bool ilki_base_buf_put_u64(ilki_buf *b, uint64_t v)
{
    return put_le(b, v, 8);
}

bool ilki_base_buf_put_f32(ilki_buf *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return put_le(b, bits, 4);
}

bool ilki_base_buf_put_f64(ilki_buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return put_le(b, bits, 8);
}

/* ---- cursor */

void ilki_base_cur_init(ilki_cur *c, const void *data, size_t n)
{
    static const unsigned char nothing[1] = {0};
    c->p = n ? data : nothing;
    c->end = c->p + n;
    c->bad = false;
}

const unsigned char *ilki_base_cur_bytes(ilki_cur *c, size_t n)
{
    if (c->bad || n > ilki_base_cur_left(c)) {
        c->bad = true;
        return NULL;
    }
    const unsigned char *p = c->p;
    c->p += n;
    return p;
}

static inline uint64_t get_le(ilki_cur *c, size_t n)
{
    if (c->bad || n > ilki_base_cur_left(c)) {
        c->bad = true;
        return 0;
    }
    unsigned char b[8] = {0};
    memcpy(b, c->p, n);
    c->p += n;
    return (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24 | (uint64_t)b[4] << 32 |
           (uint64_t)b[5] << 40 | (uint64_t)b[6] << 48 | (uint64_t)b[7] << 56;
}

uint8_t ilki_base_cur_u8(ilki_cur *c)
{
    return (uint8_t)get_le(c, 1);
}

uint16_t ilki_base_cur_u16(ilki_cur *c)
{
    return (uint16_t)get_le(c, 2);
}

uint32_t ilki_base_cur_u32(ilki_cur *c)
{
    return (uint32_t)get_le(c, 4);
}

uint64_t ilki_base_cur_u64(ilki_cur *c)
{
    return get_le(c, 8);
}

float ilki_base_cur_f32(ilki_cur *c)
{
    uint32_t bits = (uint32_t)get_le(c, 4);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

double ilki_base_cur_f64(ilki_cur *c)
{
    uint64_t bits = get_le(c, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
