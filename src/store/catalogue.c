/* SPDX-License-Identifier: Apache-2.0
 * Sources, store-wide metadata and counts: few rows, read from one view. Records of the tail come before those of the
 * tables; a source is keyed by its id, and the newest record of an id is the one that counts. */
#include <stdlib.h>
#include <string.h>

#include "store/core.h"

enum { LOOKUP_TAIL_SOURCES = 64 }; /* more in the tail are applied first, so that a lookup stays short */

typedef struct row {
    unsigned char *body;
    size_t n;
    ilki_source src; /* into body */
} row;

typedef struct rows {
    row *list;
    size_t n, cap;
    ilki_arena arena;
} rows;

static ilk_status add_row(rows *r, const void *body, size_t n, ilk_error *err)
{
    if (r->n == r->cap) {
        size_t cap = r->cap * 2 + 16;
        row *grown = realloc(r->list, cap * sizeof *grown);
        if (!grown)
            return ilki_base_fail_memory(err, cap * sizeof *grown, "sources");
        r->list = grown;
        r->cap = cap;
    }
    row *to = &r->list[r->n];
    to->body = (unsigned char *)ilki_base_arena_strndup(&r->arena, body, n);
    to->n = n;
    if (!to->body)
        return ilki_base_fail_memory(err, n, "sources");
    if (!ilki_store_get_source(to->body, n, &to->src))
        return ilki_base_fail(err, ILK_CORRUPT, "a source record is malformed");
    r->n++;
    return ILK_OK;
}

/* ---- what is asked for */

typedef struct lookup {
    ilki_sql sql;
    const char *id, *root, *path;
    const uint8_t *hash;
} lookup;

static bool wanted(const lookup *l, const ilki_source *src)
{
    if (l->id)
        return strcmp(src->id, l->id) == 0;
    if (l->path)
        return src->state != ILKI_SOURCE_GONE && strcmp(src->path, l->path) == 0 && strcmp(src->root, l->root) == 0;
    if (l->hash)
        return src->state != ILKI_SOURCE_GONE && memcmp(src->content_hash, l->hash, sizeof src->content_hash) == 0;
    return true;
}

static int bind(const lookup *l, sqlite3_stmt *q)
{
    if (l->id)
        return sqlite3_bind_blob64(q, 1, l->id, strlen(l->id), SQLITE_STATIC);
    if (l->path) {
        int rc = sqlite3_bind_blob64(q, 1, *l->root ? l->root : "", strlen(l->root), SQLITE_STATIC);
        return rc ? rc : sqlite3_bind_blob64(q, 2, l->path, strlen(l->path), SQLITE_STATIC);
    }
    return l->hash ? sqlite3_bind_blob(q, 1, l->hash, 32, SQLITE_STATIC) : SQLITE_OK;
}

/* Newest source record of each id in the tail, as a map id -> entry number in `tail`. */
static ilk_status tail_sources(const ilki_view *v, ilki_map *map, ilki_entry ***tail, size_t *n, ilk_error *err)
{
    size_t n_all = 0;
    *n = 0;
    *tail = NULL;
    for (size_t i = 0; i < v->n_held; i++)
        n_all += v->held[i]->n_sources;
    if (n_all == 0)
        return ILK_OK;
    *tail = malloc(n_all * sizeof **tail);
    if (!*tail || !ilki_base_map_reserve(map, n_all))
        return ilki_base_fail_memory(err, n_all * sizeof **tail, "sources");
    for (size_t i = v->n_held; i-- > 0;) {
        ilki_tail_batch *b = v->held[i];
        for (size_t k = b->n_sources ? b->n : 0; k-- > 0;) {
            ilki_entry *e = &b->entries[k];
            if (e->type != ILKI_RECORD_SOURCE || ilki_base_map_get(map, e->key, e->key_bytes) != ILKI_MAP_NONE)
                continue;
            if (!ilki_base_map_put(map, e->key, e->key_bytes, (uint32_t)*n, NULL))
                return ilki_base_fail_memory(err, n_all, "sources");
            (*tail)[(*n)++] = e;
        }
    }
    return ILK_OK;
}

static ilk_status from_tables(const ilki_view *v, const lookup *l, const ilki_map *map, rows *out, ilk_error *err)
{
    ilk_status st;
    bool more = false;
    sqlite3_stmt *q = ilki_store_db_stmt(v->c, l->sql, &st, err);
    if (!q)
        return st;
    int rc = bind(l, q);
    if (rc)
        return ilki_store_db_fail(v->c, rc, err);
    while (!st && !(st = ilki_store_db_step(v->c, q, &more, err)) && more) {
        const char *id = sqlite3_column_blob(q, 0);
        size_t n = (size_t)sqlite3_column_bytes(q, 0);
        if (ilki_base_map_get(map, id, n) == ILKI_MAP_NONE)
            st = add_row(out, sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2), err);
    }
    return st;
}

/* The tail's first and newest first, then the tables'. */
static ilk_status look_up_once(ilki_store *s, const lookup *l, rows *out, ilk_error *err)
{
    ilki_view v;
    ilki_map map = {0};
    ilki_entry **tail = NULL;
    size_t n = 0;
    out->n = 0;
    ilk_status st = ilki_store_view_open(s, &v, err);
    if (st)
        return st;
    st = tail_sources(&v, &map, &tail, &n, err);
    for (size_t i = 0; !st && i < n; i++) {
        ilki_source src;
        if (ilki_store_get_source(tail[i]->body, tail[i]->place.body_bytes, &src) && wanted(l, &src))
            st = add_row(out, tail[i]->body, tail[i]->place.body_bytes, err);
    }
    if (!st)
        st = from_tables(&v, l, &map, out, err);
    free(tail);
    ilki_base_map_deinit(&map);
    ilki_store_view_close(&v);
    return st;
}

static void thin_sources(ilki_store *s)
{
    size_t n = 0;
    if (s->read_only)
        return;
    pthread_mutex_lock(&s->tail.lock);
    for (size_t i = 0; i < s->tail.n && n <= LOOKUP_TAIL_SOURCES; i++)
        n += s->tail.batches[s->tail.first + i]->n_sources;
    pthread_mutex_unlock(&s->tail.lock);
    if (n <= LOOKUP_TAIL_SOURCES)
        return;
    pthread_mutex_lock(&s->write_lock);
    ilki_store_apply_all(s, NULL); /* for speed alone */
    pthread_mutex_unlock(&s->write_lock);
}

static ilk_status look_up(ilki_store *s, const lookup *l, rows *out, ilk_error *err)
{
    int attempt = 0;
    ilk_status st;
    thin_sources(s);
    do
        st = look_up_once(s, l, out, err);
    while (st && ilki_store_mend(s, &st, attempt++, err));
    return st;
}

static void rows_deinit(rows *r)
{
    free(r->list);
    ilki_base_arena_deinit(&r->arena);
}

static ilk_status tell(ilki_store *s, const lookup *l, bool one, ilki_source_fn fn, void *user, ilk_error *err)
{
    rows out = {0};
    ilk_status st = look_up(s, l, &out, err);
    if (!st && one && out.n == 0)
        st = ilki_base_fail(err, ILK_NOT_FOUND, "%s: there is no such source", s->dir);
    for (size_t i = 0; !st && i < (one && out.n ? 1 : out.n); i++)
        if (!fn(user, &out.list[i].src))
            break;
    rows_deinit(&out);
    return st;
}

ilk_status ilki_store_source_by_path(ilki_store *s, const char *root, const char *path, ilki_source_fn fn, void *user,
                                     ilk_error *err)
{
    lookup l = {.sql = ILKI_SQL_SOURCE_BY_PATH, .root = root ? root : "", .path = path};
    return path ? tell(s, &l, true, fn, user, err) : ilki_base_fail(err, ILK_BAD_ARGUMENT, "source: the path is NULL");
}

ilk_status ilki_store_source_by_id(ilki_store *s, const char *id, ilki_source_fn fn, void *user, ilk_error *err)
{
    lookup l = {.sql = ILKI_SQL_SOURCE_BY_ID, .id = id};
    return id ? tell(s, &l, true, fn, user, err) : ilki_base_fail(err, ILK_BAD_ARGUMENT, "source: the id is NULL");
}

ilk_status ilki_store_source_by_hash(ilki_store *s, const uint8_t hash[32], ilki_source_fn fn, void *user,
                                     ilk_error *err)
{
    lookup l = {.sql = ILKI_SQL_SOURCE_BY_HASH, .hash = hash};
    return tell(s, &l, true, fn, user, err);
}

static int by_path(const void *a, const void *b)
{
    const row *x = a, *y = b;
    int c = strcmp(x->src.root, y->src.root);
    c = c ? c : strcmp(x->src.path, y->src.path);
    return c ? c : strcmp(x->src.id, y->src.id);
}

ilk_status ilki_store_sources(ilki_store *s, ilki_source_fn fn, void *user, ilk_error *err)
{
    rows out = {0};
    lookup l = {.sql = ILKI_SQL_SOURCES};
    ilk_status st = look_up(s, &l, &out, err);
    if (!st && out.n)
        qsort(out.list, out.n, sizeof *out.list, by_path);
    for (size_t i = 0; !st && i < out.n; i++)
        if (!fn(user, &out.list[i].src))
            break;
    rows_deinit(&out);
    return st;
}

ilk_status ilki_store_source_body(ilki_store *s, const char *id, unsigned char **body, size_t *n, ilk_error *err)
{
    rows out = {0};
    lookup l = {.sql = ILKI_SQL_SOURCE_BY_ID, .id = id};
    *body = NULL;
    *n = 0;
    ilk_status st = look_up(s, &l, &out, err);
    if (!st && out.n) {
        *body = (unsigned char *)ilki_base_strndup((const char *)out.list[0].body, out.list[0].n);
        *n = out.list[0].n;
        if (!*body)
            st = ilki_base_fail_memory(err, *n, "a source");
    }
    rows_deinit(&out);
    return st;
}

/* ---- store-wide metadata */

static ilk_status meta_once(ilki_store *s, const char *name, char **value, ilk_error *err)
{
    ilki_view v;
    bool found = false;
    size_t len = strlen(name);
    ilk_status st = ilki_store_view_open(s, &v, err);
    if (st)
        return st;
    for (size_t i = v.n_held; !found && i-- > 0;)
        for (size_t k = v.held[i]->n_meta ? v.held[i]->n : 0; !found && k-- > 0;) {
            const ilki_entry *e = &v.held[i]->entries[k];
            const char *key, *text;
            found = e->type == ILKI_RECORD_META && e->key_bytes == len && memcmp(e->key, name, len) == 0 &&
                    ilki_store_get_meta(e->body, e->place.body_bytes, &key, &text);
            if (found && text && !(*value = ilki_base_strndup(text, strlen(text))))
                st = ilki_base_fail_memory(err, strlen(text), "metadata");
        }
    sqlite3_stmt *q = found ? NULL : ilki_store_db_stmt(v.c, ILKI_SQL_META, &st, err);
    if (q) {
        bool more = false;
        sqlite3_bind_blob64(q, 1, name, len, SQLITE_STATIC);
        st = ilki_store_db_step(v.c, q, &more, err);
        size_t n = more ? (size_t)sqlite3_column_bytes(q, 0) : 0;
        if (more && !(*value = ilki_base_strndup(sqlite3_column_blob(q, 0), n)))
            st = ilki_base_fail_memory(err, n, "metadata");
        sqlite3_reset(q);
    }
    ilki_store_view_close(&v);
    return st;
}

ilk_status ilki_store_meta(ilki_store *s, const char *name, char **value, ilk_error *err)
{
    int attempt = 0;
    ilk_status st;
    do {
        *value = NULL;
        st = meta_once(s, name, value, err);
    } while (st && ilki_store_mend(s, &st, attempt++, err));
    return st;
}

/* ---- counts */

static ilk_status count_items(const ilki_view *v, ilk_store_info *info, ilk_error *err)
{
    sqlite3_stmt *q = NULL;
    bool more = false;
    int rc = sqlite3_prepare_v2(v->c->db, "SELECT vectors, id FROM item", -1, &q, NULL);
    ilk_status st = rc ? ilki_store_db_fail(v->c, rc, err) : ILK_OK;
    while (!st && !(st = ilki_store_db_step(v->c, q, &more, err)) && more) {
        if (v->n_items &&
            ilki_store_view_find(v->items, v->n_items, sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1)))
            continue;
        info->n_items++;
        info->n_vectors += (uint64_t)sqlite3_column_int64(q, 0);
    }
    sqlite3_finalize(q);
    for (size_t i = 0; i < v->n_items; i++) {
        ilki_item_body item;
        const ilki_entry *e = v->items[i];
        if (e->type != ILKI_RECORD_ITEM || !ilki_store_get_item(e->body, e->place.body_bytes, &item))
            continue;
        info->n_items++;
        info->n_vectors += item.n_vectors;
    }
    info->n_deleted = v->versions - info->n_items;
    return st;
}

typedef struct sizes {
    ilki_store *store;
    const char *dir;
    uint64_t n;
} sizes;

static bool add_size(void *user, const char *name, ilki_file_type type)
{
    sizes *z = user;
    ilki_stat st;
    char *path = type == ILKI_FILE_REGULAR ? ilki_base_path_join(z->dir, name) : NULL;
    if (path && z->store->vfs->stat(z->store->vfs, path, false, &st, NULL) == ILK_OK)
        z->n += st.size;
    free(path);
    return true;
}

static bool count_source(void *user, const ilki_source *src)
{
    *(uint64_t *)user += src->state != ILKI_SOURCE_GONE;
    return true;
}

static ilk_status counts_once(ilki_store *s, ilk_store_info *info, ilk_error *err)
{
    ilki_view v;
    info->n_items = info->n_vectors = 0;
    ilk_status st = ilki_store_view_open(s, &v, err);
    if (st)
        return st;
    st = count_items(&v, info, err);
    info->last_lsn = v.last;
    ilki_store_view_close(&v);
    return st;
}

ilk_status ilki_store_info(ilki_store *s, ilk_store_info *info, ilk_error *err)
{
    int attempt = 0;
    ilk_status st;
    *info = (ilk_store_info){.size = sizeof *info, .path = s->dir, .read_only = s->read_only};
    do
        st = counts_once(s, info, err);
    while (st && ilki_store_mend(s, &st, attempt++, err));
    if (!st)
        st = ilki_store_sources(s, count_source, &info->n_sources, err);
    if (!st)
        st = ilki_store_log_bytes(&s->log, &info->log_bytes, err);
    pthread_mutex_lock(&s->space_lock);
    info->n_spaces = s->n_spaces;
    pthread_mutex_unlock(&s->space_lock);
    sizes z = {.store = s};
    char *dir = st ? NULL : ilki_base_path_join(s->dir, "derived");
    if (dir) {
        z.dir = dir;
        s->vfs->list(s->vfs, dir, add_size, &z, NULL); /* a reader may find none */
    }
    free(dir);
    info->derived_bytes = z.n;
    return st;
}

ilk_status ilki_store_derived_path(ilki_store *s, const char *name, char **path, ilk_error *err)
{
    *path = NULL;
    size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;
    if (n == 0 || n > 200 || name[n])
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "derived file \"%s\": expected a name of [a-z0-9-]",
                              name ? name : "(NULL)");
    char *dir = ilki_base_path_join(s->dir, "derived");
    *path = dir ? ilki_base_path_join(dir, name) : NULL;
    free(dir);
    return *path ? ILK_OK : ilki_base_fail_memory(err, n, "a path");
}
