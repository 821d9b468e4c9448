/* SPDX-License-Identifier: Apache-2.0
 * Single items: from id or LSN to a place in the log, from the place to checked bytes, from the bytes to an ilki_record
 * in one block of memory. The log decides: what the tables say is only where to look. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "store/core.h"

/* ---- from a place to bytes */

static ilk_status damaged(const ilki_store *s, const ilki_place *p, uint64_t lsn, const char *why, ilk_error *err)
{
    return ilki_base_fail(err, ILK_CORRUPT, "%s: log file %" PRIu64 " is damaged at %" PRIu64 ", LSN %" PRIu64 ": %s",
                          s->dir, p->file, p->at, lsn, why);
}

ilk_status ilki_store_read_place(ilki_store *s, const ilki_place *p, uint64_t lsn, bool data, ilki_raw *out,
                                 ilk_error *err)
{
    ilki_file *f;
    uint32_t salt;
    size_t got = 0;
    memset(out, 0, sizeof *out);
    uint64_t n = data ? p->total : ILKI_HEAD_BYTES + ilki_pad8(p->body_bytes);
    if (n > (uint64_t)2 * ILKI_MAX_BATCH_BYTES || n < ILKI_HEAD_BYTES)
        return damaged(s, p, lsn, "its length is impossible", err);
    ilk_status st = ilki_store_log_reader(&s->log, p->file, &f, &salt, err);
    if (st)
        return st;
    out->bytes = malloc((size_t)n);
    if (!out->bytes)
        return ilki_base_fail_memory(err, (size_t)n, "a record");
    st = f->vfs->read(f, p->at, out->bytes, (size_t)n, &got, err);
    const char *why = NULL;
    if (!st && (got < n || !ilki_store_head_get(out->bytes, salt, &out->head)))
        why = "its header is damaged, or the file ends";
    else if (!st && (out->head.lsn != lsn || out->head.body_bytes != p->body_bytes ||
                     out->head.type != ILKI_RECORD_ITEM || ilki_store_head_total(&out->head) != p->total))
        why = "another record stands there";
    out->body = out->bytes + ILKI_HEAD_BYTES;
    if (!st && !why)
        why = ilki_store_body_check(&out->head, out->body);
    if (data)
        out->data = out->body + ilki_pad8(p->body_bytes);
    else
        out->head.data_bytes = 0;
    if (!st && why)
        st = damaged(s, p, lsn, why, err);
    if (st) {
        free(out->bytes);
        memset(out, 0, sizeof *out);
    }
    return st;
}

/* ---- from an id or LSN to a place */

typedef struct located {
    uint64_t lsn;
    ilki_place place;
} located;

static void take_row(sqlite3_stmt *q, located *out)
{
    out->lsn = (uint64_t)sqlite3_column_int64(q, 0);
    out->place = (ilki_place){(uint64_t)sqlite3_column_int64(q, 2), (uint64_t)sqlite3_column_int64(q, 3),
                              (uint64_t)sqlite3_column_int64(q, 4), (uint32_t)sqlite3_column_int64(q, 5)};
}

/* The tail's answer: true where it has one. A reader's tail may lag behind the tables; `applied` is where they are. */
static bool locate_in_tail(ilki_store *s, const char *id, size_t n, uint64_t applied, located *out, bool *gone)
{
    pthread_mutex_lock(&s->tail.lock);
    ilki_entry *e = ilki_store_tail_find(&s->tail, id, n);
    bool found = e && e->lsn > applied;
    *gone = found && e->type == ILKI_RECORD_DELETE;
    if (found)
        *out = (located){e->lsn, e->place};
    pthread_mutex_unlock(&s->tail.lock);
    return found;
}

/* The writer's tail never lags, and neither does that of a reader whose tables are its own. */
static bool tail_leads(const ilki_store *s)
{
    return !s->read_only || s->db.in_memory;
}

static ilk_status snapshot(ilki_store *s, ilki_conn *c, uint64_t *applied, ilk_error *err)
{
    ilki_db_state state = {0};
    *applied = 0;
    if (tail_leads(s))
        return ILK_OK;
    ilk_status st = ilki_store_db_run(c, ILKI_SQL_BEGIN, err);
    if (!st)
        st = ilki_store_db_state(c, &state, err);
    *applied = state.lsn;
    return st;
}

static ilk_status locate_with(ilki_store *s, ilki_conn *c, const char *id, located *out, ilk_error *err)
{
    uint64_t applied;
    size_t n = strlen(id);
    bool gone = false, row = false;
    ilk_status st = snapshot(s, c, &applied, err);
    if (st)
        return st;
    if (locate_in_tail(s, id, n, applied, out, &gone))
        return gone ? ilki_base_fail(err, ILK_NOT_FOUND, "the store has no item \"%s\"", id) : ILK_OK;
    sqlite3_stmt *q = ilki_store_db_stmt(c, ILKI_SQL_ITEM_BY_ID, &st, err);
    if (!q)
        return st;
    int rc = sqlite3_bind_blob64(q, 1, id, n, SQLITE_STATIC);
    st = rc ? ilki_store_db_fail(c, rc, err) : ilki_store_db_step(c, q, &row, err);
    if (!st && !row)
        st = ilki_base_fail(err, ILK_NOT_FOUND, "the store has no item \"%s\"", id);
    if (!st)
        take_row(q, out);
    sqlite3_reset(q);
    return st;
}

static ilk_status locate(ilki_store *s, const char *id, located *out, ilk_error *err)
{
    ilki_conn *c;
    ilk_status st;
    int attempt = 0;
    do {
        st = ilki_store_db_take(&s->db, &c, err);
        if (!st)
            st = locate_with(s, c, id, out, err);
        ilki_store_db_give(&s->db, c);
    } while (st && ilki_store_mend(s, &st, attempt++, err));
    return st;
}

static ilk_status no_version(uint64_t lsn, ilk_error *err)
{
    return ilki_base_fail(err, ILK_NOT_FOUND, "LSN %" PRIu64 " is no current version of an item", lsn);
}

/* `current`: NOT_FOUND where the tail has replaced or deleted that version. */
static ilk_status locate_lsn_with(ilki_store *s, ilki_conn *c, uint64_t lsn, bool current, located *out, ilk_error *err)
{
    uint64_t applied;
    bool row = false;
    ilk_status st = snapshot(s, c, &applied, err);
    if (st)
        return st;
    pthread_mutex_lock(&s->tail.lock);
    ilki_entry *e = lsn > applied ? ilki_store_tail_find_lsn(&s->tail, lsn) : NULL;
    if (e && (e->type != ILKI_RECORD_ITEM || (current && ilki_store_tail_find(&s->tail, e->key, e->key_bytes) != e)))
        st = no_version(lsn, err);
    else if (e)
        *out = (located){lsn, e->place};
    pthread_mutex_unlock(&s->tail.lock);
    if (e || st)
        return st;
    sqlite3_stmt *q = ilki_store_db_stmt(c, ILKI_SQL_ITEM_BY_LSN, &st, err);
    if (!q)
        return st;
    sqlite3_bind_int64(q, 1, (sqlite3_int64)lsn);
    st = ilki_store_db_step(c, q, &row, err);
    if (!st && !row)
        st = no_version(lsn, err);
    if (!st) {
        located other;
        bool gone;
        take_row(q, out);
        if (current &&
            locate_in_tail(s, sqlite3_column_blob(q, 7), (size_t)sqlite3_column_bytes(q, 7), applied, &other, &gone))
            st = no_version(lsn, err);
    }
    sqlite3_reset(q);
    return st;
}

static ilk_status locate_lsn(ilki_store *s, uint64_t lsn, bool current, located *out, ilk_error *err)
{
    ilki_conn *c;
    ilk_status st;
    int attempt = 0;
    if (lsn == 0 || lsn >= INT64_MAX)
        return no_version(lsn, err);
    do {
        st = ilki_store_db_take(&s->db, &c, err);
        if (!st)
            st = locate_lsn_with(s, c, lsn, current, out, err);
        ilki_store_db_give(&s->db, c);
    } while (st && ilki_store_mend(s, &st, attempt++, err));
    return st;
}

/* ---- vectors */

ilk_status ilki_store_raw_vector(const ilki_raw *raw, uint32_t space, const char *name, ilk_vector *out, void **block,
                                 ilk_error *err)
{
    ilki_item_body item;
    ilki_vector_entry e = {0};
    memset(out, 0, sizeof *out);
    *block = NULL;
    if (!ilki_store_get_item(raw->body, raw->head.body_bytes, &item))
        return ilki_base_fail(err, ILK_CORRUPT, "log record %" PRIu64 " is malformed", raw->head.lsn);
    for (uint32_t i = 0; i < item.n_vectors; i++) {
        ilki_store_next_vector(&item.vectors, &e);
        if (e.space != space)
            continue;
        if (e.at + e.bytes > raw->head.data_bytes || ilki_base_crc32c(0, raw->data + e.at, e.bytes) != e.crc)
            return ilki_base_fail(err, ILK_CORRUPT, "item %s: the checksum of its vector in space %s does not match",
                                  item.id, name);
        size_t n_index = e.kind == ILK_SPARSE ? e.dim : 0, n = n_index + (size_t)e.rows * e.dim;
        uint32_t *words = malloc(4 * n + 1);
        if (!words)
            return ilki_base_fail_memory(err, 4 * n, "a vector");
        ilki_store_get_u32(words, raw->data + e.at, n_index);
        ilki_store_get_f32((float *)(void *)(words + n_index), raw->data + e.at + 4 * n_index, n - n_index);
        *block = words;
        *out = (ilk_vector){.size = sizeof *out, .space = name, .rows = e.rows, .dim = e.dim};
        out->data = (const float *)(const void *)(words + n_index);
        out->indices = n_index ? words : NULL;
        return ILK_OK;
    }
    return ILK_OK;
}

ilk_status ilki_store_get_dense(ilki_store *s, uint64_t lsn, const char *space, float *to, size_t dim, ilk_error *err)
{
    located at = {0};
    ilki_raw raw;
    ilki_item_body item;
    ilki_vector_entry e = {0};
    ilk_status st = locate_lsn(s, lsn, false, &at, err);
    if (!st)
        st = ilki_store_read_place(s, &at.place, lsn, true, &raw, err);
    if (st)
        return st;
    const ilki_space_row *row = ilki_store_space_by_name(s, space);
    if (!ilki_store_get_item(raw.body, raw.head.body_bytes, &item))
        st = damaged(s, &at.place, lsn, "it is no item", err);
    uint32_t i = 0, n = st || !row ? 0 : item.n_vectors;
    while (i < n && e.space != row->id) {
        ilki_store_next_vector(&item.vectors, &e);
        i++;
    }
    if (!st && (n == 0 || e.space != row->id))
        st = ilki_base_fail(err, ILK_NOT_FOUND, "LSN %" PRIu64 " has no vector in space %s", lsn, space);
    else if (!st && (e.kind == ILK_SPARSE || e.rows != 1 || e.dim != dim))
        st = ilki_base_fail(err, ILK_MISMATCH, "LSN %" PRIu64 " in space %s: %u x %u, expected one row of %zu", lsn,
                            space, e.rows, e.dim, dim);
    else if (!st && (e.at + e.bytes > raw.head.data_bytes || ilki_base_crc32c(0, raw.data + e.at, e.bytes) != e.crc))
        st = damaged(s, &at.place, lsn, "the checksum of a vector does not match", err);
    if (!st)
        ilki_store_get_f32(to, raw.data + e.at, dim);
    free(raw.bytes);
    return st;
}

/* ---- records: struct, fields, vectors, names of spaces, words of vectors, body, body of the source */

typedef struct layout {
    size_t fields, vectors, words, body, source, total;
} layout;

static size_t align(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

static layout plan_record(const ilki_item_body *item, const ilki_raw *raw, bool vectors, size_t source_bytes)
{
    layout l;
    l.fields = align(sizeof(ilki_record));
    l.vectors = l.fields + align(item->n_fields * sizeof(ilk_field));
    l.words = l.vectors + align(vectors ? item->n_vectors * sizeof(ilk_vector) : 0);
    l.body = l.words + align(vectors ? (size_t)raw->head.data_bytes : 0);
    l.source = l.body + align(raw->head.body_bytes);
    l.total = l.source + source_bytes;
    return l;
}

/* Space names are the store's, which outlives its records. */
static ilk_status fill_vectors(ilki_store *s, ilki_record *r, char *block, const layout *l, const ilki_item_body *item,
                               const ilki_raw *raw, ilk_error *err)
{
    ilki_cur c = item->vectors;
    ilki_vector_entry e = {0};
    ilk_vector *v = (ilk_vector *)(void *)(block + l->vectors);
    for (uint32_t i = 0; i < item->n_vectors; i++) {
        ilki_store_next_vector(&c, &e);
        if (e.at + e.bytes > raw->head.data_bytes || ilki_base_crc32c(0, raw->data + e.at, e.bytes) != e.crc)
            return ilki_base_fail(err, ILK_CORRUPT, "%s: item %s: the checksum of vector %u does not match", s->dir,
                                  item->id, i);
        const ilki_space_row *row = ilki_store_space_by_id(s, e.space);
        if (!row && ilki_store_space_load(s, NULL) == ILK_OK) /* a reader whose tables are ahead of its tail */
            row = ilki_store_space_by_id(s, e.space);
        if (!row)
            return ilki_base_fail(err, ILK_CORRUPT, "%s: item %s: the store has no space number %u", s->dir, item->id,
                                  e.space);
        uint32_t *words = (uint32_t *)(void *)(block + l->words + e.at);
        size_t n_index = e.kind == ILK_SPARSE ? e.dim : 0;
        ilki_store_get_u32(words, raw->data + e.at, n_index);
        ilki_store_get_f32((float *)(void *)(words + n_index), raw->data + e.at + 4 * n_index, (size_t)e.rows * e.dim);
        v[i] = (ilk_vector){.size = sizeof *v, .space = row->space.name, .rows = e.rows, .dim = e.dim};
        v[i].data = (const float *)(const void *)(words + n_index);
        v[i].indices = n_index ? words : NULL;
    }
    r->item.vectors = v;
    r->item.n_vectors = item->n_vectors;
    return ILK_OK;
}

static void fill_item(ilki_record *r, char *block, const layout *l, const ilki_item_body *item)
{
    ilki_cur c = item->fields;
    ilk_field *f = (ilk_field *)(void *)(block + l->fields);
    for (uint32_t i = 0; i < item->n_fields; i++)
        ilki_store_next_field(&c, &f[i]);
    r->item = (ilk_item){.size = sizeof r->item, .id = item->id, .parent = item->parent, .segment = item->segment};
    r->item.fields = f;
    r->item.n_fields = item->n_fields;
    if (item->content_hash)
        memcpy(r->item.content_hash, item->content_hash, sizeof r->item.content_hash);
}

static ilk_status find_source(ilki_store *s, const ilki_item_body *item, unsigned char **body, size_t *n,
                              ilk_error *err)
{
    *body = NULL;
    ilk_status st = item->parent ? ilki_store_source_body(s, item->parent, body, n, err) : ILK_OK;
    return st || *body ? st : ilki_store_source_body(s, item->id, body, n, err);
}

static ilk_status make_record(ilki_store *s, const located *at, bool vectors, ilki_record **out, ilk_error *err)
{
    ilki_raw raw;
    ilki_item_body item;
    unsigned char *source = NULL;
    char *block = NULL;
    size_t n_source = 0;
    ilk_status st = ilki_store_read_place(s, &at->place, at->lsn, vectors, &raw, err);
    if (st)
        return st;
    if (!ilki_store_get_item(raw.body, raw.head.body_bytes, &item))
        st = damaged(s, &at->place, at->lsn, "it is no item", err);
    if (!st)
        st = find_source(s, &item, &source, &n_source, err);
    layout l = {0};
    if (!st) {
        l = plan_record(&item, &raw, vectors, n_source);
        block = malloc(l.total);
        if (!block)
            st = ilki_base_fail_memory(err, l.total, "a record");
    }
    if (!st) {
        ilki_record *r = (ilki_record *)(void *)block;
        memset(r, 0, sizeof *r);
        r->lsn = at->lsn;
        memcpy(block + l.body, raw.body, raw.head.body_bytes);
        ilki_store_get_item((unsigned char *)block + l.body, raw.head.body_bytes, &item);
        fill_item(r, block, &l, &item);
        if (vectors)
            st = fill_vectors(s, r, block, &l, &item, &raw, err);
        if (source) {
            memcpy(block + l.source, source, n_source);
            ilki_store_get_source((unsigned char *)block + l.source, n_source, &r->source);
        }
    }
    free(raw.bytes);
    free(source);
    if (st) {
        free(block);
        block = NULL;
    }
    *out = (ilki_record *)(void *)block;
    return st;
}

void ilki_store_record_free(ilki_record *r)
{
    free(r);
}

ilk_status ilki_store_get(ilki_store *s, const char *id, bool vectors, ilki_record **out, ilk_error *err)
{
    located at = {0};
    *out = NULL;
    if (!id)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "get: the id is NULL");
    ilk_status st = locate(s, id, &at, err);
    return st ? st : make_record(s, &at, vectors, out, err);
}

ilk_status ilki_store_get_lsn(ilki_store *s, uint64_t lsn, bool vectors, ilki_record **out, ilk_error *err)
{
    located at = {0};
    *out = NULL;
    ilk_status st = locate_lsn(s, lsn, true, &at, err);
    return st ? st : make_record(s, &at, vectors, out, err);
}
