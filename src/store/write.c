/* SPDX-License-Identifier: Apache-2.0
 * One batch from the caller's structs to the log and the tail. In order: check every argument, work out deletes and
 * spaces (a plan), encode into one reused buffer, make everything that publishing needs, write and sync, publish. What
 * can fail comes before the write; what comes behind it cannot. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "store/core.h"

enum {
    KEEP_BUFFER_BYTES = 16 << 20, /* a larger one is given back after its batch */
    DELETE_TAIL_ENTRIES = 256,    /* a longer tail is applied first: parts are looked for in the tables by index */
    RECORD_BYTES = 160            /* estimate of a small record */
};

typedef struct plan {
    ilki_space_row **spaces; /* new ones */
    size_t n_spaces;
    const ilk_space **space_args; /* what they were made from */
    ilki_space_ref *refs;         /* of all vectors of all items, in order */
    const ilki_space_row *space;  /* the last one looked for */
    bool *skip;                   /* items that a later one of the same id replaces */
    ilki_map deletes;             /* ids that go -> index into `gone` */
    const char **gone;
    size_t n_gone, cap_gone;
    ilki_arena arena;
    size_t n_records, n_bytes; /* estimate of bytes */
} plan;

/* ---- checks */

static ilk_status check_id(const char *id, const char *what, ilk_error *err)
{
    size_t n = id ? strnlen(id, ILKI_ID_BYTES + 1) : 0;
    if (n == 0 || n > ILKI_ID_BYTES)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: an id of %s bytes, expected 1 to %d", what,
                              n ? "more than 512" : "0", ILKI_ID_BYTES);
    if (!ilki_base_utf8_valid(id, n))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: the id \"%s\" is not valid UTF-8", what, id);
    return ILK_OK;
}

static bool field_name_ok(const char *s)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    if (!s || !*s || !strchr(first, *s))
        return false;
    size_t n = 0;
    for (; s[n]; n++)
        if (n >= ILKI_FIELD_NAME_BYTES || !(strchr(first, s[n]) || s[n] == '.' || (s[n] >= '0' && s[n] <= '9')))
            return false;
    return true;
}

static ilk_status check_field(const ilk_item *item, const ilk_field *f, ilk_error *err)
{
    const ilk_value *v = &f->value;
    if (!field_name_ok(f->name))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                              "item %s: field name \"%s\", expected [A-Za-z_][A-Za-z0-9_.]* of at most %d bytes",
                              item->id, f->name ? f->name : "(NULL)", ILKI_FIELD_NAME_BYTES);
    if ((int)v->type < ILK_VALUE_NULL || v->type > ILK_VALUE_TIME)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "item %s: field %s has a value of unknown type %d", item->id,
                              f->name, (int)v->type);
    if (v->type == ILK_VALUE_REAL && !isfinite(v->d))
        return ilki_base_fail(err, ILK_NOT_FINITE, "item %s: field %s is not a finite number", item->id, f->name);
    if (v->type != ILK_VALUE_TEXT && v->type != ILK_VALUE_BYTES)
        return ILK_OK;
    if (v->n_bytes && !v->text)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "item %s: field %s has NULL for %zu bytes", item->id, f->name,
                              v->n_bytes);
    if (v->n_bytes > ILKI_MAX_BODY_BYTES)
        return ilki_base_fail(err, ILK_LIMIT, "item %s: field %s has %zu bytes, at most %d", item->id, f->name,
                              v->n_bytes, ILKI_MAX_BODY_BYTES);
    if (v->type == ILK_VALUE_TEXT && v->n_bytes && !ilki_base_utf8_valid(v->text, v->n_bytes))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "item %s: field %s is not valid UTF-8", item->id, f->name);
    return ILK_OK;
}

typedef uint32_t four __attribute__((vector_size(16))); /* an array of accumulators would be stored at every step */

static bool all_finite(const float *x, size_t n)
{
    const four exponent = {0x7f800000, 0x7f800000, 0x7f800000, 0x7f800000};
    four bad = {0}, bad_too = {0}, w, v;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&w, x + i, sizeof w);
        memcpy(&v, x + i + 4, sizeof v);
        bad |= (four)((w & exponent) == exponent);
        bad_too |= (four)((v & exponent) == exponent);
    }
    bad |= bad_too;
    bool ok = (bad[0] | bad[1] | bad[2] | bad[3]) == 0;
    for (; i < n; i++)
        ok &= isfinite(x[i]) != 0;
    return ok;
}

/* Apart from the other checks: encoding follows at once, while a vector is in the nearest cache. */
static ilk_status check_finite(const ilk_item *item, ilk_error *err)
{
    for (size_t i = 0; i < item->n_vectors; i++) {
        const ilk_vector *v = &item->vectors[i];
        if (!all_finite(v->data, (size_t)v->rows * v->dim))
            return ilki_base_fail(err, ILK_NOT_FINITE, "item %s: its vector in space %s holds a NaN or infinity",
                                  item->id, v->space);
    }
    return ILK_OK;
}

static ilk_status check_vector(const ilk_item *item, const ilk_vector *v, const ilk_space *space, ilk_error *err)
{
    bool sparse = space->kind == ILK_SPARSE;
    if (sparse ? v->rows != 1 : v->dim != space->dim || v->rows == 0 || (space->kind == ILK_DENSE && v->rows != 1))
        return ilki_base_fail(err, ILK_MISMATCH, "item %s: %u x %u in space %s of dimension %u", item->id, v->rows,
                              v->dim, space->name, space->dim);
    if ((uint64_t)v->rows * v->dim > ILKI_MAX_BATCH_BYTES / 8)
        return ilki_base_fail(err, ILK_LIMIT, "item %s: %u x %u in space %s is too large", item->id, v->rows, v->dim,
                              space->name);
    if ((v->dim && !v->data) || (sparse && v->dim && !v->indices))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "item %s: no data for space %s", item->id, space->name);
    for (uint32_t i = 0; sparse && i < v->dim; i++)
        if ((i && v->indices[i] <= v->indices[i - 1]) || (space->dim && v->indices[i] >= space->dim))
            return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                                  "item %s: sparse index %u of space %s is out of order or range", item->id,
                                  v->indices[i], space->name);
    return ILK_OK;
}

static const ilki_space_row *find_space(ilki_store *s, const plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_spaces; i++)
        if (strcmp(p->spaces[i]->space.name, name) == 0)
            return p->spaces[i];
    return ilki_store_space_by_name(s, name);
}

static ilk_status check_item(ilki_store *s, plan *p, const ilk_item *item, ilki_space_ref *refs, ilk_error *err)
{
    ilk_status st = check_id(item->id, "item", err);
    if (!st && item->parent)
        st = check_id(item->parent, "parent of an item", err);
    if (!st && item->parent && strcmp(item->parent, item->id) == 0)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "item %s: it is its own parent", item->id);
    if (!st && (item->n_fields > ILKI_MAX_FIELDS || item->n_vectors > ILKI_MAX_VECTORS))
        st = ilki_base_fail(err, ILK_LIMIT, "item %s: %zu fields and %zu vectors, at most %d and %d", item->id,
                            item->n_fields, item->n_vectors, ILKI_MAX_FIELDS, ILKI_MAX_VECTORS);
    for (size_t i = 0; !st && i < item->n_fields; i++) {
        st = check_field(item, &item->fields[i], err);
        for (size_t k = 0; !st && k < i; k++)
            if (strcmp(item->fields[i].name, item->fields[k].name) == 0)
                st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "item %s: field %s occurs twice", item->id,
                                    item->fields[i].name);
    }
    for (size_t i = 0; !st && i < item->n_vectors; i++) {
        const char *name = item->vectors[i].space;
        const ilki_space_row *row = p->space;
        if (!row || !name || strcmp(row->space.name, name) != 0)
            p->space = row = name ? find_space(s, p, name) : NULL;
        if (!row)
            return ilki_base_fail(err, ILK_MISMATCH, "item %s: the store has no space \"%s\"", item->id,
                                  name ? name : "(NULL)");
        refs[i] = (ilki_space_ref){row->id, (uint8_t)row->space.kind};
        for (size_t k = 0; k < i; k++)
            if (refs[k].id == row->id)
                return ilki_base_fail(err, ILK_BAD_ARGUMENT, "item %s: two vectors in space %s", item->id, name);
        st = check_vector(item, &item->vectors[i], &row->space, err);
    }
    return st;
}

static ilk_status check_source(const ilki_source *src, ilk_error *err)
{
    ilk_status st = check_id(src->id, "source", err);
    if (st)
        return st;
    if (!src->path || strlen(src->path) > ILKI_MAX_PATH_BYTES || (src->root && strlen(src->root) > ILKI_MAX_PATH_BYTES))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "source %s: it has no path, or one of more than %d bytes", src->id,
                              ILKI_MAX_PATH_BYTES);
    if (src->state < ILKI_SOURCE_INDEXED || src->state > ILKI_SOURCE_GONE)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "source %s: unknown state %d", src->id, (int)src->state);
    return ILK_OK;
}

/* ---- spaces */

static ilk_status differs(const ilk_space *a, const char *member, ilk_error *err)
{
    return ilki_base_fail(err, ILK_MISMATCH, "space %s: the store's has another %s", a->name, member);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* `model` is how somebody named it; where both fingerprints are known they decide. */
static ilk_status compare_spaces(const ilk_space *a, const ilk_space *b, ilk_error *err)
{
    if (a->kind != b->kind)
        return differs(a, "kind", err);
    if (a->dim != b->dim)
        return ilki_base_fail(err, ILK_MISMATCH, "space %s: dimension %u, the store's is %u", a->name, a->dim, b->dim);
    if (a->metric != b->metric)
        return differs(a, "metric", err);
    if (!a->normalized != !b->normalized)
        return differs(a, "normalisation", err);
    if (a->layer != b->layer)
        return differs(a, "layer", err);
    if (!same_text(a->model, b->model) && !(a->fingerprint && b->fingerprint))
        return differs(a, "model", err);
    const struct {
        const char *name, *a, *b;
    } texts[] = {{"fingerprint", a->fingerprint, b->fingerprint},
                 {"pooling", a->pooling, b->pooling},
                 {"precision", a->precision, b->precision},
                 {"tokenizer mode", a->tokenizer, b->tokenizer},
                 {"query prompt", a->prompt[0], b->prompt[0]},
                 {"document prompt", a->prompt[1], b->prompt[1]},
                 {"query adapter", a->adapter[0], b->adapter[0]},
                 {"document adapter", a->adapter[1], b->adapter[1]},
                 {"query projection", a->projection[0], b->projection[0]},
                 {"document projection", a->projection[1], b->projection[1]}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!same_text(texts[i].a, texts[i].b))
            return differs(a, texts[i].name, err);
    return ILK_OK;
}

static ilk_status check_space(const ilk_space *sp, ilk_error *err)
{
    ilk_status st = check_id(sp->name, "space", err);
    if (st)
        return st;
    if (sp->kind < ILK_DENSE || sp->kind > ILK_MULTI || sp->metric < ILK_COSINE || sp->metric > ILK_NEG_L2)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "space %s: unknown kind %d or metric %d", sp->name, (int)sp->kind,
                              (int)sp->metric);
    if (sp->kind != ILK_SPARSE && (sp->dim == 0 || sp->dim > ILKI_MAX_BATCH_BYTES / 8))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "space %s: dimension %u", sp->name, sp->dim);
    return ILK_OK;
}

/* A row is made from the record's own bytes, encoded alone for that purpose. */
static ilki_space_row *make_space_row(const ilk_space *sp, uint32_t id)
{
    ilki_buf b;
    ilki_record_head h;
    ilki_base_buf_init(&b, ILKI_MAX_BODY_BYTES);
    ilki_encoder e = {.buf = &b, .batch = 1, .lsn = 1, .n_left = 1};
    ilki_store_put_space(&e, sp, id);
    ilki_space_row *row = NULL;
    const unsigned char *p = (const unsigned char *)b.data;
    if (!b.failed && ilki_store_head_get(p, 0, &h))
        row = ilki_store_space_row_new(p + ILKI_HEAD_BYTES, h.body_bytes);
    ilki_base_buf_deinit(&b);
    return row;
}

static ilk_status plan_spaces(ilki_store *s, plan *p, const ilki_batch *b, ilk_error *err)
{
    if (b->n_spaces == 0)
        return ILK_OK;
    p->spaces = ilki_base_zalloc(b->n_spaces, sizeof *p->spaces);
    p->space_args = ilki_base_zalloc(b->n_spaces, sizeof *p->space_args);
    if (!p->spaces || !p->space_args)
        return ilki_base_fail_memory(err, b->n_spaces * sizeof *p->spaces, "spaces");
    pthread_mutex_lock(&s->space_lock);
    uint32_t next = s->n_spaces ? s->spaces[s->n_spaces - 1]->id + 1 : 1;
    pthread_mutex_unlock(&s->space_lock);
    for (size_t i = 0; i < b->n_spaces; i++) {
        const ilk_space *sp = &b->spaces[i];
        ilk_status st = check_space(sp, err);
        const ilki_space_row *row = st ? NULL : find_space(s, p, sp->name);
        if (row)
            st = compare_spaces(sp, &row->space, err);
        if (st)
            return st;
        if (row)
            continue;
        p->spaces[p->n_spaces] = make_space_row(sp, next++);
        if (!p->spaces[p->n_spaces])
            return ilki_base_fail_memory(err, 1024, "a space");
        p->space_args[p->n_spaces++] = sp;
    }
    return ilki_store_space_reserve(s, p->n_spaces, err);
}

/* ---- deletes */

static ilk_status add_gone(plan *p, const char *id, size_t n, ilk_error *err)
{
    if (ilki_base_map_get(&p->deletes, id, n) != ILKI_MAP_NONE)
        return ILK_OK;
    if (p->n_gone == p->cap_gone) {
        size_t cap = p->cap_gone * 2 + 64;
        const char **gone = realloc(p->gone, cap * sizeof *gone);
        if (!gone)
            return ilki_base_fail_memory(err, cap * sizeof *gone, "deletes");
        p->gone = gone;
        p->cap_gone = cap;
    }
    char *copy = ilki_base_arena_strndup(&p->arena, id, n);
    if (!copy || !ilki_base_map_put(&p->deletes, copy, n, (uint32_t)p->n_gone, NULL))
        return ilki_base_fail_memory(err, n, "deletes");
    p->gone[p->n_gone++] = copy;
    return ILK_OK;
}

/* Is there a current item of this id? */
static ilk_status exists(const ilki_view *v, const char *id, size_t n, bool *yes, ilk_error *err)
{
    ilk_status st;
    ilki_entry *e = ilki_store_view_find(v->items, v->n_items, id, n);
    *yes = e && e->type == ILKI_RECORD_ITEM;
    if (e)
        return ILK_OK;
    sqlite3_stmt *q = ilki_store_db_stmt(v->c, ILKI_SQL_ITEM_BY_ID, &st, err);
    if (!q)
        return st;
    sqlite3_bind_blob64(q, 1, id, n, SQLITE_STATIC);
    st = ilki_store_db_step(v->c, q, yes, err);
    sqlite3_reset(q);
    return st;
}

static ilk_status add_parts(const ilki_view *v, plan *p, const char *parent, ilk_error *err)
{
    ilk_status st;
    bool row = false;
    size_t n = strlen(parent);
    for (size_t i = 0; i < v->n_items; i++) {
        ilki_item_body item;
        const ilki_entry *e = v->items[i];
        if (e->type == ILKI_RECORD_ITEM && ilki_store_get_item(e->body, e->place.body_bytes, &item) &&
            item.parent_bytes == n && memcmp(item.parent, parent, n) == 0 &&
            (st = add_gone(p, e->key, e->key_bytes, err)))
            return st;
    }
    sqlite3_stmt *q = ilki_store_db_stmt(v->c, ILKI_SQL_PARTS, &st, err);
    if (!q)
        return st;
    sqlite3_bind_blob64(q, 1, parent, n, SQLITE_STATIC);
    while (!st && !(st = ilki_store_db_step(v->c, q, &row, err)) && row) {
        const char *id = sqlite3_column_blob(q, 0);
        size_t len = (size_t)sqlite3_column_bytes(q, 0);
        if (id && !ilki_store_view_find(v->items, v->n_items, id, len))
            st = add_gone(p, id, len, err);
    }
    sqlite3_reset(q);
    return st;
}

/* Parts of parts are parts: `gone` grows while it is walked. */
static ilk_status collect_deletes(ilki_store *s, plan *p, const ilki_batch *b, ilk_error *err)
{
    ilki_view v;
    ilk_status st = ilki_store_view_open(s, &v, err);
    if (st)
        return st;
    for (size_t i = 0; !st && i < b->n_deletes; i++) {
        bool yes = false;
        size_t n = strlen(b->deletes[i]);
        st = exists(&v, b->deletes[i], n, &yes, err);
        if (!st && yes)
            st = add_gone(p, b->deletes[i], n, err);
        if (!st && !yes) /* parts may be there without their whole */
            st = add_parts(&v, p, b->deletes[i], err);
    }
    for (size_t i = 0; !st && i < p->n_gone; i++)
        st = add_parts(&v, p, p->gone[i], err);
    ilki_store_view_close(&v);
    return st;
}

static ilk_status plan_deletes(ilki_store *s, plan *p, const ilki_batch *b, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0; !st && i < b->n_deletes; i++)
        st = check_id(b->deletes[i], "delete", err);
    if (st || b->n_deletes == 0)
        return st;
    pthread_mutex_lock(&s->tail.lock);
    bool thick = s->tail.n_entries > DELETE_TAIL_ENTRIES;
    pthread_mutex_unlock(&s->tail.lock);
    if (thick)
        ilki_store_apply_all(s, NULL); /* speed only: a view merges what is left */
    st = collect_deletes(s, p, b, err);
    for (int attempt = 0; st && ilki_store_mend(s, &st, attempt, err); attempt++)
        st = collect_deletes(s, p, b, err);
    return st;
}

/* ---- the plan */

static ilk_status plan_items(ilki_store *s, plan *p, const ilki_batch *b, ilk_error *err)
{
    size_t n_refs = 0;
    ilki_map ids = {.seed = s->seed}; /* drawing one would be a system call */
    for (size_t i = 0; i < b->n_items; i++)
        n_refs += b->items[i].n_vectors;
    p->refs = ilki_base_zalloc(n_refs, sizeof *p->refs);
    p->skip = ilki_base_zalloc(b->n_items, 1);
    if (!p->refs || !p->skip || (b->n_items > 1 && !ilki_base_map_reserve(&ids, b->n_items)))
        return ilki_base_fail_memory(err, n_refs * sizeof *p->refs + b->n_items, "a batch");
    ilk_status st = ILK_OK;
    ilki_space_ref *refs = p->refs;
    for (size_t i = 0; !st && i < b->n_items; i++) {
        const ilk_item *item = &b->items[i];
        uint32_t old = ILKI_MAP_NONE;
        st = check_item(s, p, item, refs, err);
        if (!st && b->n_items > 1 && !ilki_base_map_put(&ids, item->id, strlen(item->id), (uint32_t)i, &old))
            st = ilki_base_fail_memory(err, b->n_items, "a batch");
        if (!st && old != ILKI_MAP_NONE)
            p->skip[old] = true;
        if (!st && (p->n_bytes += ilki_store_item_bytes(item)) > ILKI_MAX_BATCH_BYTES)
            st = ilki_base_fail(err, ILK_LIMIT, "a batch of more than %d bytes", ILKI_MAX_BATCH_BYTES);
        p->n_records += !st && old == ILKI_MAP_NONE;
        refs += item->n_vectors;
    }
    ilki_base_map_deinit(&ids);
    return st;
}

static ilk_status plan_rest(plan *p, const ilki_batch *b, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0; !st && i < b->n_sources; i++) {
        st = check_source(&b->sources[i], err);
        p->n_bytes += st ? 0 : 3 * RECORD_BYTES + strlen(b->sources[i].path);
    }
    for (size_t i = 0; !st && i < b->n_meta; i++) {
        const char *value = b->meta[2 * i + 1];
        st = check_id(b->meta[2 * i], "metadata", err);
        if (!st && value && strlen(value) > ILKI_MAX_BODY_BYTES - 1024)
            st = ilki_base_fail(err, ILK_LIMIT, "metadata %s: a value of more than %d bytes", b->meta[2 * i],
                                ILKI_MAX_BODY_BYTES - 1024);
        p->n_bytes += st ? 0 : RECORD_BYTES + (value ? strlen(value) : 0);
    }
    p->n_records += p->n_spaces + p->n_gone + b->n_sources + b->n_meta;
    p->n_bytes += 8 * RECORD_BYTES * p->n_spaces + RECORD_BYTES * p->n_gone;
    return st;
}

static void plan_deinit(plan *p)
{
    for (size_t i = 0; i < p->n_spaces; i++)
        free(p->spaces[i]);
    free(p->spaces);
    free(p->space_args);
    free(p->refs);
    free(p->skip);
    free(p->gone);
    ilki_base_map_deinit(&p->deletes);
    ilki_base_arena_deinit(&p->arena);
}

/* ---- encoding and publishing */

static ilk_status encode(ilki_store *s, const plan *p, const ilki_batch *b, ilk_error *err)
{
    ilki_encoder e = {.buf = &s->buf,
                      .salt = ilki_store_log_salt(&s->log),
                      .batch = s->log.next_lsn,
                      .lsn = s->log.next_lsn,
                      .durable = s->log.durable_lsn,
                      .n_left = p->n_records};
    const ilki_space_ref *refs = p->refs;
    ilki_base_buf_reset(&s->buf);
    ilki_base_buf_reserve(&s->buf, p->n_bytes);
    for (size_t i = 0; i < p->n_spaces; i++)
        ilki_store_put_space(&e, p->space_args[i], p->spaces[i]->id);
    for (size_t i = 0; i < p->n_gone; i++)
        ilki_store_put_delete(&e, p->gone[i], strlen(p->gone[i]));
    for (size_t i = 0; i < b->n_items; refs += b->items[i++].n_vectors) {
        ilk_status st = check_finite(&b->items[i], err);
        if (st)
            return st;
        if (!p->skip[i])
            ilki_store_put_item(&e, &b->items[i], refs);
    }
    for (size_t i = 0; i < b->n_sources; i++)
        ilki_store_put_source(&e, &b->sources[i]);
    for (size_t i = 0; i < b->n_meta; i++)
        ilki_store_put_meta(&e, b->meta[2 * i], b->meta[2 * i + 1]);
    assert(e.n_left == 0); /* or no record would be flagged as the last */
    return ilki_base_buf_check(&s->buf, "a batch", err);
}

static ilk_status log_batch(ilki_store *s, plan *p, const ilki_batch *b, ilk_error *err)
{
    ilk_status st = ilki_store_log_room(&s->log, p->n_bytes, err);
    if (st)
        return st;
    st = encode(s, p, b, err);
    if (st)
        return st;
    const unsigned char *bytes = (const unsigned char *)s->buf.data;
    ilki_tail_batch *tb = ilki_store_tail_batch_new(bytes, s->buf.len, ilki_store_log_number(&s->log), s->log.at);
    st = tb ? ilki_store_tail_reserve(&s->tail, err) : ilki_base_fail_memory(err, s->buf.len, "the tail of the log");
    if (!st)
        st = ilki_store_log_append(&s->log, bytes, s->buf.len, p->n_records, s->sync == ILK_SYNC_FULL, err);
    if (st) {
        ilki_store_tail_batch_drop(tb);
        return st;
    }
    for (size_t i = 0; i < p->n_spaces; i++)
        ilki_store_space_add(s, p->spaces[i]);
    p->n_spaces = 0;
    ilki_store_tail_add(&s->tail, tb);
    return ILK_OK;
}

/* A tail that cannot be applied must not eat the memory: from twice its size on, writing is refused with the reason. */
static ilk_status check_backlog(ilki_store *s, ilk_error *err)
{
    pthread_mutex_lock(&s->tail.lock);
    bool full = s->tail.bytes > 2 * (uint64_t)ILKI_TAIL_MAX_BYTES || s->tail.n_entries > 2 * ILKI_TAIL_MAX_ENTRIES;
    pthread_mutex_unlock(&s->tail.lock);
    if (!full)
        return ILK_OK;
    return ilki_store_apply_all(s, err);
}

static ilk_status write_batch(ilki_store *s, const ilki_batch *b, ilk_error *err)
{
    plan p = {0};
    ilk_status st = check_backlog(s, err);
    if (!st)
        st = plan_spaces(s, &p, b, err);
    if (!st)
        st = plan_items(s, &p, b, err);
    if (!st)
        st = plan_deletes(s, &p, b, err);
    if (!st)
        st = plan_rest(&p, b, err);
    if (!st && p.n_records)
        st = log_batch(s, &p, b, err);
    if (s->buf.cap > KEEP_BUFFER_BYTES)
        ilki_base_buf_deinit(&s->buf);
    plan_deinit(&p);
    return st;
}

ilk_status ilki_store_write(ilki_store *s, const ilki_batch *b, ilk_job *job, uint64_t *last_lsn, ilk_error *err)
{
    ilk_status st = ilki_base_job_check(job, err);
    if (st)
        return st;
    if (s->read_only)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: this store is open for reading only", s->dir);
    if ((b->n_spaces && !b->spaces) || (b->n_deletes && !b->deletes) || (b->n_items && !b->items) ||
        (b->n_sources && !b->sources) || (b->n_meta && !b->meta))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "a batch counts what it does not have");
    if (b->n_items > UINT32_MAX / 2)
        return ilki_base_fail(err, ILK_LIMIT, "a batch of %zu items", b->n_items);
    pthread_mutex_lock(&s->write_lock);
    st = write_batch(s, b, err);
    if (!st && last_lsn)
        *last_lsn = s->log.next_lsn - 1;
    if (!st)
        ilki_store_apply_behind(s);
    pthread_mutex_unlock(&s->write_lock);
    return st;
}
