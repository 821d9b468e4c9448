/* SPDX-License-Identifier: Apache-2.0
 * ZIP by libarchive, from memory, with no other format and no filter built in. What an entry claims is looked at before
 * memory is taken for it, and what comes out is counted all the same: a bomb says nothing true of itself. */
#include "container.h"

#if ILK_MEDIA_DOCS
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ENTRY ((size_t)32 << 20)
#define MAX_TOTAL ((size_t)96 << 20)
#define FREE      ((size_t)1 << 20) /* bytes that no ratio is asked of */

enum { MAX_ENTRIES = 20000, MAX_RATIO = 200, BLOCK = 16384 };

void media_archive_prepare(void)
{
    setlocale(LC_ALL, "C.UTF-8"); /* names of entries are converted to it */
}

static media_part *add_part(media_parts *parts, const char *name, ilk_error *err)
{
    if (parts->n == parts->cap) {
        size_t cap = parts->cap ? parts->cap * 2 : 32;
        media_part *more = realloc(parts->list, cap * sizeof *more);
        if (!more)
            return ilki_base_fail_memory(err, cap * sizeof *more, "the parts of a container"), NULL;
        parts->list = more;
        parts->cap = cap;
    }
    media_part *p = &parts->list[parts->n];
    *p = (media_part){.name = ilki_base_strndup(name, strlen(name))};
    if (!p->name)
        return ilki_base_fail_memory(err, strlen(name), "the parts of a container"), NULL;
    parts->n++;
    return p;
}

static ilk_status check_size(const media_parts *parts, const char *name, uint64_t size, size_t n_file, ilk_error *err)
{
    if (size > MAX_ENTRY)
        return ilki_base_fail(err, ILK_LIMIT, "%s: %llu bytes unpacked, the limit is %zu", name,
                              (unsigned long long)size, MAX_ENTRY);
    if (parts->n_bytes + size > MAX_TOTAL)
        return ilki_base_fail(err, ILK_LIMIT, "it unpacks to more than %zu bytes", MAX_TOTAL);
    if (parts->n_bytes + size > FREE && (parts->n_bytes + size - FREE) / MAX_RATIO > n_file)
        return ilki_base_fail(err, ILK_LIMIT, "it unpacks to more than %d times its %zu bytes", (int)MAX_RATIO, n_file);
    return ILK_OK;
}

static ilk_status unpack(struct archive *a, struct archive_entry *e, const char *name, media_parts *parts,
                         size_t n_file, ilk_error *err)
{
    char block[BLOCK];
    ilki_buf b;
    ilk_status st = ILK_OK;
    if (archive_entry_size_is_set(e) && archive_entry_size(e) > 0)
        st = check_size(parts, name, (uint64_t)archive_entry_size(e), n_file, err);
    media_part *p = st == ILK_OK ? add_part(parts, name, err) : NULL;
    if (!p)
        return st == ILK_OK ? ILK_NO_MEMORY : st;
    ilki_base_buf_init(&b, MAX_ENTRY + 1);
    for (la_ssize_t got; st == ILK_OK && (got = archive_read_data(a, block, sizeof block)) != 0;) {
        if (got < 0)
            st = archive_errno(a) == ENOMEM ? ilki_base_fail_memory(err, sizeof block, "a part of a container")
                                            : ilki_base_fail(err, ILK_BAD_FORMAT, "%s: broken: %s", name,
                                                             archive_error_string(a) ? archive_error_string(a) : "?");
        else if ((st = check_size(parts, name, b.len + (size_t)got, n_file, err)) == ILK_OK &&
                 !ilki_base_buf_add(&b, block, (size_t)got))
            st = ilki_base_buf_check(&b, "a part of a container", err);
    }
    parts->n_bytes += b.len;
    p->n = b.len;
    if (st == ILK_OK && !(p->data = ilki_base_buf_take(&b, &p->n)) && !(p->data = ilki_base_strndup("", 0)))
        st = ilki_base_fail_memory(err, 1, "a part of a container");
    ilki_base_buf_deinit(&b);
    return st;
}

static ilk_status read_entries(struct archive *a, media_parts *parts, size_t n_file, bool (*wanted)(const char *),
                               ilk_error *err)
{
    struct archive_entry *e;
    ilk_status st = ILK_OK;
    for (size_t n = 0; st == ILK_OK; n++) {
        int rc = archive_read_next_header(a, &e);
        if (rc == ARCHIVE_EOF)
            return ILK_OK;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return ilki_base_fail(err, ILK_BAD_FORMAT, "broken ZIP container: %s",
                                  archive_error_string(a) ? archive_error_string(a) : "?");
        if (n == MAX_ENTRIES)
            return ilki_base_fail(err, ILK_LIMIT, "ZIP container of more than %d entries", (int)MAX_ENTRIES);
        const char *name = archive_entry_pathname(e);
        if (archive_entry_is_encrypted(e))
            st = ilki_base_fail(err, ILK_UNSUPPORTED, "an encrypted container, which needs a password");
        else if (name && wanted(name))
            st = unpack(a, e, name, parts, n_file, err);
    }
    return st;
}

ilk_status media_archive_read(media_parts *parts, const unsigned char *data, size_t n, bool (*wanted)(const char *name),
                              ilk_error *err)
{
    struct archive *a = archive_read_new();
    memset(parts, 0, sizeof *parts);
    if (!a)
        return ilki_base_fail_memory(err, n, "a container");
    archive_read_support_format_zip(a);
    ilk_status st = ILK_OK;
    if (archive_read_open_memory(a, (void *)(uintptr_t)data, n) != ARCHIVE_OK)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "broken ZIP container: %s",
                            archive_error_string(a) ? archive_error_string(a) : "?");
    if (st == ILK_OK)
        st = read_entries(a, parts, n, wanted, err);
    archive_read_free(a);
    return st;
}

void media_parts_deinit(media_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        free(parts->list[i].name);
        free(parts->list[i].data);
    }
    free(parts->list);
    memset(parts, 0, sizeof *parts);
}

const media_part *media_parts_find(const media_parts *parts, const char *name)
{
    for (size_t i = 0; i < parts->n; i++)
        if (strcmp(parts->list[i].name, name) == 0)
            return &parts->list[i];
    return NULL;
}

#endif
