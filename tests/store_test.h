/* SPDX-License-Identifier: Apache-2.0
 * Items for tests of the store: content follows from id and version alone, so that a reader can tell a whole version from
 * anything else without having kept it. */
#ifndef ILK_STORE_TEST_H
#define ILK_STORE_TEST_H

#include <math.h>
#include <stdlib.h>

#include "store/store.h"
#include "test.h"

enum { ST_DIM = 8, ST_TEXT = 300, ST_MAX = 64 };

typedef struct st_slot {
    char id[64], parent[64], text[ST_TEXT];
    float v[ST_DIM];
    ilk_field fields[3];
    ilk_vector vector;
} st_slot;

typedef struct st_batch {
    st_slot slots[ST_MAX];
    ilk_item items[ST_MAX];
    char gone[ST_MAX][64];
    const char *deletes[ST_MAX];
    size_t n, n_gone;
} st_batch;

static inline ilk_space st_space(const char *name, ilk_vector_kind kind, uint32_t dim)
{
    ilk_space s;
    memset(&s, 0, sizeof s);
    s.size = sizeof s;
    s.name = name;
    s.kind = kind;
    s.dim = dim;
    s.metric = ILK_COSINE;
    s.layer = -1;
    return s;
}

static inline ilk_segment st_no_segment(void)
{
    ilk_segment s = {.size = sizeof s, .t0 = (double)NAN, .t1 = (double)NAN, .page = ILK_ABSENT, .chunk = ILK_ABSENT};
    s.line_first = s.line_last = ILK_ABSENT;
    for (int i = 0; i < 4; i++)
        s.bbox[i] = NAN;
    return s;
}

static inline ilk_value st_text(const char *s)
{
    return (ilk_value){.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = s, .n_bytes = strlen(s)};
}
static inline ilk_value st_int(int64_t i)
{
    return (ilk_value){.size = sizeof(ilk_value), .type = ILK_VALUE_INT, .i = i};
}
static inline ilk_value st_real(double d)
{
    return (ilk_value){.size = sizeof(ilk_value), .type = ILK_VALUE_REAL, .d = d};
}
static inline ilk_filter st_filter(ilk_filter_op op, const char *field, const ilk_value *v)
{
    return (ilk_filter){.size = sizeof(ilk_filter), .op = op, .field = field, .values = v, .n_values = v ? 1 : 0};
}

static inline uint64_t st_hash(const char *s, uint64_t version)
{
    uint64_t h = 14695981039346656037U ^ version * 0x9e3779b97f4a7c15U;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211U;
    return h;
}

static inline void st_content(const char *id, uint64_t version, float v[ST_DIM], char text[ST_TEXT])
{
    uint64_t rng = st_hash(id, version);
    for (int i = 0; i < ST_DIM; i++)
        v[i] = (float)(int32_t)test_random(&rng) / 2147483648.0F;
    size_t n = 20 + test_random(&rng) % (ST_TEXT - 21);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + test_random(&rng) % 26);
    text[n] = '\0';
}

/* Adds version `version` of an item to the batch: fields "n" (the version), "even", "text", and a vector in "v". */
static inline void st_put(st_batch *b, const char *id, const char *parent, uint64_t version)
{
    st_slot *s = &b->slots[b->n];
    ilk_item *item = &b->items[b->n++];
    memset(item, 0, sizeof *item);
    snprintf(s->id, sizeof s->id, "%s", id);
    st_content(id, version, s->v, s->text);
    memset(s->fields, 0, sizeof s->fields);
    s->fields[0] = (ilk_field){.size = sizeof(ilk_field), .name = "n", .value = st_int((int64_t)version)};
    s->fields[1] = (ilk_field){.size = sizeof(ilk_field), .name = "even", .value = st_int(version % 2 == 0)};
    s->fields[1].value.type = ILK_VALUE_BOOL;
    s->fields[2] = (ilk_field){.size = sizeof(ilk_field), .name = "text", .value = st_text(s->text)};
    s->vector = (ilk_vector){.size = sizeof(ilk_vector), .space = "v", .data = s->v, .rows = 1, .dim = ST_DIM};
    item->size = sizeof *item;
    item->id = s->id;
    if (parent) {
        snprintf(s->parent, sizeof s->parent, "%s", parent);
        item->parent = s->parent;
    }
    item->segment = st_no_segment();
    item->segment.chunk = (uint32_t)version;
    item->fields = s->fields;
    item->n_fields = 3;
    item->vectors = &s->vector;
    item->n_vectors = 1;
    memset(item->content_hash, (int)(version % 250) + 1, sizeof item->content_hash);
}

static inline void st_delete(st_batch *b, const char *id)
{
    snprintf(b->gone[b->n_gone], sizeof b->gone[0], "%s", id);
    b->deletes[b->n_gone] = b->gone[b->n_gone];
    b->n_gone++;
}

static inline ilki_batch st_args(const st_batch *b)
{
    return (ilki_batch){.items = b->items, .n_items = b->n, .deletes = b->deletes, .n_deletes = b->n_gone};
}

/* The version a record is, if it is a whole and right version of its id; -1 otherwise. */
static inline int64_t st_version(const ilki_record *r)
{
    float v[ST_DIM];
    char text[ST_TEXT];
    const ilk_item *item = &r->item;
    if (item->n_fields != 3 || strcmp(item->fields[0].name, "n") != 0 || item->fields[0].value.type != ILK_VALUE_INT)
        return -1;
    int64_t version = item->fields[0].value.i;
    st_content(item->id, (uint64_t)version, v, text);
    const ilk_value *t = &item->fields[2].value;
    bool ok = t->type == ILK_VALUE_TEXT && t->n_bytes == strlen(text) && memcmp(t->text, text, t->n_bytes) == 0 &&
              item->n_vectors == 1 && item->vectors[0].dim == ST_DIM && item->vectors[0].rows == 1 &&
              strcmp(item->vectors[0].space, "v") == 0 && memcmp(item->vectors[0].data, v, sizeof v) == 0 &&
              item->segment.chunk == (uint32_t)version && item->content_hash[7] == version % 250 + 1 &&
              item->fields[1].value.type == ILK_VALUE_BOOL && item->fields[1].value.i == (version % 2 == 0);
    return ok ? version : -1;
}

/* The version of an id in the store; -1: there is none; -2: an error or something that is no whole version. */
static inline int64_t st_get(ilki_store *s, const char *id)
{
    ilk_error err;
    ilki_record *r = NULL;
    ilk_error_init(&err);
    ilk_status st = ilki_store_get(s, id, true, &r, &err);
    int64_t version = st == ILK_NOT_FOUND ? -1 : st ? -2 : st_version(r);
    if (st == ILK_OK && version < 0)
        version = -2;
    if (st && st != ILK_NOT_FOUND)
        printf("get %s: %s: %s\n", id, ilk_status_string(st), err.message);
    ilki_store_record_free(r);
    return version;
}

static inline bool st_has_space(ilki_store *s)
{
    const ilk_space *sp;
    return ilki_store_space(s, 0, &sp, NULL) == ILK_OK;
}

#endif
