/* SPDX-License-Identifier: Apache-2.0
 * Records to bytes and back. A record is begun with its head left blank, its body and data follow, and the head is
 * filled in last, when lengths and crcs are known. Readers check a whole body once (ilki_store_get_item and its like);
 * iteration afterwards cannot fail. */
#include "store/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { MAGIC = 0x524b4c49 };
#define NONE UINT32_MAX

/* ---- head */

static void put32(unsigned char *p, uint32_t v)
{
    p[0] = (unsigned char)v;
    p[1] = (unsigned char)(v >> 8);
    p[2] = (unsigned char)(v >> 16);
    p[3] = (unsigned char)(v >> 24);
}

static void put64(unsigned char *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static void head_put(unsigned char *p, const ilki_record_head *h, uint32_t salt)
{
    memset(p, 0, ILKI_HEAD_BYTES);
    put32(p, MAGIC);
    p[8] = h->type;
    p[9] = h->flags;
    put32(p + 12, h->body_bytes);
    put32(p + 16, h->body_crc);
    put64(p + 24, h->data_bytes);
    put64(p + 32, h->lsn);
    put64(p + 40, h->batch);
    put64(p + 48, h->durable);
    put32(p + 4, ilki_base_crc32c(salt, p + 8, ILKI_HEAD_BYTES - 8));
}

void ilki_store_head_read(const unsigned char *p, ilki_record_head *h)
{
    ilki_cur c;
    ilki_base_cur_init(&c, p + 8, ILKI_HEAD_BYTES - 8);
    h->type = ilki_base_cur_u8(&c);
    h->flags = ilki_base_cur_u8(&c);
    ilki_base_cur_u16(&c);
    h->body_bytes = ilki_base_cur_u32(&c);
    h->body_crc = ilki_base_cur_u32(&c);
    ilki_base_cur_u32(&c);
    h->data_bytes = ilki_base_cur_u64(&c);
    h->lsn = ilki_base_cur_u64(&c);
    h->batch = ilki_base_cur_u64(&c);
    h->durable = ilki_base_cur_u64(&c);
}

bool ilki_store_head_get(const unsigned char *p, uint32_t salt, ilki_record_head *h)
{
    ilki_cur c;
    ilki_base_cur_init(&c, p, 8);
    if (ilki_base_cur_u32(&c) != MAGIC || ilki_base_cur_u32(&c) != ilki_base_crc32c(salt, p + 8, ILKI_HEAD_BYTES - 8))
        return false;
    ilki_store_head_read(p, h);
    return h->type != 0 && h->body_bytes <= ILKI_MAX_BODY_BYTES && h->data_bytes <= ILKI_MAX_BATCH_BYTES &&
           h->data_bytes % 8 == 0 && h->lsn < INT64_MAX && h->batch <= h->lsn && h->durable < h->lsn;
}

static bool zeros(const unsigned char *p, uint64_t n)
{
    while (n && *p == 0)
        p++, n--;
    return n == 0;
}

const char *ilki_store_body_check(const ilki_record_head *h, const unsigned char *p)
{
    uint64_t padded = ilki_pad8(h->body_bytes);
    if (ilki_base_crc32c(0, p, padded) != h->body_crc)
        return "the checksum of its body does not match";
    if (!zeros(p + h->body_bytes, padded - h->body_bytes))
        return "its padding is not zero";
    bool ok = h->type >= ILKI_RECORD_SKIPPABLE || h->data_bytes == 0;
    ilki_item_body item;
    ilk_space space;
    ilki_source source;
    const char *name, *value;
    uint32_t id;
    size_t len;
    switch (h->type) {
    case ILKI_RECORD_ITEM:
        ok = ilki_store_get_item(p, h->body_bytes, &item);
        break;
    case ILKI_RECORD_DELETE:
        ok = ok && ilki_store_get_key(p, h->body_bytes, &name, &len);
        break;
    case ILKI_RECORD_SPACE:
        ok = ok && ilki_store_get_space(p, h->body_bytes, &space, &id);
        break;
    case ILKI_RECORD_META:
        ok = ok && ilki_store_get_meta(p, h->body_bytes, &name, &value);
        break;
    case ILKI_RECORD_SOURCE:
        ok = ok && ilki_store_get_source(p, h->body_bytes, &source);
        break;
    default:
        return h->type >= ILKI_RECORD_SKIPPABLE ? NULL : "its type is not known to this version";
    }
    return ok ? NULL : "its body is malformed";
}

const char *ilki_store_data_check(const ilki_record_head *h, const unsigned char *body, const unsigned char *data)
{
    ilki_item_body item;
    if (h->type != ILKI_RECORD_ITEM)
        return NULL;
    if (!ilki_store_get_item(body, h->body_bytes, &item))
        return "its body is malformed";
    uint64_t at = 0;
    ilki_vector_entry e = {0};
    for (uint32_t i = 0; i < item.n_vectors; i++) {
        ilki_store_next_vector(&item.vectors, &e);
        at = e.at + ilki_pad8(e.bytes);
        if (at > h->data_bytes)
            return "its vectors are longer than its data section";
        if (ilki_base_crc32c(0, data + e.at, e.bytes) != e.crc)
            return "the checksum of a vector does not match";
        if (!zeros(data + e.at + e.bytes, at - e.at - e.bytes))
            return "the padding of a vector is not zero";
    }
    return at == h->data_bytes ? NULL : "its vectors are shorter than its data section";
}

/* ---- writing */

static bool host_is_little(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static size_t begin(ilki_encoder *e)
{
    static const unsigned char blank[ILKI_HEAD_BYTES];
    size_t at = e->buf->len;
    ilki_base_buf_add(e->buf, blank, sizeof blank);
    return at;
}

static void pad(ilki_buf *b, size_t from)
{
    static const unsigned char zero[8];
    ilki_base_buf_add(b, zero, (size_t)(ilki_pad8(b->len - from) - (b->len - from)));
}

/* Pads the body that began behind `at`; returns its length without padding. */
static uint32_t end_body(ilki_encoder *e, size_t at)
{
    size_t n = e->buf->failed ? 0 : e->buf->len - at - ILKI_HEAD_BYTES;
    pad(e->buf, at + ILKI_HEAD_BYTES);
    if (n > ILKI_MAX_BODY_BYTES)
        ilki_base_buf_fail(e->buf, ILK_LIMIT);
    return (uint32_t)n;
}

static void end_record(ilki_encoder *e, size_t at, uint8_t type, uint32_t body_bytes)
{
    ilki_record_head h = {.type = type, .body_bytes = body_bytes, .lsn = e->lsn, .batch = e->batch};
    h.flags = (uint8_t)((e->lsn == e->batch ? ILKI_RECORD_FIRST : 0) | (e->n_left == 1 ? ILKI_RECORD_LAST : 0));
    h.durable = e->durable;
    e->lsn++;
    e->n_left--;
    if (e->buf->failed)
        return;
    unsigned char *p = (unsigned char *)e->buf->data + at;
    uint64_t padded = ilki_pad8(body_bytes);
    h.body_crc = ilki_base_crc32c(0, p + ILKI_HEAD_BYTES, padded);
    h.data_bytes = e->buf->len - at - ILKI_HEAD_BYTES - padded;
    head_put(p, &h, e->salt);
}

static void put_string(ilki_buf *b, const char *s, size_t n)
{
    ilki_base_buf_put_u16(b, (uint16_t)n);
    ilki_base_buf_add(b, s, n);
    ilki_base_buf_put_u8(b, 0);
}

static void put_long(ilki_buf *b, const char *s, size_t n)
{
    ilki_base_buf_put_u32(b, s ? (uint32_t)n : NONE);
    if (s) {
        ilki_base_buf_add(b, s, n);
        ilki_base_buf_put_u8(b, 0);
    }
}

static void put_longs(ilki_buf *b, const char *s)
{
    put_long(b, s, s ? strlen(s) : 0);
}

enum { HAS_T0 = 1, HAS_T1 = 2, HAS_PAGE = 4, HAS_CHUNK = 8, HAS_FIRST = 16, HAS_LAST = 32, HAS_BOX = 64 };

static void put_segment(ilki_buf *b, const ilk_segment *s)
{
    unsigned mask = (isnan(s->t0) ? 0 : HAS_T0) | (isnan(s->t1) ? 0 : HAS_T1) | (s->page == ILK_ABSENT ? 0 : HAS_PAGE) |
                    (s->chunk == ILK_ABSENT ? 0 : HAS_CHUNK) | (s->line_first == ILK_ABSENT ? 0 : HAS_FIRST) |
                    (s->line_last == ILK_ABSENT ? 0 : HAS_LAST) | (isnan(s->bbox[0]) ? 0 : HAS_BOX);
    ilki_base_buf_put_u16(b, (uint16_t)mask);
    if (mask & HAS_T0)
        ilki_base_buf_put_f64(b, s->t0);
    if (mask & HAS_T1)
        ilki_base_buf_put_f64(b, s->t1);
    if (mask & HAS_PAGE)
        ilki_base_buf_put_u32(b, s->page);
    if (mask & HAS_CHUNK)
        ilki_base_buf_put_u32(b, s->chunk);
    if (mask & HAS_FIRST)
        ilki_base_buf_put_u32(b, s->line_first);
    if (mask & HAS_LAST)
        ilki_base_buf_put_u32(b, s->line_last);
    for (int i = 0; mask & HAS_BOX && i < 4; i++)
        ilki_base_buf_put_f32(b, s->bbox[i]);
}

static void put_value(ilki_buf *b, const ilk_value *v)
{
    ilki_base_buf_put_u8(b, (uint8_t)v->type);
    switch (v->type) {
    case ILK_VALUE_NULL:
        break;
    case ILK_VALUE_BOOL:
        ilki_base_buf_put_u8(b, v->i != 0);
        break;
    case ILK_VALUE_INT:
    case ILK_VALUE_TIME:
        ilki_base_buf_put_u64(b, (uint64_t)v->i);
        break;
    case ILK_VALUE_REAL:
        ilki_base_buf_put_f64(b, v->d);
        break;
    case ILK_VALUE_TEXT:
    case ILK_VALUE_BYTES:
        put_long(b, v->text ? v->text : "", v->n_bytes);
        break;
    }
}

static uint64_t vector_bytes(const ilk_vector *v, bool sparse)
{
    return sparse ? 8 * (uint64_t)v->dim : 4 * (uint64_t)v->rows * v->dim;
}

static void put_words(ilki_buf *b, const void *words, size_t n)
{
    if (host_is_little()) {
        ilki_base_buf_add(b, words, 4 * n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t w;
        memcpy(&w, (const char *)words + 4 * i, 4);
        ilki_base_buf_put_u32(b, w);
    }
}

/* The crc stands in the body, before the data: taken from the caller's memory where that has the bytes of the disk. */
static uint32_t vector_crc(const ilk_vector *v, bool sparse)
{
    if (host_is_little()) {
        uint32_t crc = sparse ? ilki_base_crc32c(0, v->indices, 4 * (size_t)v->dim) : 0;
        return ilki_base_crc32c(crc, v->data, 4 * (size_t)v->rows * v->dim);
    }
    uint32_t crc = 0;
    size_t n_index = sparse ? v->dim : 0, n = n_index + (size_t)v->rows * v->dim;
    for (size_t i = 0; i < n; i++) {
        unsigned char bytes[4];
        uint32_t w;
        memcpy(&w, i < n_index ? (const void *)(v->indices + i) : (const void *)(v->data + (i - n_index)), 4);
        put32(bytes, w);
        crc = ilki_base_crc32c(crc, bytes, 4);
    }
    return crc;
}

static void put_vectors(ilki_encoder *e, const ilk_item *item, const ilki_space_ref *refs)
{
    ilki_buf *b = e->buf;
    ilki_base_buf_put_u16(b, (uint16_t)item->n_vectors);
    for (size_t i = 0; i < item->n_vectors; i++) {
        const ilk_vector *v = &item->vectors[i];
        bool sparse = refs[i].kind == ILK_SPARSE;
        ilki_base_buf_put_u32(b, refs[i].id);
        ilki_base_buf_put_u8(b, refs[i].kind);
        ilki_base_buf_put_u8(b, ILKI_DTYPE_F32);
        ilki_base_buf_put_u16(b, 0);
        ilki_base_buf_put_u32(b, v->rows);
        ilki_base_buf_put_u32(b, v->dim);
        ilki_base_buf_put_u64(b, vector_bytes(v, sparse));
        ilki_base_buf_put_u32(b, vector_crc(v, sparse));
    }
}

static bool has_hash(const uint8_t hash[32])
{
    return !zeros(hash, 32);
}

void ilki_store_put_item(ilki_encoder *e, const ilk_item *item, const ilki_space_ref *refs)
{
    ilki_buf *b = e->buf;
    size_t at = begin(e);
    put_string(b, item->id, strlen(item->id));
    put_string(b, item->parent ? item->parent : "", item->parent ? strlen(item->parent) : 0);
    put_segment(b, &item->segment);
    ilki_base_buf_put_u8(b, has_hash(item->content_hash));
    if (has_hash(item->content_hash))
        ilki_base_buf_add(b, item->content_hash, 32);
    ilki_base_buf_put_u16(b, (uint16_t)item->n_fields);
    for (size_t i = 0; i < item->n_fields; i++) {
        put_string(b, item->fields[i].name, strlen(item->fields[i].name));
        put_value(b, &item->fields[i].value);
    }
    put_vectors(e, item, refs);
    uint32_t body = end_body(e, at);
    for (size_t i = 0; i < item->n_vectors; i++) {
        const ilk_vector *v = &item->vectors[i];
        size_t from = b->len;
        if (refs[i].kind == ILK_SPARSE)
            put_words(b, v->indices, v->dim);
        put_words(b, v->data, (size_t)v->rows * v->dim);
        if (!b->failed)
            pad(b, from);
    }
    end_record(e, at, ILKI_RECORD_ITEM, body);
}

void ilki_store_put_delete(ilki_encoder *e, const char *id, size_t n)
{
    size_t at = begin(e);
    put_string(e->buf, id, n);
    end_record(e, at, ILKI_RECORD_DELETE, end_body(e, at));
}

void ilki_store_put_space(ilki_encoder *e, const ilk_space *s, uint32_t id)
{
    ilki_buf *b = e->buf;
    size_t at = begin(e);
    put_string(b, s->name, strlen(s->name));
    ilki_base_buf_put_u32(b, id);
    ilki_base_buf_put_u8(b, (uint8_t)s->kind);
    ilki_base_buf_put_u8(b, (uint8_t)s->metric);
    ilki_base_buf_put_u8(b, s->normalized != 0);
    ilki_base_buf_put_u8(b, 0);
    ilki_base_buf_put_u32(b, s->dim);
    ilki_base_buf_put_u32(b, (uint32_t)s->layer);
    const char *text[] = {s->fingerprint, s->model,      s->pooling,    s->precision,     s->tokenizer,    s->prompt[0],
                          s->prompt[1],   s->adapter[0], s->adapter[1], s->projection[0], s->projection[1]};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        put_longs(b, text[i]);
    end_record(e, at, ILKI_RECORD_SPACE, end_body(e, at));
}

void ilki_store_put_meta(ilki_encoder *e, const char *name, const char *value)
{
    size_t at = begin(e);
    put_string(e->buf, name, strlen(name));
    put_longs(e->buf, value);
    end_record(e, at, ILKI_RECORD_META, end_body(e, at));
}

void ilki_store_put_source(ilki_encoder *e, const ilki_source *s)
{
    ilki_buf *b = e->buf;
    size_t at = begin(e);
    put_string(b, s->id, strlen(s->id));
    put_longs(b, s->path);
    put_longs(b, s->root ? s->root : "");
    ilki_base_buf_put_u64(b, s->dev);
    ilki_base_buf_put_u64(b, s->ino);
    ilki_base_buf_put_u64(b, s->n_bytes);
    ilki_base_buf_put_u64(b, (uint64_t)s->mtime_ns);
    ilki_base_buf_add(b, s->content_hash, 32);
    ilki_base_buf_put_u8(b, (uint8_t)s->state);
    ilki_base_buf_put_u32(b, s->n_items);
    ilki_base_buf_add(b, s->settings_hash, 32);
    put_longs(b, s->reason);
    end_record(e, at, ILKI_RECORD_SOURCE, end_body(e, at));
}

size_t ilki_store_item_bytes(const ilk_item *item)
{
    size_t n = ILKI_HEAD_BYTES + 160 + strlen(item->id) + (item->parent ? strlen(item->parent) : 0);
    for (size_t i = 0; i < item->n_fields; i++)
        n += 24 + strlen(item->fields[i].name) + item->fields[i].value.n_bytes;
    for (size_t i = 0; i < item->n_vectors; i++)
        n += 40 + (size_t)vector_bytes(&item->vectors[i], item->vectors[i].indices != NULL);
    return n;
}

/* ---- reading */

/* Both strings are set to "" on failure, so that a caller may go on and look at c->bad once. */
static const char *take_text(ilki_cur *c, size_t n)
{
    const unsigned char *p = ilki_base_cur_bytes(c, n);
    if (!p || ilki_base_cur_u8(c) != 0) {
        c->bad = true;
        return "";
    }
    return (const char *)p;
}

static const char *get_string(ilki_cur *c, size_t *len)
{
    size_t n = ilki_base_cur_u16(c);
    const char *s = take_text(c, n);
    if (len)
        *len = n;
    return s;
}

static const char *get_long(ilki_cur *c, size_t *len)
{
    uint32_t n = ilki_base_cur_u32(c);
    if (n == NONE || c->bad) {
        if (len)
            *len = 0;
        return NULL;
    }
    if (len)
        *len = n;
    return take_text(c, n);
}

/* A long string without a NUL inside. */
static const char *get_long_c(ilki_cur *c)
{
    size_t n;
    const char *s = get_long(c, &n);
    if (s && !c->bad && memchr(s, 0, n))
        c->bad = true;
    return s;
}

static const char *get_key(ilki_cur *c, size_t *len)
{
    const char *s = get_string(c, len);
    if (!c->bad && (*len == 0 || *len > ILKI_ID_BYTES || memchr(s, 0, *len)))
        c->bad = true;
    return s;
}

bool ilki_store_get_key(const unsigned char *body, size_t n, const char **key, size_t *len)
{
    ilki_cur c;
    ilki_base_cur_init(&c, body, n);
    *key = get_key(&c, len);
    return !c.bad;
}

static void get_segment(ilki_cur *c, ilk_segment *s)
{
    unsigned mask = ilki_base_cur_u16(c);
    if (mask >= 2 * HAS_BOX)
        c->bad = true;
    s->size = sizeof *s;
    s->t0 = mask & HAS_T0 ? ilki_base_cur_f64(c) : (double)NAN;
    s->t1 = mask & HAS_T1 ? ilki_base_cur_f64(c) : (double)NAN;
    s->page = mask & HAS_PAGE ? ilki_base_cur_u32(c) : ILK_ABSENT;
    s->chunk = mask & HAS_CHUNK ? ilki_base_cur_u32(c) : ILK_ABSENT;
    s->line_first = mask & HAS_FIRST ? ilki_base_cur_u32(c) : ILK_ABSENT;
    s->line_last = mask & HAS_LAST ? ilki_base_cur_u32(c) : ILK_ABSENT;
    for (int i = 0; i < 4; i++)
        s->bbox[i] = mask & HAS_BOX ? ilki_base_cur_f32(c) : NAN;
}

static void get_field(ilki_cur *c, ilk_field *f)
{
    size_t n;
    memset(f, 0, sizeof *f);
    f->size = sizeof *f;
    f->value.size = sizeof f->value;
    f->name = get_string(c, &n);
    if (n == 0 || n > ILKI_FIELD_NAME_BYTES || (!c->bad && memchr(f->name, 0, n)))
        c->bad = true;
    uint8_t type = ilki_base_cur_u8(c);
    f->value.type = (ilk_value_type)type;
    switch (type) {
    case ILK_VALUE_NULL:
        break;
    case ILK_VALUE_BOOL:
        f->value.i = ilki_base_cur_u8(c);
        if (f->value.i > 1)
            c->bad = true;
        break;
    case ILK_VALUE_INT:
    case ILK_VALUE_TIME:
        f->value.i = (int64_t)ilki_base_cur_u64(c);
        break;
    case ILK_VALUE_REAL:
        f->value.d = ilki_base_cur_f64(c);
        if (!isfinite(f->value.d))
            c->bad = true;
        break;
    case ILK_VALUE_TEXT:
    case ILK_VALUE_BYTES:
        f->value.text = get_long(c, &f->value.n_bytes);
        if (!f->value.text)
            c->bad = true;
        break;
    default:
        c->bad = true;
    }
}

void ilki_store_next_field(ilki_cur *c, ilk_field *out)
{
    get_field(c, out);
}

void ilki_store_next_vector(ilki_cur *c, ilki_vector_entry *e)
{
    e->at += ilki_pad8(e->bytes);
    e->space = ilki_base_cur_u32(c);
    e->kind = ilki_base_cur_u8(c);
    e->dtype = ilki_base_cur_u8(c);
    ilki_base_cur_u16(c);
    e->rows = ilki_base_cur_u32(c);
    e->dim = ilki_base_cur_u32(c);
    e->bytes = ilki_base_cur_u64(c);
    e->crc = ilki_base_cur_u32(c);
}

static bool vector_fits(const ilki_vector_entry *e)
{
    uint64_t floats = (uint64_t)e->rows * e->dim;
    if (e->dtype != ILKI_DTYPE_F32 || e->space == 0 || e->rows == 0 || floats > ILKI_MAX_BATCH_BYTES / 4)
        return false;
    if (e->kind == ILK_SPARSE)
        return e->rows == 1 && e->bytes == 8 * (uint64_t)e->dim;
    return (e->kind == ILK_DENSE ? e->rows == 1 : e->kind == ILK_MULTI) && e->dim > 0 && e->bytes == 4 * floats;
}

bool ilki_store_get_item(const unsigned char *body, size_t n, ilki_item_body *out)
{
    ilki_cur c;
    ilki_base_cur_init(&c, body, n);
    memset(out, 0, sizeof *out);
    out->id = get_key(&c, &out->id_bytes);
    out->parent = get_string(&c, &out->parent_bytes);
    if (out->parent_bytes > ILKI_ID_BYTES || (!c.bad && memchr(out->parent, 0, out->parent_bytes)))
        return false;
    if (out->parent_bytes == 0)
        out->parent = NULL;
    get_segment(&c, &out->segment);
    uint8_t has = ilki_base_cur_u8(&c);
    if (has > 1)
        return false;
    out->content_hash = has ? ilki_base_cur_bytes(&c, 32) : NULL;
    out->n_fields = ilki_base_cur_u16(&c);
    if (c.bad || out->n_fields > ILKI_MAX_FIELDS)
        return false;
    out->fields = c;
    for (uint32_t i = 0; i < out->n_fields && !c.bad; i++) {
        ilk_field f;
        get_field(&c, &f);
    }
    out->n_vectors = ilki_base_cur_u16(&c);
    if (c.bad || out->n_vectors > ILKI_MAX_VECTORS)
        return false;
    out->vectors = c;
    ilki_vector_entry e = {0};
    for (uint32_t i = 0; i < out->n_vectors && !c.bad; i++) {
        ilki_store_next_vector(&c, &e);
        if (c.bad || !vector_fits(&e))
            return false;
    }
    return !c.bad;
}

bool ilki_store_get_space(const unsigned char *body, size_t n, ilk_space *s, uint32_t *id)
{
    ilki_cur c;
    size_t len;
    ilki_base_cur_init(&c, body, n);
    memset(s, 0, sizeof *s);
    s->size = sizeof *s;
    s->name = get_key(&c, &len);
    *id = ilki_base_cur_u32(&c);
    s->kind = (ilk_vector_kind)ilki_base_cur_u8(&c);
    s->metric = (ilk_metric)ilki_base_cur_u8(&c);
    s->normalized = ilki_base_cur_u8(&c);
    ilki_base_cur_u8(&c);
    s->dim = ilki_base_cur_u32(&c);
    s->layer = (int32_t)ilki_base_cur_u32(&c);
    const char **text[] = {&s->fingerprint, &s->model,         &s->pooling,      &s->precision,
                           &s->tokenizer,   &s->prompt[0],     &s->prompt[1],    &s->adapter[0],
                           &s->adapter[1],  &s->projection[0], &s->projection[1]};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        *text[i] = get_long_c(&c);
    return !c.bad && *id != 0 && s->kind >= ILK_DENSE && s->kind <= ILK_MULTI && s->metric >= ILK_COSINE &&
           s->metric <= ILK_NEG_L2;
}

bool ilki_store_get_meta(const unsigned char *body, size_t n, const char **name, const char **value)
{
    ilki_cur c;
    size_t len;
    ilki_base_cur_init(&c, body, n);
    *name = get_key(&c, &len);
    *value = get_long_c(&c);
    return !c.bad;
}

bool ilki_store_get_source(const unsigned char *body, size_t n, ilki_source *s)
{
    ilki_cur c;
    size_t len;
    ilki_base_cur_init(&c, body, n);
    memset(s, 0, sizeof *s);
    s->id = get_key(&c, &len);
    s->path = get_long_c(&c);
    s->root = get_long_c(&c);
    s->dev = ilki_base_cur_u64(&c);
    s->ino = ilki_base_cur_u64(&c);
    s->n_bytes = ilki_base_cur_u64(&c);
    s->mtime_ns = (int64_t)ilki_base_cur_u64(&c);
    const unsigned char *hash = ilki_base_cur_bytes(&c, 32);
    s->state = (ilki_source_state)ilki_base_cur_u8(&c);
    s->n_items = ilki_base_cur_u32(&c);
    const unsigned char *settings = ilki_base_cur_bytes(&c, 32);
    s->reason = get_long_c(&c);
    if (c.bad || !s->path || !s->root || s->state < ILKI_SOURCE_INDEXED || s->state > ILKI_SOURCE_GONE)
        return false;
    memcpy(s->content_hash, hash, 32);
    memcpy(s->settings_hash, settings, 32);
    return true;
}

/* n words of four bytes, whatever they hold */
static void get_words(void *to, const unsigned char *from, size_t n)
{
    memcpy(to, from, 4 * n);
    if (host_is_little())
        return;
    ilki_cur c;
    ilki_base_cur_init(&c, from, 4 * n);
    for (size_t i = 0; i < n; i++) {
        uint32_t word = ilki_base_cur_u32(&c);
        memcpy((unsigned char *)to + 4 * i, &word, 4);
    }
}

void ilki_store_get_u32(uint32_t *to, const unsigned char *from, size_t n)
{
    get_words(to, from, n);
}

void ilki_store_get_f32(float *to, const unsigned char *from, size_t n)
{
    get_words(to, from, n);
}
