/* SPDX-License-Identifier: Apache-2.0
 * Open addressing with linear probing, at most three quarters full, removal by shifting the run back (no tombstones).
 * A slot keeps the whole hash, so growing reads no key and a probe compares bytes only where 64 bits agree. */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct ilki_map_slot {
    const char *key; /* NULL: empty */
    uint64_t hash;
    uint32_t len, value;
};

enum { MIN_CAP = 16 };

/* ---- hash: 16 bytes a step through a 64 x 64 -> 128 bit product whose halves are folded. Both factors carry the seed,
 * so that no key can be made whose factor is 0 for every seed. The value depends on byte order: not for files. */

__extension__ typedef unsigned __int128 uint128;

static uint64_t fold(uint64_t a, uint64_t b)
{
    uint128 p = (uint128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t load64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t load32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

uint64_t ilki_base_hash64(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t k = seed * 0x9e3779b97f4a7c15U + 0x3c6ef372fe94f82bU, h = seed ^ 0xa54ff53a5f1d36f1U, a = 0, b = 0;
    size_t left = n;
    for (; left > 16; left -= 16, p += 16)
        h = fold(load64(p) ^ k, load64(p + 8) ^ h);
    if (left >= 8) {
        a = load64(p);
        b = load64(p + left - 8);
    } else if (left >= 4) {
        a = load32(p);
        b = load32(p + left - 4);
    } else if (left > 0) {
        a = (uint64_t)p[0] << 16 | (uint64_t)p[left / 2] << 8 | p[left - 1];
    }
    h = fold(a ^ k, b ^ h);
    return fold(h ^ k, n ^ 0xd1b54a32d192ed03U ^ seed);
}

/* ---- table */

void ilki_base_map_deinit(ilki_map *m)
{
    free(m->slots);
    memset(m, 0, sizeof *m);
}

/* The slot of key, or the empty one where it would go. cap > 0. */
static size_t find(const ilki_map *m, const char *key, size_t len, uint64_t hash)
{
    size_t mask = m->cap - 1, i = hash & mask;
    for (; m->slots[i].key; i = (i + 1) & mask) {
        const struct ilki_map_slot *s = &m->slots[i];
        if (s->hash == hash && s->len == len && (len == 0 || memcmp(s->key, key, len) == 0))
            break;
    }
    return i;
}

bool ilki_base_map_reserve(ilki_map *m, size_t n)
{
    size_t cap = m->cap ? m->cap : MIN_CAP;
    while (n > cap - cap / 4)
        if (!ilki_base_mul(cap, 2, &cap))
            return false;
    if (cap == m->cap)
        return true;
    struct ilki_map_slot *slots = ilki_base_zalloc(cap, sizeof *slots);
    if (!slots)
        return false;
    if (m->seed == 0 && getentropy(&m->seed, sizeof m->seed) != 0)
        m->seed = (uint64_t)(uintptr_t)slots; /* no entropy source: an address is better than a constant */
    for (size_t i = 0; i < m->cap; i++) {
        if (!m->slots[i].key)
            continue;
        size_t at = m->slots[i].hash & (cap - 1);
        while (slots[at].key)
            at = (at + 1) & (cap - 1);
        slots[at] = m->slots[i];
    }
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
    return true;
}

/* The slot for key, `*was_there` or empty so far; NULL when memory is short. */
static struct ilki_map_slot *slot_for(ilki_map *m, const char *key, size_t len, bool *was_there)
{
    if (len > UINT32_MAX || !ilki_base_map_reserve(m, m->n + 1))
        return NULL;
    uint64_t hash = ilki_base_hash64(key, len, m->seed);
    struct ilki_map_slot *s = &m->slots[find(m, key, len, hash)];
    *was_there = s->key != NULL;
    if (!s->key) {
        *s = (struct ilki_map_slot){len ? key : "", hash, (uint32_t)len, 0};
        m->n++;
    }
    return s;
}

bool ilki_base_map_put(ilki_map *m, const char *key, size_t len, uint32_t value, uint32_t *old)
{
    bool was_there = false;
    assert(value != ILKI_MAP_NONE);
    struct ilki_map_slot *s = slot_for(m, key, len, &was_there);
    if (old)
        *old = was_there ? s->value : ILKI_MAP_NONE;
    if (s)
        s->value = value;
    return s != NULL;
}

bool ilki_base_map_renew(ilki_map *m, const char *key, size_t len, uint32_t value, uint32_t *old)
{
    bool was_there = false;
    assert(value != ILKI_MAP_NONE);
    struct ilki_map_slot *s = slot_for(m, key, len, &was_there);
    *old = was_there ? s->value : ILKI_MAP_NONE;
    if (s) {
        s->key = len ? key : "";
        s->value = value;
    }
    return s != NULL;
}

uint32_t ilki_base_map_get(const ilki_map *m, const char *key, size_t len)
{
    if (m->n == 0)
        return ILKI_MAP_NONE;
    const struct ilki_map_slot *s = &m->slots[find(m, key, len, ilki_base_hash64(key, len, m->seed))];
    return s->key ? s->value : ILKI_MAP_NONE;
}

bool ilki_base_map_remove(ilki_map *m, const char *key, size_t len)
{
    if (m->n == 0)
        return false;
    size_t mask = m->cap - 1, hole = find(m, key, len, ilki_base_hash64(key, len, m->seed));
    if (!m->slots[hole].key)
        return false;
    /* Every later slot of the run moves into the hole unless that would put it before its own home. */
    for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
        size_t from_home = (i - m->slots[i].hash) & mask, from_hole = (i - hole) & mask;
        if (from_home >= from_hole) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    memset(&m->slots[hole], 0, sizeof m->slots[hole]);
    m->n--;
    return true;
}
