/* SPDX-License-Identifier: Apache-2.0
 * Batches of the log into the derived tables. Applying is deterministic: the same log gives the same rows, which check.c
 * uses. A put first ends the version before it. */
#include <string.h>

#include "store/core.h"

static int bind_bytes(sqlite3_stmt *s, int i, const void *p, size_t n)
{
    return sqlite3_bind_blob64(s, i, n ? p : "", n, SQLITE_STATIC);
}

static ilk_status bound(ilki_conn *c, sqlite3_stmt *s, int rc, ilk_error *err)
{
    bool row;
    return rc ? ilki_store_db_fail(c, rc, err) : ilki_store_db_step(c, s, &row, err);
}

static ilk_status run_lsn(ilki_conn *c, ilki_sql which, uint64_t lsn, ilk_error *err)
{
    ilk_status st;
    sqlite3_stmt *s = ilki_store_db_stmt(c, which, &st, err);
    return s ? bound(c, s, sqlite3_bind_int64(s, 1, (sqlite3_int64)lsn), err) : st;
}

/* The current version of e's id, if there is one, ends with e. */
static ilk_status end_version(ilki_conn *c, const ilki_entry *e, ilk_error *err)
{
    ilk_status st;
    bool row = false;
    sqlite3_stmt *s = ilki_store_db_stmt(c, ILKI_SQL_ITEM_BY_ID, &st, err);
    if (!s)
        return st;
    int rc = bind_bytes(s, 1, e->key, e->key_bytes);
    st = rc ? ilki_store_db_fail(c, rc, err) : ilki_store_db_step(c, s, &row, err);
    if (st || !row)
        return st;
    uint64_t old = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    st = run_lsn(c, ILKI_SQL_DROP_FIELDS, old, err);
    if (!st)
        st = run_lsn(c, ILKI_SQL_DROP_ITEM, old, err);
    s = st ? NULL : ilki_store_db_stmt(c, ILKI_SQL_ADD_DEAD, &st, err);
    if (!s)
        return st;
    rc = sqlite3_bind_int64(s, 1, (sqlite3_int64)old);
    rc = rc ? rc : sqlite3_bind_int64(s, 2, (sqlite3_int64)e->lsn);
    rc = rc ? rc : bind_bytes(s, 3, e->key, e->key_bytes);
    return bound(c, s, rc, err);
}

/* The number of a field name, made where it is new. The connection knows the first of a transaction by heart. */
static ilk_status name_number(ilki_conn *c, const char *name, int64_t *n, ilk_error *err)
{
    ilk_status st;
    bool row = false;
    for (size_t i = 0; i < c->n_names; i++) {
        *n = c->names[i].n;
        if (strcmp(c->names[i].name, name) == 0)
            return ILK_OK;
    }
    sqlite3_stmt *s = ilki_store_db_stmt(c, ILKI_SQL_NAME, &st, err);
    if (!s)
        return st;
    int rc = bind_bytes(s, 1, name, strlen(name));
    st = rc ? ilki_store_db_fail(c, rc, err) : ilki_store_db_step(c, s, &row, err);
    if (row) {
        *n = sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
    }
    s = st || row ? NULL : ilki_store_db_stmt(c, ILKI_SQL_ADD_NAME, &st, err);
    if (s) {
        st = bound(c, s, bind_bytes(s, 1, name, strlen(name)), err);
        *n = sqlite3_last_insert_rowid(c->db);
    }
    if (!st && c->n_names < ILKI_KNOWN_NAMES && strlen(name) < sizeof c->names->name) {
        c->names[c->n_names].n = *n;
        strcpy(c->names[c->n_names++].name, name);
    }
    return st;
}

static ilk_status add_field(ilki_conn *c, uint64_t lsn, const ilk_field *f, ilk_error *err)
{
    ilk_status st;
    int64_t n = 0;
    const ilk_value *v = &f->value;
    st = name_number(c, f->name, &n, err);
    sqlite3_stmt *s = st ? NULL : ilki_store_db_stmt(c, ILKI_SQL_ADD_FIELD, &st, err);
    if (!s)
        return st;
    ilki_class class = ilki_store_value_class(v->type);
    bool bytes = class == ILKI_CLASS_TEXT || class == ILKI_CLASS_BYTES, cut = bytes && v->n_bytes > ILKI_MAX_KEPT_BYTES;
    int rc = sqlite3_bind_int64(s, 1, (sqlite3_int64)lsn);
    rc = rc ? rc : sqlite3_bind_int64(s, 2, n);
    rc = rc ? rc : sqlite3_bind_int(s, 3, (int)class);
    rc = rc ? rc : sqlite3_bind_int(s, 5, cut);
    if (bytes)
        rc = rc ? rc : bind_bytes(s, 4, v->text, cut ? ILKI_MAX_KEPT_BYTES : v->n_bytes);
    else if (v->type == ILK_VALUE_REAL)
        rc = rc ? rc : sqlite3_bind_double(s, 4, v->d);
    else if (v->type == ILK_VALUE_NULL)
        rc = rc ? rc : sqlite3_bind_null(s, 4);
    else
        rc = rc ? rc : sqlite3_bind_int64(s, 4, v->i);
    return bound(c, s, rc, err);
}

static ilk_status malformed(ilki_conn *c, const ilki_entry *e, ilk_error *err)
{
    return ilki_base_fail(err, ILK_CORRUPT, "%s: log record %llu is malformed", c->owner->path,
                          (unsigned long long)e->lsn);
}

/* *added: false where an item of this id is current. */
static ilk_status add_row(ilki_conn *c, const ilki_entry *e, const ilki_item_body *item, bool *added, ilk_error *err)
{
    ilk_status st;
    sqlite3_stmt *s = ilki_store_db_stmt(c, ILKI_SQL_ADD_ITEM, &st, err);
    if (!s)
        return st;
    int rc = sqlite3_bind_int64(s, 1, (sqlite3_int64)e->lsn);
    rc = rc ? rc : bind_bytes(s, 2, item->id, item->id_bytes);
    rc = rc ? rc : item->parent ? bind_bytes(s, 3, item->parent, item->parent_bytes) : sqlite3_bind_null(s, 3);
    rc = rc ? rc : sqlite3_bind_int64(s, 4, (sqlite3_int64)e->place.file);
    rc = rc ? rc : sqlite3_bind_int64(s, 5, (sqlite3_int64)e->place.at);
    rc = rc ? rc : sqlite3_bind_int64(s, 6, (sqlite3_int64)e->place.total);
    rc = rc ? rc : sqlite3_bind_int64(s, 7, e->place.body_bytes);
    rc = rc ? rc : sqlite3_bind_int64(s, 8, item->n_vectors);
    st = bound(c, s, rc, err);
    *added = sqlite3_changes(c->db) == 1;
    return st;
}

/* Most ids are new: the old version is looked for only where the insertion finds one. */
static ilk_status add_item(ilki_conn *c, const ilki_entry *e, ilk_error *err)
{
    ilki_item_body item;
    bool added = false;
    if (!ilki_store_get_item(e->body, e->place.body_bytes, &item))
        return malformed(c, e, err);
    ilk_status st = add_row(c, e, &item, &added, err);
    if (!st && !added) {
        st = end_version(c, e, err);
        if (!st)
            st = add_row(c, e, &item, &added, err);
        if (!st && !added) {
            atomic_store(&c->owner->unfit, true);
            st = ilki_base_fail(err, ILK_CORRUPT, "%s: it holds LSN %llu already", c->owner->path,
                                (unsigned long long)e->lsn);
        }
    }
    for (uint32_t i = 0; !st && i < item.n_fields; i++) {
        ilk_field f;
        ilki_store_next_field(&item.fields, &f);
        st = add_field(c, e->lsn, &f, err);
    }
    return st;
}

static ilk_status set_source(ilki_conn *c, const ilki_entry *e, ilk_error *err)
{
    ilki_source src;
    ilk_status st;
    if (!ilki_store_get_source(e->body, e->place.body_bytes, &src))
        return malformed(c, e, err);
    sqlite3_stmt *s = ilki_store_db_stmt(c, ILKI_SQL_SET_SOURCE, &st, err);
    if (!s)
        return st;
    int rc = bind_bytes(s, 1, src.id, strlen(src.id));
    rc = rc ? rc : sqlite3_bind_int64(s, 2, (sqlite3_int64)e->lsn);
    rc = rc ? rc : bind_bytes(s, 3, src.root, strlen(src.root));
    rc = rc ? rc : bind_bytes(s, 4, src.path, strlen(src.path));
    rc = rc ? rc : bind_bytes(s, 5, src.content_hash, sizeof src.content_hash);
    rc = rc ? rc : sqlite3_bind_int(s, 6, (int)src.state);
    rc = rc ? rc : bind_bytes(s, 7, e->body, e->place.body_bytes);
    return bound(c, s, rc, err);
}

static ilk_status set_meta(ilki_conn *c, const ilki_entry *e, ilk_error *err)
{
    const char *name, *value;
    ilk_status st;
    if (!ilki_store_get_meta(e->body, e->place.body_bytes, &name, &value))
        return malformed(c, e, err);
    sqlite3_stmt *s = ilki_store_db_stmt(c, value ? ILKI_SQL_SET_META : ILKI_SQL_DROP_META, &st, err);
    if (!s)
        return st;
    int rc = bind_bytes(s, 1, name, strlen(name));
    if (value)
        rc = rc ? rc : bind_bytes(s, 2, value, strlen(value));
    return bound(c, s, rc, err);
}

static ilk_status add_space(ilki_conn *c, const ilki_entry *e, ilk_error *err)
{
    ilk_space space;
    uint32_t id;
    ilk_status st;
    if (!ilki_store_get_space(e->body, e->place.body_bytes, &space, &id))
        return malformed(c, e, err);
    sqlite3_stmt *s = ilki_store_db_stmt(c, ILKI_SQL_ADD_SPACE, &st, err);
    if (!s)
        return st;
    int rc = sqlite3_bind_int64(s, 1, id);
    rc = rc ? rc : bind_bytes(s, 2, e->body, e->place.body_bytes);
    return bound(c, s, rc, err);
}

static ilk_status apply_entry(ilki_conn *c, const ilki_entry *e, ilk_error *err)
{
    switch (e->type) {
    case ILKI_RECORD_ITEM:
        return add_item(c, e, err);
    case ILKI_RECORD_DELETE:
        return end_version(c, e, err);
    case ILKI_RECORD_SPACE:
        return add_space(c, e, err);
    case ILKI_RECORD_META:
        return set_meta(c, e, err);
    case ILKI_RECORD_SOURCE:
        return set_source(c, e, err);
    default:
        return ILK_OK;
    }
}

static ilk_status set_state(ilki_conn *c, const ilki_db_state *state, ilk_error *err)
{
    ilk_status st;
    sqlite3_stmt *s = ilki_store_db_stmt(c, ILKI_SQL_SET_STATE, &st, err);
    if (!s)
        return st;
    int rc = bind_bytes(s, 1, c->owner->uuid, ILKI_UUID_BYTES);
    rc = rc ? rc : sqlite3_bind_int64(s, 2, (sqlite3_int64)state->lsn);
    rc = rc ? rc : sqlite3_bind_int64(s, 3, (sqlite3_int64)state->file);
    rc = rc ? rc : sqlite3_bind_int64(s, 4, (sqlite3_int64)state->at);
    rc = rc ? rc : sqlite3_bind_int64(s, 5, (sqlite3_int64)state->versions);
    return bound(c, s, rc, err);
}

static ilk_status apply_batches(ilki_conn *c, ilki_tail_batch *const *batches, size_t n, ilk_error *err)
{
    ilki_db_state state;
    ilk_status st = ilki_store_db_state(c, &state, err);
    for (size_t i = 0; !st && i < n; i++) {
        const ilki_tail_batch *b = batches[i];
        if (b->first_lsn != state.lsn + 1) {
            atomic_store(&c->owner->unfit, true);
            return ilki_base_fail(err, ILK_CORRUPT, "%s: applied up to LSN %llu, the next batch begins at %llu",
                                  c->owner->path, (unsigned long long)state.lsn, (unsigned long long)b->first_lsn);
        }
        for (size_t k = 0; !st && k < b->n; k++)
            st = apply_entry(c, &b->entries[k], err);
        state.lsn = b->last_lsn;
        state.file = b->file;
        state.at = b->end;
        state.versions += b->n_items;
    }
    return st ? st : set_state(c, &state, err);
}

ilk_status ilki_store_db_apply(ilki_conn *c, ilki_tail_batch *const *batches, size_t n, ilk_error *err)
{
    c->n_names = 0; /* a transaction rolled back may have taken a name with it */
    ilk_status st = ilki_store_db_run(c, ILKI_SQL_BEGIN_WRITE, err);
    if (st)
        return st;
    st = apply_batches(c, batches, n, err);
    if (!st)
        st = ilki_store_db_run(c, ILKI_SQL_COMMIT, err);
    if (st && !sqlite3_get_autocommit(c->db))
        ilki_store_db_run(c, ILKI_SQL_ROLLBACK, NULL);
    return st;
}
