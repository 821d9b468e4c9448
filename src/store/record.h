/* SPDX-License-Identifier: Apache-2.0
 * Records of the log as bytes: docs/FORMAT.md, "Log file". Writing trusts its arguments (store.c has checked them);
 * reading trusts nothing. */
#ifndef ILKI_STORE_RECORD_H
#define ILKI_STORE_RECORD_H

#include "base/buf.h"
#include "store/store.h"

enum {
    ILKI_HEAD_BYTES = 56,
    ILKI_ID_BYTES = 512,
    ILKI_FIELD_NAME_BYTES = 64,
    ILKI_MAX_FIELDS = 4096,
    ILKI_MAX_VECTORS = 1024,
    ILKI_MAX_PATH_BYTES = 65536,
    ILKI_MAX_BODY_BYTES = 256 << 20,
    ILKI_MAX_BATCH_BYTES = 1 << 30
};

typedef enum ilki_record_type {
    ILKI_RECORD_ITEM = 1,
    ILKI_RECORD_DELETE,
    ILKI_RECORD_SPACE,
    ILKI_RECORD_META,
    ILKI_RECORD_SOURCE,
    ILKI_RECORD_SKIPPABLE = 128 /* and above: not of this version, harmless to pass over */
} ilki_record_type;

enum { ILKI_RECORD_FIRST = 1, ILKI_RECORD_LAST = 2, ILKI_DTYPE_F32 = 1 };

typedef struct ilki_record_head {
    uint8_t type, flags;
    uint32_t body_bytes, body_crc;
    uint64_t data_bytes, lsn, batch, durable;
} ilki_record_head;

static inline uint64_t ilki_pad8(uint64_t n)
{
    return (n + 7) & ~(uint64_t)7;
}
static inline uint64_t ilki_store_head_total(const ilki_record_head *h)
{
    return ILKI_HEAD_BYTES + ilki_pad8(h->body_bytes) + h->data_bytes;
}

/* What is written there, unchecked: of a batch that is known to be valid. */
void ilki_store_head_read(const unsigned char *p, ilki_record_head *h);
/* False unless magic, crc and limits hold; p has ILKI_HEAD_BYTES. */
bool ilki_store_head_get(const unsigned char *p, uint32_t salt, ilki_record_head *h);
/* Body crc, and the form of a body of a known type. NULL, or what is wrong with it. `p` is the body. */
const char *ilki_store_body_check(const ilki_record_head *h, const unsigned char *p);
/* The same for the data section behind a checked body: crcs of vectors, zero padding. */
const char *ilki_store_data_check(const ilki_record_head *h, const unsigned char *body, const unsigned char *data);

/* ---- writing: records of one batch, one after another; `n_left` counts down to the last */
typedef struct ilki_encoder {
    ilki_buf *buf;
    uint32_t salt;
    uint64_t batch, lsn, durable; /* lsn: of the next record */
    size_t n_left;
} ilki_encoder;

typedef struct ilki_space_ref {
    uint32_t id;
    uint8_t kind;
} ilki_space_ref;

/* `refs`: the space of each vector of the item */
void ilki_store_put_item(ilki_encoder *e, const ilk_item *item, const ilki_space_ref *refs);
void ilki_store_put_delete(ilki_encoder *e, const char *id, size_t n);
void ilki_store_put_space(ilki_encoder *e, const ilk_space *space, uint32_t id);
void ilki_store_put_meta(ilki_encoder *e, const char *name, const char *value);
void ilki_store_put_source(ilki_encoder *e, const ilki_source *src);
/* At least the bytes that the record of this item takes. */
size_t ilki_store_item_bytes(const ilk_item *item);

/* ---- reading bodies. All pointers are into the body, which outlives them. `false`: malformed. */

/* The key that every body of a known type begins with. */
bool ilki_store_get_key(const unsigned char *body, size_t n, const char **key, size_t *len);

typedef struct ilki_item_body {
    const char *id, *parent; /* NUL-terminated; parent NULL where there is none */
    size_t id_bytes, parent_bytes;
    ilk_segment segment;
    const uint8_t *content_hash; /* NULL: none */
    uint32_t n_fields, n_vectors;
    ilki_cur fields, vectors; /* checked: iterate with the two functions below */
} ilki_item_body;

typedef struct ilki_vector_entry {
    uint32_t space;
    uint8_t kind, dtype;
    uint32_t rows, dim, crc;
    uint64_t at, bytes; /* in the data section */
} ilki_vector_entry;

bool ilki_store_get_item(const unsigned char *body, size_t n, ilki_item_body *out);
/* n_fields and n_vectors times at most. A vector entry's `at` follows from the one before: pass the same struct. */
void ilki_store_next_field(ilki_cur *c, ilk_field *out);
void ilki_store_next_vector(ilki_cur *c, ilki_vector_entry *e);

bool ilki_store_get_space(const unsigned char *body, size_t n, ilk_space *out, uint32_t *id);
bool ilki_store_get_meta(const unsigned char *body, size_t n, const char **name, const char **value);
bool ilki_store_get_source(const unsigned char *body, size_t n, ilki_source *out);

/* floats and indices of a checked data section into host order */
void ilki_store_get_f32(float *to, const unsigned char *from, size_t n);
void ilki_store_get_u32(uint32_t *to, const unsigned char *from, size_t n);

#endif
