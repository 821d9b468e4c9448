/* SPDX-License-Identifier: Apache-2.0
 * Many items at once: scan, count, select, changes. Each takes one view, merges the tables' rows with the tail's entries,
 * and gives the view back before a caller's function runs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/core.h"

enum { PAGE_FIRST = 256, PAGE_MOST = 8192, MAX_STATEMENT_BYTES = 1000000 };

/* "SELECT <columns> FROM item WHERE (<filter>) <rest>", its filter's parameters bound. */
static ilk_status prepare(ilki_conn *c, const char *columns, const ilki_filter_sql *f, const char *rest,
                          sqlite3_stmt **out, ilk_error *err)
{
    ilki_buf text;
    *out = NULL;
    ilki_base_buf_init(&text, MAX_STATEMENT_BYTES);
    ilki_base_buf_addf(&text, "SELECT %s FROM item WHERE (", columns);
    ilki_base_buf_add(&text, ilki_base_buf_view(&f->text), f->text.len);
    ilki_base_buf_addf(&text, ") %s", rest);
    ilk_status st = ilki_base_buf_check(&text, "a filter", err);
    int rc = st ? SQLITE_OK : sqlite3_prepare_v2(c->db, text.data, (int)text.len, out, NULL);
    if (!st && !rc)
        rc = ilki_store_filter_bind(f, *out);
    if (rc)
        st = ilki_store_db_fail(c, rc, err);
    if (st) {
        sqlite3_finalize(*out);
        *out = NULL;
    }
    ilki_base_buf_deinit(&text);
    return st;
}

/* An entry of the tail that is an item and passes. */
static bool passes(const ilki_entry *e, const ilk_filter *filter)
{
    ilki_item_body item;
    return e->type == ILKI_RECORD_ITEM && ilki_store_get_item(e->body, e->place.body_bytes, &item) &&
           (!filter || ilki_store_filter_match(filter, &item));
}

/* ---- select and count */

typedef struct list {
    uint64_t *lsns;
    size_t n, cap;
} list;

static ilk_status add_lsn(list *l, uint64_t lsn, ilk_error *err)
{
    if (l->n == l->cap) {
        size_t cap = l->cap * 2 + 256;
        uint64_t *lsns = cap > SIZE_MAX / 8 ? NULL : realloc(l->lsns, cap * sizeof *lsns);
        if (!lsns)
            return ilki_base_fail_memory(err, cap, "a list of items");
        l->lsns = lsns;
        l->cap = cap;
    }
    l->lsns[l->n++] = lsn;
    return ILK_OK;
}

static int by_lsn(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static ilk_status select_rows(ilki_view *v, const ilk_filter *filter, list *l, ilk_error *err)
{
    ilki_filter_sql f;
    sqlite3_stmt *q = NULL;
    bool row = false;
    ilk_status st = ilki_store_filter_sql(&f, filter, v->c, err);
    if (!st)
        st = prepare(v->c, v->n_items ? "lsn, id" : "lsn", &f, "ORDER BY lsn", &q, err);
    while (!st && !(st = ilki_store_db_step(v->c, q, &row, err)) && row) {
        if (!v->n_items ||
            !ilki_store_view_find(v->items, v->n_items, sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1)))
            st = add_lsn(l, (uint64_t)sqlite3_column_int64(q, 0), err);
    }
    sqlite3_finalize(q);
    ilki_store_filter_sql_deinit(&f);
    return st;
}

static ilk_status select_once(ilki_store *s, const ilk_filter *filter, list *l, ilk_error *err)
{
    ilki_view v;
    l->n = 0;
    ilk_status st = ilki_store_view_open(s, &v, err);
    if (st)
        return st;
    st = select_rows(&v, filter, l, err);
    size_t from_tables = l->n;
    for (size_t i = 0; !st && i < v.n_items; i++)
        if (passes(v.items[i], filter))
            st = add_lsn(l, v.items[i]->lsn, err);
    if (l->n > from_tables) /* all past the snapshot, so behind the rest */
        qsort(l->lsns + from_tables, l->n - from_tables, sizeof *l->lsns, by_lsn);
    ilki_store_view_close(&v);
    return st;
}

ilk_status ilki_store_select(ilki_store *s, const ilk_filter *filter, uint64_t **lsns, size_t *n, ilk_error *err)
{
    list l = {0};
    *lsns = NULL;
    *n = 0;
    ilk_status st = ilki_store_filter_check(filter, err);
    if (st)
        return st;
    int attempt = 0;
    st = add_lsn(&l, 0, err); /* an empty list is a pointer too */
    if (!st) {
        do
            st = select_once(s, filter, &l, err);
        while (st && ilki_store_mend(s, &st, attempt++, err));
    }
    if (st) {
        free(l.lsns);
        return st;
    }
    *lsns = l.lsns;
    *n = l.n;
    return ILK_OK;
}

static ilk_status count_all(ilki_store *s, bool *done, uint64_t *n, ilk_error *err)
{
    ilki_view v;
    ilki_filter_sql f;
    sqlite3_stmt *q = NULL;
    bool row = false;
    ilk_status st = ilki_store_view_open(s, &v, err);
    *done = !st && v.n_items == 0;
    if (*done) {
        st = ilki_store_filter_sql(&f, NULL, v.c, err);
        if (!st)
            st = prepare(v.c, "count(*)", &f, "", &q, err);
        if (!st)
            st = ilki_store_db_step(v.c, q, &row, err);
        if (row)
            *n = (uint64_t)sqlite3_column_int64(q, 0);
        sqlite3_finalize(q);
        ilki_store_filter_sql_deinit(&f);
    }
    ilki_store_view_close(&v);
    return st;
}

ilk_status ilki_store_count(ilki_store *s, const ilk_filter *filter, uint64_t *n, ilk_error *err)
{
    uint64_t *lsns;
    size_t k;
    bool done = false;
    *n = 0;
    if (!filter && count_all(s, &done, n, NULL) == ILK_OK && done)
        return ILK_OK;
    ilk_status st = ilki_store_select(s, filter, &lsns, &k, err);
    free(lsns);
    *n = k;
    return st;
}

/* ---- scan */

typedef struct hit {
    uint64_t lsn;
    const char *id, *parent;
} hit;

typedef struct page {
    hit *hits;
    size_t n, max;
    ilki_arena arena;
} page;

static ilk_status add_hit(page *p, uint64_t lsn, const char *id, size_t n, const char *parent, size_t m, ilk_error *err)
{
    hit *h = &p->hits[p->n];
    h->lsn = lsn;
    h->id = ilki_base_arena_strndup(&p->arena, id, n);
    h->parent = parent ? ilki_base_arena_strndup(&p->arena, parent, m) : NULL;
    if (!h->id || (parent && !h->parent))
        return ilki_base_fail_memory(err, n + m, "a page of items");
    p->n++;
    return ILK_OK;
}

static int compare_ids(const char *a, size_t n, const char *b, size_t m)
{
    int c = memcmp(a, b, n < m ? n : m);
    return c ? c : n < m ? -1 : n > m;
}

static ilk_status add_entry(page *p, const ilki_entry *e, ilk_error *err)
{
    ilki_item_body item;
    ilki_store_get_item(e->body, e->place.body_bytes, &item);
    return add_hit(p, e->lsn, item.id, item.id_bytes, item.parent, item.parent_bytes, err);
}

/* Rows in order of id, merged with the tail's entries in the same order. */
static ilk_status merge(ilki_view *v, sqlite3_stmt *q, const ilk_filter *filter, const char *after, page *p,
                        ilk_error *err)
{
    size_t i = 0;
    bool row = false;
    ilk_status st = ILK_OK;
    while (after && i < v->n_items && compare_ids(v->items[i]->key, v->items[i]->key_bytes, after, strlen(after)) <= 0)
        i++;
    while (!st && p->n < p->max && !(st = ilki_store_db_step(v->c, q, &row, err)) && row) {
        const char *id = sqlite3_column_blob(q, 1), *parent = sqlite3_column_blob(q, 2);
        size_t n = (size_t)sqlite3_column_bytes(q, 1), m = (size_t)sqlite3_column_bytes(q, 2);
        int c = 1;
        for (; !st && p->n < p->max && i < v->n_items; i++) {
            c = compare_ids(v->items[i]->key, v->items[i]->key_bytes, id, n);
            if (c > 0)
                break;
            if (passes(v->items[i], filter))
                st = add_entry(p, v->items[i], err);
            if (c == 0) { /* the tail replaces the row */
                i++;
                break;
            }
            c = 1;
        }
        if (!st && c != 0 && p->n < p->max)
            st = add_hit(p, (uint64_t)sqlite3_column_int64(q, 0), id, n, parent, m, err);
    }
    for (; !st && p->n < p->max && i < v->n_items; i++)
        if (passes(v->items[i], filter))
            st = add_entry(p, v->items[i], err);
    return st;
}

static ilk_status scan_page(ilki_store *s, const ilk_filter *filter, const char *after, page *p, ilk_error *err)
{
    ilki_view v;
    ilki_filter_sql f;
    sqlite3_stmt *q = NULL;
    p->n = 0;
    ilk_status st = ilki_store_view_open(s, &v, err);
    if (st)
        return st;
    st = ilki_store_filter_sql(&f, filter, v.c, err);
    if (!st)
        st = prepare(v.c, "lsn, id, parent", &f, after ? "AND id > ? ORDER BY id" : "ORDER BY id", &q, err);
    if (!st && after)
        sqlite3_bind_blob64(q, (int)f.n + 1, after, strlen(after), SQLITE_STATIC);
    if (!st)
        st = merge(&v, q, filter, after, p, err);
    sqlite3_finalize(q);
    ilki_store_filter_sql_deinit(&f);
    ilki_store_view_close(&v);
    return st;
}

ilk_status ilki_store_scan(ilki_store *s, const ilk_filter *filter, const char *after, ilki_item_fn fn, void *user,
                           ilk_error *err)
{
    page p = {.max = PAGE_FIRST};
    char *from = after ? ilki_base_strndup(after, strlen(after)) : NULL;
    ilk_status st = ilki_store_filter_check(filter, err);
    p.hits = malloc(PAGE_MOST * sizeof *p.hits);
    if (!st && (!p.hits || (after && !from)))
        st = ilki_base_fail_memory(err, PAGE_MOST * sizeof *p.hits, "a page of items");
    bool go = !st;
    while (go) {
        int attempt = 0;
        do
            st = scan_page(s, filter, from, &p, err);
        while (st && ilki_store_mend(s, &st, attempt++, err));
        go = !st && p.n == p.max;
        for (size_t i = 0; !st && i < p.n; i++)
            if (!fn(user, p.hits[i].lsn, p.hits[i].id, p.hits[i].parent)) {
                go = false;
                break;
            }
        free(from);
        from = go ? ilki_base_strndup(p.hits[p.n - 1].id, strlen(p.hits[p.n - 1].id)) : NULL;
        if (go && !from)
            st = ilki_base_fail_memory(err, ILKI_ID_BYTES, "a page of items");
        go = go && from;
        ilki_base_arena_deinit(&p.arena);
        p.max = p.max * 2 < PAGE_MOST ? p.max * 2 : PAGE_MOST;
    }
    free(from);
    free(p.hits);
    return st;
}

/* ---- changes */

typedef struct event {
    uint64_t at, lsn, old; /* at: LSN it happened at */
    const char *id;
    size_t id_bytes;
    ilki_place place;
} event;

typedef struct events {
    event *list;
    size_t n, cap;
    ilki_arena arena;
} events;

static ilk_status add_event(events *ev, event e, ilk_error *err)
{
    if (ev->n == ev->cap) {
        size_t cap = ev->cap * 2 + 256;
        event *grown = realloc(ev->list, cap * sizeof *grown);
        if (!grown)
            return ilki_base_fail_memory(err, cap * sizeof *grown, "changes");
        ev->list = grown;
        ev->cap = cap;
    }
    e.id = ilki_base_arena_strndup(&ev->arena, e.id, e.id_bytes);
    if (!e.id)
        return ilki_base_fail_memory(err, e.id_bytes, "changes");
    ev->list[ev->n++] = e;
    return ILK_OK;
}

/* Versions that were current at `since` and ended in the tables' time. */
static ilk_status ended_in_tables(ilki_view *v, uint64_t since, events *ev, ilk_error *err)
{
    ilk_status st;
    bool row = false;
    if (since >= v->applied)
        return ILK_OK;
    sqlite3_stmt *q = ilki_store_db_stmt(v->c, ILKI_SQL_CHANGED_DEAD, &st, err);
    if (!q)
        return st;
    sqlite3_bind_int64(q, 1, (sqlite3_int64)since);
    while (!st && !(st = ilki_store_db_step(v->c, q, &row, err)) && row)
        st = add_event(ev,
                       (event){.at = (uint64_t)sqlite3_column_int64(q, 1),
                               .old = (uint64_t)sqlite3_column_int64(q, 0),
                               .id = sqlite3_column_blob(q, 2),
                               .id_bytes = (size_t)sqlite3_column_bytes(q, 2)},
                       err);
    return st;
}

static ilk_status put_in_tables(ilki_view *v, uint64_t since, events *ev, ilk_error *err)
{
    ilk_status st;
    bool row = false;
    sqlite3_stmt *q = ilki_store_db_stmt(v->c, ILKI_SQL_CHANGED_ITEMS, &st, err);
    if (!q)
        return st;
    sqlite3_bind_int64(q, 1, (sqlite3_int64)since);
    while (!st && !(st = ilki_store_db_step(v->c, q, &row, err)) && row) {
        event e = {.at = (uint64_t)sqlite3_column_int64(q, 0), .id = sqlite3_column_blob(q, 1)};
        e.lsn = e.at;
        e.id_bytes = (size_t)sqlite3_column_bytes(q, 1);
        e.place = (ilki_place){(uint64_t)sqlite3_column_int64(q, 2), (uint64_t)sqlite3_column_int64(q, 3),
                               (uint64_t)sqlite3_column_int64(q, 4), (uint32_t)sqlite3_column_int64(q, 5)};
        if (!ilki_store_view_find(v->items, v->n_items, e.id, e.id_bytes))
            st = add_event(ev, e, err);
    }
    return st;
}

/* The LSN that id had in the tables, at most `since`; 0: none. */
static ilk_status version_in_tables(ilki_view *v, const ilki_entry *e, uint64_t since, uint64_t *lsn, ilk_error *err)
{
    ilk_status st;
    bool row = false;
    sqlite3_stmt *q = ilki_store_db_stmt(v->c, ILKI_SQL_ITEM_BY_ID, &st, err);
    if (!q)
        return st;
    sqlite3_bind_blob64(q, 1, e->key, e->key_bytes, SQLITE_STATIC);
    st = ilki_store_db_step(v->c, q, &row, err);
    uint64_t have = row ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
    *lsn = have <= since ? have : 0;
    sqlite3_reset(q);
    return st;
}

static ilk_status changed_in_tail(ilki_view *v, uint64_t since, events *ev, ilk_error *err)
{
    ilki_entry **before;
    size_t n_before;
    ilk_status st = ilki_store_view_collect(v, since, &before, &n_before, err);
    for (size_t i = 0; !st && i < v->n_items; i++) {
        ilki_entry *e = v->items[i], *b;
        if (e->lsn <= since)
            continue;
        event x = {.at = e->lsn, .id = e->key, .id_bytes = e->key_bytes, .place = e->place};
        x.lsn = e->type == ILKI_RECORD_ITEM ? e->lsn : 0;
        b = ilki_store_view_find(before, n_before, e->key, e->key_bytes);
        if (b)
            x.old = b->type == ILKI_RECORD_ITEM ? b->lsn : 0;
        else
            st = version_in_tables(v, e, since, &x.old, err);
        if (!st && (x.lsn || x.old))
            st = add_event(ev, x, err);
    }
    free(before);
    return st;
}

static int by_id(const void *a, const void *b)
{
    const event *x = a, *y = b;
    int c = compare_ids(x->id, x->id_bytes, y->id, y->id_bytes);
    return c ? c : x->at < y->at ? -1 : x->at > y->at;
}

static int by_time(const void *a, const void *b)
{
    const event *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* At most two events have one id: the end of the version at `since`, and the put that stands now. They become one. */
static void join_events(events *ev)
{
    size_t n = 0;
    if (ev->n)
        qsort(ev->list, ev->n, sizeof *ev->list, by_id);
    for (size_t i = 0; i < ev->n; i++) {
        event *last = n ? &ev->list[n - 1] : NULL;
        if (last && compare_ids(last->id, last->id_bytes, ev->list[i].id, ev->list[i].id_bytes) == 0) {
            uint64_t old = last->old ? last->old : ev->list[i].old;
            *last = ev->list[i];
            last->old = old;
        } else {
            ev->list[n++] = ev->list[i];
        }
    }
    ev->n = n;
    if (n)
        qsort(ev->list, n, sizeof *ev->list, by_time);
}

static ilk_status collect_changes(ilki_store *s, uint64_t since, events *ev, uint64_t *upto, ilk_error *err)
{
    ilki_view v;
    ev->n = 0;
    ilk_status st = ilki_store_view_open(s, &v, err);
    if (st)
        return st;
    *upto = v.last;
    if (since > v.last)
        st = ilki_base_fail(err, ILK_MISMATCH, "changes since LSN %" PRIu64 " of a store that ends at %" PRIu64, since,
                            v.last);
    if (!st)
        st = ended_in_tables(&v, since, ev, err);
    if (!st)
        st = put_in_tables(&v, since, ev, err);
    if (!st)
        st = changed_in_tail(&v, since, ev, err);
    ilki_store_view_close(&v);
    if (!st)
        join_events(ev);
    return st;
}

static ilk_status tell_change(ilki_store *s, const event *e, const ilki_space_row *row, ilki_change_fn fn, void *user,
                              bool *go, ilk_error *err)
{
    ilki_raw raw = {0};
    ilk_vector vector = {0};
    void *block = NULL;
    ilk_status st = ILK_OK;
    if (e->lsn && row) {
        st = ilki_store_read_place(s, &e->place, e->lsn, true, &raw, err);
        if (!st)
            st = ilki_store_raw_vector(&raw, row->id, row->space.name, &vector, &block, err);
    }
    if (!st)
        *go = fn(user, &(ilki_change){.lsn = e->lsn, .old = e->old, .id = e->id, .vector = block ? &vector : NULL});
    free(block);
    free(raw.bytes);
    return st;
}

ilk_status ilki_store_changes(ilki_store *s, uint64_t since, const char *space, ilki_change_fn fn, void *user,
                              uint64_t *upto, ilk_error *err)
{
    events ev = {0};
    bool go = true;
    int attempt = 0;
    uint64_t last = 0;
    ilk_status st;
    do
        st = collect_changes(s, since, &ev, &last, err);
    while (st && ilki_store_mend(s, &st, attempt++, err));
    if (!st && !s->read_only) { /* an index may come to the disk with this LSN: the log comes first */
        pthread_mutex_lock(&s->write_lock);
        if (s->log.durable_lsn < last)
            st = ilki_store_log_sync(&s->log, err);
        pthread_mutex_unlock(&s->write_lock);
    }
    const ilki_space_row *row = space ? ilki_store_space_by_name(s, space) : NULL;
    if (!st && space && !row && ilki_store_space_load(s, NULL) == ILK_OK)
        row = ilki_store_space_by_name(s, space);
    for (size_t i = 0; !st && go && i < ev.n; i++)
        st = tell_change(s, &ev.list[i], row, fn, user, &go, err);
    if (!st && upto)
        *upto = last;
    ilki_base_arena_deinit(&ev.arena);
    free(ev.list);
    return st;
}
