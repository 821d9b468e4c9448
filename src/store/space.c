/* SPDX-License-Identifier: Apache-2.0
 * The spaces of a store in memory: few, never changed, never removed, so that a pointer to one is good until close. */
#include <stdlib.h>
#include <string.h>

#include "store/core.h"

ilki_space_row *ilki_store_space_row_new(const unsigned char *body, size_t n)
{
    ilki_space_row *row = malloc(sizeof *row + n);
    if (!row)
        return NULL;
    memcpy(row->body, body, n);
    if (!ilki_store_get_space(row->body, n, &row->space, &row->id)) {
        free(row);
        return NULL;
    }
    return row;
}

ilk_status ilki_store_space_reserve(ilki_store *s, size_t n, ilk_error *err)
{
    ilk_status st = ILK_OK;
    pthread_mutex_lock(&s->space_lock);
    if (s->n_spaces + n > s->cap_spaces) {
        size_t cap = s->n_spaces + n + 16;
        ilki_space_row **rows = realloc(s->spaces, cap * sizeof *rows);
        if (rows) {
            s->spaces = rows;
            s->cap_spaces = cap;
        } else {
            st = ilki_base_fail_memory(err, cap * sizeof *rows, "spaces");
        }
    }
    pthread_mutex_unlock(&s->space_lock);
    return st;
}

/* Rows are in order of id; a reader may meet them in any order. */
void ilki_store_space_add(ilki_store *s, ilki_space_row *row)
{
    pthread_mutex_lock(&s->space_lock);
    size_t i = s->n_spaces;
    while (i && s->spaces[i - 1]->id > row->id)
        i--;
    if ((i && s->spaces[i - 1]->id == row->id) || s->n_spaces == s->cap_spaces) {
        free(row);
    } else {
        memmove(s->spaces + i + 1, s->spaces + i, (s->n_spaces - i) * sizeof *s->spaces);
        s->spaces[i] = row;
        s->n_spaces++;
    }
    pthread_mutex_unlock(&s->space_lock);
}

ilk_status ilki_store_space_load(ilki_store *s, ilk_error *err)
{
    ilki_conn *c;
    bool row = false;
    ilk_status st = ilki_store_db_take(&s->db, &c, err);
    if (st)
        return st;
    sqlite3_stmt *q = ilki_store_db_stmt(c, ILKI_SQL_SPACES, &st, err);
    while (!st && !(st = ilki_store_db_step(c, q, &row, err)) && row) {
        st = ilki_store_space_reserve(s, 1, err);
        size_t n = (size_t)sqlite3_column_bytes(q, 1);
        ilk_space space;
        uint32_t id;
        if (!st && !ilki_store_get_space(sqlite3_column_blob(q, 1), n, &space, &id)) {
            atomic_store(&s->db.unfit, true);
            st = ilki_base_fail(err, ILK_CORRUPT, "%s: a space is malformed", s->db.path);
        }
        ilki_space_row *r = st ? NULL : ilki_store_space_row_new(sqlite3_column_blob(q, 1), n);
        if (r)
            ilki_store_space_add(s, r);
        else if (!st)
            st = ilki_base_fail_memory(err, n, "a space");
    }
    ilki_store_db_give(&s->db, c);
    return st;
}

const ilki_space_row *ilki_store_space_by_name(ilki_store *s, const char *name)
{
    const ilki_space_row *found = NULL;
    pthread_mutex_lock(&s->space_lock);
    for (size_t i = 0; i < s->n_spaces && !found; i++)
        if (strcmp(s->spaces[i]->space.name, name) == 0)
            found = s->spaces[i];
    pthread_mutex_unlock(&s->space_lock);
    return found;
}

const ilki_space_row *ilki_store_space_by_id(ilki_store *s, uint32_t id)
{
    const ilki_space_row *found = NULL;
    pthread_mutex_lock(&s->space_lock);
    for (size_t i = 0; i < s->n_spaces && !found; i++)
        if (s->spaces[i]->id == id)
            found = s->spaces[i];
    pthread_mutex_unlock(&s->space_lock);
    return found;
}

ilk_status ilki_store_space(ilki_store *s, size_t i, const ilk_space **space, ilk_error *err)
{
    *space = NULL;
    pthread_mutex_lock(&s->space_lock);
    if (i < s->n_spaces)
        *space = &s->spaces[i]->space;
    pthread_mutex_unlock(&s->space_lock);
    return *space ? ILK_OK : ilki_base_fail(err, ILK_NOT_FOUND, "the store has no space number %zu", i);
}
