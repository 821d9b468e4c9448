/* SPDX-License-Identifier: Apache-2.0
 * See tail.h. The map is made when somebody asks: a batch that is applied before anybody does is never in it. Its keys lie
 * in the bodies of batches: an entry that replaces another puts its own key in place, so that a trimmed batch leaves no
 * key behind. */
#include "store/tail.h"

#include <stdlib.h>
#include <string.h>

/* ---- batches */

static bool next_record(const unsigned char **p, const unsigned char *end, ilki_record_head *h)
{
    if (end - *p < ILKI_HEAD_BYTES)
        return false;
    ilki_store_head_read(*p, h);
    uint64_t total = ilki_store_head_total(h);
    if (total > (uint64_t)(end - *p))
        return false;
    *p += total;
    return true;
}

static void count(ilki_tail_batch *b, uint8_t type)
{
    b->n_items += type == ILKI_RECORD_ITEM;
    b->n_sources += type == ILKI_RECORD_SOURCE;
    b->n_meta += type == ILKI_RECORD_META;
    b->n_spaces += type == ILKI_RECORD_SPACE;
}

ilki_tail_batch *ilki_store_tail_batch_new(const unsigned char *bytes, size_t n, uint64_t file, uint64_t at)
{
    const unsigned char *p = bytes, *end = bytes + n;
    ilki_record_head h;
    size_t n_records = 0, body_bytes = 0, total;
    while (next_record(&p, end, &h)) {
        n_records++;
        body_bytes += h.body_bytes + 1;
    }
    if (!ilki_base_mul(n_records, sizeof(ilki_entry), &total) || !ilki_base_add(total, body_bytes, &total) ||
        !ilki_base_add(total, sizeof(ilki_tail_batch), &total))
        return NULL;
    ilki_tail_batch *b = malloc(total);
    if (!b)
        return NULL;
    *b = (ilki_tail_batch){.refs = 1, .file = file, .end = at + n, .bytes = total, .n = n_records};
    unsigned char *body = (unsigned char *)(b->entries + n_records);
    p = bytes;
    for (size_t i = 0; i < n_records; i++) {
        const unsigned char *from = p;
        next_record(&p, end, &h);
        ilki_entry *e = &b->entries[i];
        *e = (ilki_entry){.lsn = h.lsn, .type = h.type, .key = "", .body = body, .batch = b};
        e->place = (ilki_place){file, at + (uint64_t)(from - bytes), ilki_store_head_total(&h), h.body_bytes};
        memcpy(body, from + ILKI_HEAD_BYTES, h.body_bytes);
        if (h.type < ILKI_RECORD_SKIPPABLE)
            ilki_store_get_key(body, h.body_bytes, &e->key, &e->key_bytes);
        body += h.body_bytes;
        count(b, h.type);
        if (i == 0)
            b->first_lsn = h.lsn;
        b->last_lsn = h.lsn;
    }
    return b;
}

void ilki_store_tail_batch_hold(ilki_tail_batch *b)
{
    atomic_fetch_add(&b->refs, 1);
}

void ilki_store_tail_batch_drop(ilki_tail_batch *b)
{
    if (b && atomic_fetch_sub(&b->refs, 1) == 1)
        free(b);
}

/* ---- the tail */

void ilki_store_tail_init(ilki_tail *t)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
}

void ilki_store_tail_deinit(ilki_tail *t)
{
    for (size_t i = 0; i < t->n; i++)
        ilki_store_tail_batch_drop(t->batches[t->first + i]);
    free(t->batches);
    free(t->slots);
    free(t->free_slots);
    ilki_base_map_deinit(&t->newest);
    pthread_mutex_destroy(&t->lock);
    memset(t, 0, sizeof *t);
}

static bool is_version(const ilki_entry *e)
{
    return e->type == ILKI_RECORD_ITEM || e->type == ILKI_RECORD_DELETE;
}

static bool reserve_slots(ilki_tail *t, size_t n)
{
    if (t->n_free + (t->cap_slots - t->n_slots) >= n)
        return true;
    size_t cap = t->n_slots + n + t->cap_slots / 2 + 256;
    if (cap >= ILKI_MAP_NONE)
        return false;
    ilki_entry **slots = realloc(t->slots, cap * sizeof *slots);
    if (slots)
        t->slots = slots;
    uint32_t *free_slots = slots ? realloc(t->free_slots, cap * sizeof *free_slots) : NULL;
    if (!free_slots)
        return false;
    t->free_slots = free_slots;
    t->cap_slots = cap;
    return true;
}

ilk_status ilki_store_tail_reserve(ilki_tail *t, ilk_error *err)
{
    ilk_status st = ILK_OK;
    pthread_mutex_lock(&t->lock);
    if (t->first + t->n == t->cap) {
        if (t->first > t->n) {
            memmove(t->batches, t->batches + t->first, t->n * sizeof *t->batches);
            t->first = 0;
        } else {
            size_t cap = 2 * t->cap + 64;
            ilki_tail_batch **batches = realloc(t->batches, cap * sizeof *batches);
            if (batches) {
                t->batches = batches;
                t->cap = cap;
            } else {
                st = ilki_base_fail_memory(err, cap * sizeof *batches, "the tail of the log");
            }
        }
    }
    pthread_mutex_unlock(&t->lock);
    return st;
}

void ilki_store_tail_add(ilki_tail *t, ilki_tail_batch *b)
{
    pthread_mutex_lock(&t->lock);
    t->batches[t->first + t->n++] = b;
    t->bytes += b->bytes;
    t->n_entries += b->n;
    t->last_lsn = b->last_lsn;
    pthread_mutex_unlock(&t->lock);
}

/* One batch into the map. False when memory is short. */
static bool enter(ilki_tail *t, ilki_tail_batch *b)
{
    if (!reserve_slots(t, b->n) || !ilki_base_map_reserve(&t->newest, t->newest.n + b->n))
        return false;
    for (size_t i = 0; i < b->n; i++) {
        ilki_entry *e = &b->entries[i];
        if (!is_version(e))
            continue;
        uint32_t slot = t->n_free ? t->free_slots[--t->n_free] : (uint32_t)t->n_slots++, old;
        t->slots[slot] = e;
        ilki_base_map_renew(&t->newest, e->key, e->key_bytes, slot, &old);
        if (old != ILKI_MAP_NONE)
            t->free_slots[t->n_free++] = old;
    }
    return true;
}

/* Takes the oldest batch out. */
static void shift(ilki_tail *t)
{
    ilki_tail_batch *b = t->batches[t->first++];
    t->n--;
    if (t->n == 0)
        t->first = 0;
    t->bytes -= b->bytes;
    t->n_entries -= b->n;
    for (size_t i = 0; t->n_entered && i < b->n; i++) {
        ilki_entry *e = &b->entries[i];
        uint32_t slot = is_version(e) ? ilki_base_map_get(&t->newest, e->key, e->key_bytes) : ILKI_MAP_NONE;
        if (slot == ILKI_MAP_NONE || t->slots[slot] != e)
            continue;
        ilki_base_map_remove(&t->newest, e->key, e->key_bytes);
        t->free_slots[t->n_free++] = slot;
    }
    t->n_entered -= t->n_entered > 0;
    ilki_store_tail_batch_drop(b);
}

void ilki_store_tail_trim(ilki_tail *t, uint64_t lsn)
{
    pthread_mutex_lock(&t->lock);
    while (t->n && t->batches[t->first]->last_lsn <= lsn) {
        t->base = t->batches[t->first]->last_lsn;
        shift(t);
    }
    pthread_mutex_unlock(&t->lock);
}

void ilki_store_tail_restart(ilki_tail *t, uint64_t lsn)
{
    pthread_mutex_lock(&t->lock);
    while (t->n)
        shift(t);
    t->last_lsn = t->base = lsn;
    pthread_mutex_unlock(&t->lock);
}

/* The newest of an id in one batch. */
static ilki_entry *find_in(ilki_tail_batch *b, const char *id, size_t n)
{
    for (size_t i = b->n; i-- > 0;) {
        ilki_entry *e = &b->entries[i];
        if (is_version(e) && e->key_bytes == n && memcmp(e->key, id, n) == 0)
            return e;
    }
    return NULL;
}

ilki_entry *ilki_store_tail_find(ilki_tail *t, const char *id, size_t n)
{
    while (t->n_entered < t->n && enter(t, t->batches[t->first + t->n_entered]))
        t->n_entered++;
    /* where memory is short, slowly */
    for (size_t i = t->n; i-- > t->n_entered;) {
        ilki_entry *e = find_in(t->batches[t->first + i], id, n);
        if (e)
            return e;
    }
    uint32_t slot = ilki_base_map_get(&t->newest, id, n);
    return slot == ILKI_MAP_NONE ? NULL : t->slots[slot];
}

ilki_entry *ilki_store_tail_find_lsn(const ilki_tail *t, uint64_t lsn)
{
    size_t lo = 0, hi = t->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (t->batches[t->first + mid]->last_lsn < lsn)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == t->n)
        return NULL;
    ilki_tail_batch *b = t->batches[t->first + lo];
    return lsn < b->first_lsn ? NULL : &b->entries[lsn - b->first_lsn];
}
