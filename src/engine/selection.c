/* SPDX-License-Identifier: Apache-2.0
 * See selection.h. Labels are copied in and out, so that a search works on its own and nobody waits for it. */
#include "engine/selection.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

bool ilki_engine_selections_init(ilki_selections *s)
{
    memset(s, 0, sizeof *s);
    return pthread_mutex_init(&s->lock, NULL) == 0;
}

void ilki_engine_selections_deinit(ilki_selections *s)
{
    for (size_t i = 0; i < ILKI_SELECTIONS; i++)
        free(s->list[i].labels);
    pthread_mutex_destroy(&s->lock);
}

/* ------------------------------------------------------------------ keys */

static void add_bytes(ilki_sha256 *h, const void *data, uint64_t n)
{
    ilki_base_sha256_add(h, &n, sizeof n);
    if (n)
        ilki_base_sha256_add(h, data, (size_t)n);
}

static void add_value(ilki_sha256 *h, const ilk_value *v)
{
    bool bytes = v->type == ILK_VALUE_TEXT || v->type == ILK_VALUE_BYTES;
    uint32_t type = (uint32_t)v->type;
    ilki_base_sha256_add(h, &type, sizeof type);
    if (v->type == ILK_VALUE_REAL)
        ilki_base_sha256_add(h, &v->d, sizeof v->d);
    else if (!bytes)
        ilki_base_sha256_add(h, &v->i, sizeof v->i);
    else
        add_bytes(h, v->text, v->n_bytes);
}

/* Its depth has been checked. */
static void add_filter(ilki_sha256 *h, const ilk_filter *f)
{
    uint64_t head[3] = {(uint64_t)f->op, f->n_values, f->n_children};
    ilki_base_sha256_add(h, head, sizeof head);
    add_bytes(h, f->field, f->field ? strlen(f->field) : 0);
    for (size_t i = 0; i < f->n_values; i++)
        add_value(h, &f->values[i]);
    for (size_t i = 0; i < f->n_children; i++)
        add_filter(h, &f->children[i]);
}

void ilki_engine_selection_key(const ilk_filter *f, uint8_t key[32])
{
    ilki_sha256 h;
    ilki_base_sha256_init(&h);
    add_filter(&h, f);
    ilki_base_sha256_end(&h, key);
}

/* ------------------------------------------------------------------ labels */

static uint64_t *copy_of(const uint64_t *labels, size_t n)
{
    uint64_t *copy = ilki_base_zalloc(n + 1, sizeof *copy); /* of none, too, it is a pointer */
    if (copy && n)
        memcpy(copy, labels, n * sizeof *copy);
    return copy;
}

bool ilki_engine_selection_find(ilki_selections *s, const uint8_t key[32], uint64_t upto, uint64_t **labels, size_t *n)
{
    *labels = NULL;
    *n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < ILKI_SELECTIONS && !*labels; i++) {
        ilki_selection *one = &s->list[i];
        if (!one->labels || one->upto != upto || memcmp(one->key, key, sizeof one->key) != 0)
            continue;
        one->used = ++s->clock;
        *n = one->n;
        *labels = copy_of(one->labels, one->n);
    }
    pthread_mutex_unlock(&s->lock);
    return *labels != NULL;
}

void ilki_engine_selection_keep(ilki_selections *s, const uint8_t key[32], uint64_t upto, const uint64_t *labels,
                                size_t n)
{
    uint64_t *copy = n <= ILKI_SELECTION_LABELS ? copy_of(labels, n) : NULL;
    if (!copy)
        return;
    pthread_mutex_lock(&s->lock);
    ilki_selection *to = &s->list[0];
    for (size_t i = 0; i < ILKI_SELECTIONS; i++) {
        ilki_selection *one = &s->list[i];
        if (one->labels && memcmp(one->key, key, sizeof one->key) == 0) {
            to = one; /* of an earlier state */
            break;
        }
        if (one->used < to->used)
            to = one;
    }
    free(to->labels);
    *to = (ilki_selection){.upto = upto, .used = ++s->clock, .labels = copy, .n = n};
    memcpy(to->key, key, sizeof to->key);
    pthread_mutex_unlock(&s->lock);
}
