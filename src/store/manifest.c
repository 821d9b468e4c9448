/* SPDX-License-Identifier: Apache-2.0 */
#include "store/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/hash.h"

enum { VERSION = 1, HEAD_BYTES = 72, ENTRY_BYTES = 40, MAX_BYTES = 64 << 20, SEALED = 1 };
static const unsigned char magic[8] = {0x89, 'i', 'l', 'k', 'M', 'A', 'N', '\n'};

ilk_status ilki_store_random(void *to, size_t n, ilk_error *err)
{
    for (size_t have = 0; have < n;) {
        ssize_t got = getrandom((char *)to + have, n - have, 0);
        if (got < 0 && errno != EINTR)
            return ilki_base_fail_errno(err, ILK_IO, errno, "random bytes");
        have += got > 0 ? (size_t)got : 0;
    }
    return ILK_OK;
}

void ilki_store_manifest_deinit(ilki_manifest *m)
{
    free(m->files);
    memset(m, 0, sizeof *m);
}

static ilk_status check_features(const ilki_manifest *m, const char *path, bool to_write, ilk_error *err)
{
    uint64_t unknown = m->incompatible & ~(uint64_t)ILKI_FEATURES_INCOMPATIBLE;
    if (unknown)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: features 0x%" PRIx64 " of a later version of ilk", path,
                              unknown);
    unknown = m->ro_compatible & ~(uint64_t)ILKI_FEATURES_RO_COMPATIBLE;
    if (unknown && to_write)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "%s: features 0x%" PRIx64 " of a later version of ilk; it can only be read", path,
                              unknown);
    return ILK_OK;
}

/* Files in order, each but the last sealed, each beginning where the one before ended. */
static const char *check_files(const ilki_manifest *m)
{
    for (size_t i = 0; i < m->n_files; i++) {
        const ilki_log_entry *f = &m->files[i];
        if (f->sealed != (i + 1 < m->n_files))
            return "a log file is sealed that should not be, or the reverse";
        if (f->floor_bytes < ILKI_LOG_HEADER_BYTES || f->floor_bytes % 8 || f->floor_bytes > INT64_MAX ||
            f->floor_lsn > INT64_MAX || f->first_lsn == 0 || f->floor_lsn + 1 < f->first_lsn)
            return "a log file has an impossible length or LSN";
        if (i && (f->number <= f[-1].number || f->first_lsn != f[-1].floor_lsn + 1))
            return "its log files do not follow each other";
    }
    return m->n_files ? NULL : "it names no log file";
}

static ilk_status parse(ilki_manifest *m, ilki_cur *c, const char *path, bool to_write, ilk_error *err)
{
    m->incompatible = ilki_base_cur_u64(c);
    m->ro_compatible = ilki_base_cur_u64(c);
    m->compatible = ilki_base_cur_u64(c);
    const unsigned char *uuid = ilki_base_cur_bytes(c, sizeof m->uuid);
    m->created_us = ilki_base_cur_u64(c);
    size_t n = ilki_base_cur_u32(c), step = ilki_base_cur_u32(c), bytes;
    if (c->bad || step < ENTRY_BYTES || !ilki_base_mul(n, step, &bytes) || bytes > ilki_base_cur_left(c))
        return ilki_base_fail(err, ILK_CORRUPT, "%s: %zu log files of %zu bytes do not fit", path, n, step);
    memcpy(m->uuid, uuid, sizeof m->uuid);
    ilk_status st = check_features(m, path, to_write, err);
    if (st)
        return st;
    m->files = ilki_base_zalloc(n, sizeof *m->files);
    if (!m->files)
        return ilki_base_fail_memory(err, n * sizeof *m->files, path);
    m->n_files = n;
    for (size_t i = 0; i < n; i++) {
        ilki_cur e;
        ilki_base_cur_init(&e, ilki_base_cur_bytes(c, step), step);
        ilki_log_entry *f = &m->files[i];
        f->number = ilki_base_cur_u64(&e);
        f->first_lsn = ilki_base_cur_u64(&e);
        f->floor_bytes = ilki_base_cur_u64(&e);
        f->floor_lsn = ilki_base_cur_u64(&e);
        f->sealed = (ilki_base_cur_u32(&e) & SEALED) != 0;
        f->salt = ilki_base_cur_u32(&e);
    }
    const char *wrong = check_files(m);
    return wrong ? ilki_base_fail(err, ILK_CORRUPT, "%s: %s", path, wrong) : ILK_OK;
}

ilk_status ilki_store_manifest_read(ilki_manifest *m, const ilki_vfs *v, const char *path, bool to_write,
                                    ilk_error *err)
{
    char *data = NULL;
    size_t n = 0;
    memset(m, 0, sizeof *m);
    ilk_status st = ilki_base_read_file(v, path, MAX_BYTES, &data, &n, err);
    if (st)
        return st;
    ilki_cur c, end;
    ilki_base_cur_init(&c, data, n);
    const unsigned char *head = ilki_base_cur_bytes(&c, sizeof magic);
    if (n < HEAD_BYTES + 4 || memcmp(head, magic, sizeof magic) != 0) {
        st = ilki_base_fail(err, ILK_CORRUPT, "%s: this is no manifest of a store", path);
        goto end;
    }
    uint32_t version = ilki_base_cur_u32(&c), bytes = ilki_base_cur_u32(&c);
    ilki_base_cur_init(&end, data + n - 4, 4);
    uint32_t want = ilki_base_cur_u32(&end), got = ilki_base_crc32c(0, data, n - 4);
    if (bytes != n || want != got)
        st = ilki_base_fail(err, ILK_CORRUPT, "%s: %zu bytes with checksum %08x, expected %u with %08x", path, n, got,
                            bytes, want);
    else if (version != VERSION)
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "%s: version %u, this program knows %d", path, version, VERSION);
    else {
        c.end -= 4;
        st = parse(m, &c, path, to_write, err);
    }
end:
    if (st)
        ilki_store_manifest_deinit(m);
    free(data);
    return st;
}

ilk_status ilki_store_manifest_write(const ilki_manifest *m, const ilki_vfs *v, const char *path, ilk_error *err)
{
    ilki_buf b;
    ilki_base_buf_init(&b, MAX_BYTES);
    ilki_base_buf_add(&b, magic, sizeof magic);
    ilki_base_buf_put_u32(&b, VERSION);
    ilki_base_buf_put_u32(&b, (uint32_t)(HEAD_BYTES + ENTRY_BYTES * m->n_files + 4));
    ilki_base_buf_put_u64(&b, m->incompatible);
    ilki_base_buf_put_u64(&b, m->ro_compatible);
    ilki_base_buf_put_u64(&b, m->compatible);
    ilki_base_buf_add(&b, m->uuid, sizeof m->uuid);
    ilki_base_buf_put_u64(&b, m->created_us);
    ilki_base_buf_put_u32(&b, (uint32_t)m->n_files);
    ilki_base_buf_put_u32(&b, ENTRY_BYTES);
    for (size_t i = 0; i < m->n_files; i++) {
        ilki_base_buf_put_u64(&b, m->files[i].number);
        ilki_base_buf_put_u64(&b, m->files[i].first_lsn);
        ilki_base_buf_put_u64(&b, m->files[i].floor_bytes);
        ilki_base_buf_put_u64(&b, m->files[i].floor_lsn);
        ilki_base_buf_put_u32(&b, m->files[i].sealed ? SEALED : 0);
        ilki_base_buf_put_u32(&b, m->files[i].salt);
    }
    ilki_base_buf_put_u32(&b, ilki_base_crc32c(0, ilki_base_buf_view(&b), b.len));
    ilk_status st = ilki_base_buf_check(&b, "the manifest", err);
    if (!st)
        st = ilki_base_write_file(v, path, b.data, b.len, err);
    ilki_base_buf_deinit(&b);
    return st;
}
