/* SPDX-License-Identifier: Apache-2.0
 * A view is one snapshot of the tables and the tail's records past it: together one state of the store, between two
 * batches. The snapshot is taken and the tail looked at under one lock, so that nothing is trimmed in between. */
#include <stdlib.h>
#include <string.h>

#include "store/core.h"

static ilk_status hold_batches(ilki_view *v, const ilki_tail *t, ilk_error *err)
{
    size_t from = 0;
    if (v->applied < t->base) {
        atomic_store(&v->store->db.unfit, true);
        return ilki_base_fail(err, ILK_CORRUPT, "%s: the tables end at LSN %llu, %llu had been applied", v->store->dir,
                              (unsigned long long)v->applied, (unsigned long long)t->base);
    }
    while (from < t->n && t->batches[t->first + from]->last_lsn <= v->applied)
        from++;
    v->last = t->last_lsn > v->applied ? t->last_lsn : v->applied;
    if (from == t->n)
        return ILK_OK;
    v->held = malloc((t->n - from) * sizeof *v->held);
    if (!v->held)
        return ilki_base_fail_memory(err, (t->n - from) * sizeof *v->held, "a view");
    for (; from < t->n; from++) {
        ilki_tail_batch *b = t->batches[t->first + from];
        ilki_store_tail_batch_hold(b);
        v->held[v->n_held++] = b;
        v->versions += b->n_items;
    }
    return ILK_OK;
}

ilk_status ilki_store_view_open(ilki_store *s, ilki_view *v, ilk_error *err)
{
    ilki_db_state state = {0};
    memset(v, 0, sizeof *v);
    v->store = s;
    ilk_status st = ilki_store_db_take(&s->db, &v->c, err);
    if (st)
        return st;
    pthread_mutex_lock(&s->tail.lock);
    st = ilki_store_db_run(v->c, ILKI_SQL_BEGIN, err);
    if (!st)
        st = ilki_store_db_state(v->c, &state, err);
    v->applied = state.lsn;
    v->versions = state.versions;
    if (!st)
        st = hold_batches(v, &s->tail, err);
    pthread_mutex_unlock(&s->tail.lock);
    if (!st)
        st = ilki_store_view_collect(v, v->last, &v->items, &v->n_items, err);
    if (!st && v->n_held) /* who reads would merge them every time */
        ilki_store_apply_post(s);
    if (st)
        ilki_store_view_close(v);
    return st;
}

void ilki_store_view_release(ilki_view *v)
{
    if (v->c)
        ilki_store_db_give(&v->store->db, v->c);
    v->c = NULL;
}

void ilki_store_view_close(ilki_view *v)
{
    ilki_store_view_release(v);
    for (size_t i = 0; i < v->n_held; i++)
        ilki_store_tail_batch_drop(v->held[i]);
    free(v->held);
    free(v->items);
    memset(v, 0, sizeof *v);
}

static int compare_keys(const char *a, size_t n, const char *b, size_t m)
{
    int c = memcmp(a, b, n < m ? n : m);
    return c ? c : n < m ? -1 : n > m;
}

/* By id, the newest first. */
static int compare_entries(const void *a, const void *b)
{
    const ilki_entry *x = *(ilki_entry *const *)a, *y = *(ilki_entry *const *)b;
    int c = compare_keys(x->key, x->key_bytes, y->key, y->key_bytes);
    return c ? c : x->lsn > y->lsn ? -1 : x->lsn < y->lsn;
}

ilk_status ilki_store_view_collect(const ilki_view *v, uint64_t upto, ilki_entry ***out, size_t *n, ilk_error *err)
{
    size_t n_all = 0, k = 0;
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < v->n_held; i++)
        n_all += v->held[i]->n;
    if (n_all == 0)
        return ILK_OK;
    ilki_entry **all = malloc(n_all * sizeof *all);
    if (!all)
        return ilki_base_fail_memory(err, n_all * sizeof *all, "a view");
    for (size_t i = 0; i < v->n_held; i++)
        for (size_t j = 0; j < v->held[i]->n; j++) {
            ilki_entry *e = &v->held[i]->entries[j];
            if (e->lsn <= upto && (e->type == ILKI_RECORD_ITEM || e->type == ILKI_RECORD_DELETE))
                all[k++] = e;
        }
    if (k)
        qsort(all, k, sizeof *all, compare_entries);
    for (size_t i = 0; i < k; i++)
        if (i == 0 || compare_keys(all[i]->key, all[i]->key_bytes, all[*n - 1]->key, all[*n - 1]->key_bytes) != 0)
            all[(*n)++] = all[i];
    *out = all;
    return ILK_OK;
}

ilki_entry *ilki_store_view_find(ilki_entry *const *items, size_t n, const char *id, size_t len)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = compare_keys(items[mid]->key, items[mid]->key_bytes, id, len);
        if (c == 0)
            return items[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}
