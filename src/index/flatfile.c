/* SPDX-License-Identifier: Apache-2.0
 * The derived file of a flat index. Little-endian; every number is written by put functions, and the arrays as the
 * machine has them (a reader of another byte order refuses the file and rebuilds).
 *
 *   0     "ILKFLAT" NUL, u32 version 1, u32 feature bits (0), u32 byte-order mark 0x01020304, u32 dim, u32 metric,
 *         u32 bytes of a row of codes, u64 rows, u64 LSN seen, u64 payload bytes, u32 crc32c of all before it
 *   4096  payload: labels u64[rows], scale f32[rows], norm f32[rows], codes i8[rows][stride]; each begins at 64 bytes
 *   then  u32 crc32c of every 64 KiB of the payload, u32 crc32c of these
 *
 * It holds nothing that the log does not have: one that fails a check is rebuilt. Header and table are checked at load,
 * payload blocks when first touched. Written under another name, synced, renamed: old or new, never half. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "index/flat.h"

#define MAGIC       "ILKFLAT"
#define VERSION     1u
#define HEADER_CRC  60
#define PAYLOAD_AT  4096
#define BYTE_ORDER_ 0x01020304u

typedef struct layout {
    size_t labels, scale, norm, codes, end; /* offsets in the payload */
} layout;

static bool plan(layout *l, uint64_t rows, size_t stride)
{
    size_t bytes;
    if (rows > SIZE_MAX / 64 || !ilki_base_mul((size_t)rows, stride, &bytes))
        return false;
    size_t n = (size_t)rows;
    l->labels = 0;
    l->scale = (n * 8 + 63) / 64 * 64;
    l->norm = l->scale + (n * 4 + 63) / 64 * 64;
    l->codes = l->norm + (n * 4 + 63) / 64 * 64;
    return ilki_base_add(l->codes, bytes, &l->end);
}

static size_t n_blocks(size_t payload_bytes)
{
    return payload_bytes / ILKI_FLAT_CRC_BYTES + (payload_bytes % ILKI_FLAT_CRC_BYTES != 0);
}

/* ------------------------------------------------------------------ save */

/* Bytes on their way out, in order: a block is checksummed and written when it is full. */
typedef struct writer {
    ilki_file *file;
    unsigned char *block; /* [ILKI_FLAT_CRC_BYTES] */
    size_t used;
    uint64_t at;
    uint32_t *crcs;
    size_t n_crcs;
    ilk_error *err;
    ilk_status st;
} writer;

static void flush(writer *w)
{
    if (!w->used || w->st != ILK_OK)
        return;
    w->crcs[w->n_crcs++] = ilki_base_crc32c(0, w->block, w->used);
    w->st = w->file->vfs->write(w->file, w->at, w->block, w->used, w->err);
    w->at += w->used;
    w->used = 0;
}

static void put(writer *w, const void *data, size_t n)
{
    const unsigned char *p = data;
    while (n && w->st == ILK_OK) {
        size_t take = ILKI_FLAT_CRC_BYTES - w->used < n ? ILKI_FLAT_CRC_BYTES - w->used : n;
        memcpy(w->block + w->used, p, take);
        w->used += take;
        p += take;
        n -= take;
        if (w->used == ILKI_FLAT_CRC_BYTES)
            flush(w);
    }
}

static void pad(writer *w, size_t written)
{
    static const unsigned char zeros[64];
    put(w, zeros, (64 - written % 64) % 64);
}

/* One array of every live row, in order. */
static void put_rows(writer *w, const ilki_flat *f, size_t size, const void *const arrays[2])
{
    size_t n = 0;
    for (int b = 0; b < 2; b++)
        for (size_t row = 0; row < f->block[b].n; row++)
            if (!ilki_index_flat_is_dead(f, b, row)) {
                put(w, (const unsigned char *)arrays[b] + row * size, size);
                n++;
            }
    pad(w, n * size);
}

static void put_payload(writer *w, const ilki_flat *f)
{
    const ilki_flat_block *a = &f->block[0], *b = &f->block[1];
    put_rows(w, f, sizeof *a->labels, (const void *const[2]){a->labels, b->labels});
    put_rows(w, f, sizeof *a->scale, (const void *const[2]){a->scale, b->scale});
    put_rows(w, f, sizeof *a->norm, (const void *const[2]){a->norm, b->norm});
    put_rows(w, f, f->stride, (const void *const[2]){a->codes, b->codes});
    flush(w);
}

static void put_header(ilki_buf *b, const ilki_flat *f, uint64_t rows, uint64_t upto, uint64_t payload_bytes)
{
    ilki_base_buf_add(b, MAGIC, 8);
    ilki_base_buf_put_u32(b, VERSION);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u32(b, BYTE_ORDER_);
    ilki_base_buf_put_u32(b, f->dim);
    ilki_base_buf_put_u32(b, (uint32_t)f->metric);
    ilki_base_buf_put_u32(b, (uint32_t)f->stride);
    ilki_base_buf_put_u64(b, rows);
    ilki_base_buf_put_u64(b, upto);
    ilki_base_buf_put_u64(b, payload_bytes);
    while (b->len < HEADER_CRC && ilki_base_buf_put_u8(b, 0))
        ;
    if (!b->failed)
        ilki_base_buf_put_u32(b, ilki_base_crc32c(0, b->data, HEADER_CRC));
}

/* The array itself is little-endian on the machines that read it: the byte-order mark says whose it is. */
static ilk_status save_to(const ilki_flat *f, ilki_file *file, uint64_t upto, ilk_error *err)
{
    layout l = {0};
    size_t rows = f->base.type->count(&f->base);
    ilki_buf header;
    if (!plan(&l, rows, f->stride))
        return ilki_base_fail(err, ILK_LIMIT, "flat index of %zu rows is too large to save", rows);
    writer w = {.file = file, .at = PAYLOAD_AT, .err = err};
    size_t blocks = n_blocks(l.end);
    w.block = ilki_base_alloc_aligned(ILKI_FLAT_CRC_BYTES, 1);
    w.crcs = ilki_base_zalloc(blocks + 1, sizeof *w.crcs);
    ilki_base_buf_init(&header, 4096);
    put_header(&header, f, rows, upto, l.end);
    if (!w.block || !w.crcs || header.failed) {
        w.st = ilki_base_fail_memory(err, ILKI_FLAT_CRC_BYTES, "saving an index");
        goto end;
    }
    if (f->file.size)
        w.st = ilki_index_flat_touch(f, f->file.data + f->payload_at, f->payload_bytes, err);
    put_payload(&w, f);
    if (w.st != ILK_OK)
        goto end;
    w.crcs[blocks] = ilki_base_crc32c(0, w.crcs, blocks * sizeof *w.crcs);
    w.st = file->vfs->write(file, w.at, w.crcs, (blocks + 1) * sizeof *w.crcs, err);
    if (w.st == ILK_OK)
        w.st = file->vfs->write(file, 0, header.data, header.len, err);
    if (w.st == ILK_OK)
        w.st = file->vfs->sync(file, err);
end:
    ilki_base_buf_deinit(&header);
    free(w.block);
    free(w.crcs);
    return w.st;
}

static ilk_status sync_parent(const ilki_vfs *vfs, const char *path, ilk_error *err)
{
    char *dir = ilki_base_path_dir(path);
    if (!dir)
        return ilki_base_fail_memory(err, strlen(path), "a path");
    ilk_status st = vfs->sync_dir(vfs, dir, err);
    free(dir);
    return st;
}

ilk_status ilki_index_flat_save(const ilki_index *ix, const ilki_vfs *vfs, const char *path, uint64_t upto,
                                ilk_error *err)
{
    const ilki_flat *f = (const ilki_flat *)ix;
    ilki_file *file = NULL;
    ilki_buf temporary;
    ilki_base_buf_init(&temporary, 65536);
    ilki_base_buf_addf(&temporary, "%s.new", path);
    ilk_status st = ilki_base_buf_check(&temporary, "a path", err);
    if (st == ILK_OK)
        st = vfs->open(vfs, &file, temporary.data, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_NOFOLLOW, err);
    if (st == ILK_OK)
        st = vfs->truncate(file, 0, err);
    if (st == ILK_OK)
        st = save_to(f, file, upto, err);
    if (file)
        vfs->close(file);
    if (st == ILK_OK)
        st = vfs->rename(vfs, temporary.data, path, err);
    if (st == ILK_OK)
        st = sync_parent(vfs, path, err);
    if (st != ILK_OK && file)
        vfs->unlink(vfs, temporary.data, NULL);
    ilki_base_buf_deinit(&temporary);
    return st;
}

/* ------------------------------------------------------------------ load */

ilk_status ilki_index_flat_touch(const ilki_flat *f, const void *p, size_t n, ilk_error *err)
{
    if (!f->crcs || n == 0)
        return ILK_OK;
    const unsigned char *payload = f->file.data + f->payload_at;
    size_t first = (size_t)((const unsigned char *)p - payload) / ILKI_FLAT_CRC_BYTES;
    size_t last = ((size_t)((const unsigned char *)p - payload) + n - 1) / ILKI_FLAT_CRC_BYTES;
    for (size_t i = first; i <= last; i++) {
        if (atomic_load_explicit(&f->checked[i], memory_order_relaxed))
            continue;
        size_t at = i * ILKI_FLAT_CRC_BYTES;
        size_t len = f->payload_bytes - at < ILKI_FLAT_CRC_BYTES ? f->payload_bytes - at : ILKI_FLAT_CRC_BYTES;
        uint32_t want;
        memcpy(&want, (const unsigned char *)f->crcs + i * sizeof want, sizeof want);
        if (ilki_base_crc32c(0, payload + at, len) != want)
            return ilki_base_fail(err, ILK_CORRUPT, "flat index: block %zu of its file fails its checksum", i);
        atomic_store_explicit(&f->checked[i], 1, memory_order_relaxed);
    }
    return ILK_OK;
}

typedef struct header {
    uint32_t version, features, order, dim, metric, stride;
    uint64_t rows, upto, payload_bytes;
} header;

static ilk_status read_header(const ilki_mapped *m, const char *path, header *h, ilk_error *err)
{
    ilki_cur c;
    if (m->size < PAYLOAD_AT || memcmp(m->data, MAGIC, 8) != 0)
        return ilki_base_fail(err, ILK_CORRUPT, "%s: not a flat index: %zu bytes", path, m->size);
    ilki_base_cur_init(&c, m->data, HEADER_CRC + 4);
    ilki_base_cur_bytes(&c, 8);
    h->version = ilki_base_cur_u32(&c);
    h->features = ilki_base_cur_u32(&c);
    h->order = ilki_base_cur_u32(&c);
    h->dim = ilki_base_cur_u32(&c);
    h->metric = ilki_base_cur_u32(&c);
    h->stride = ilki_base_cur_u32(&c);
    h->rows = ilki_base_cur_u64(&c);
    h->upto = ilki_base_cur_u64(&c);
    h->payload_bytes = ilki_base_cur_u64(&c);
    ilki_base_cur_bytes(&c, (size_t)(m->data + HEADER_CRC - c.p));
    if (ilki_base_cur_u32(&c) != ilki_base_crc32c(0, m->data, HEADER_CRC))
        return ilki_base_fail(err, ILK_CORRUPT, "%s: the header fails its checksum", path);
    uint32_t order = BYTE_ORDER_;
    if (h->version != VERSION || h->features != 0 || memcmp(m->data + 16, &order, sizeof order) != 0)
        return ilki_base_fail(err, ILK_MISMATCH, "%s: version %u with features %#x of another ilk or machine", path,
                              h->version, h->features);
    return ILK_OK;
}

/* Fits the file's sizes to each other and to spec, and checks the table of checksums. */
static ilk_status check_sizes(const ilki_mapped *m, const char *path, const header *h, const ilki_index_spec *spec,
                              layout *l, ilk_error *err)
{
    if (h->dim != spec->dim || h->metric != (uint32_t)spec->metric || h->stride != ilki_index_flat_stride(spec->dim))
        return ilki_base_fail(err, ILK_MISMATCH, "%s: made for dimension %u and metric %u, expected %u and %u", path,
                              h->dim, h->metric, spec->dim, (unsigned)spec->metric);
    if (!plan(l, h->rows, h->stride) || l->end != h->payload_bytes || l->end > m->size)
        return ilki_base_fail(err, ILK_CORRUPT, "%s: %llu rows do not fit %zu bytes", path, (unsigned long long)h->rows,
                              m->size);
    size_t blocks = n_blocks(l->end), table = PAYLOAD_AT + l->end;
    if (m->size != table + (blocks + 1) * sizeof(uint32_t))
        return ilki_base_fail(err, ILK_CORRUPT, "%s: %zu bytes, expected %zu", path, m->size,
                              table + (blocks + 1) * sizeof(uint32_t));
    uint32_t want;
    memcpy(&want, m->data + table + blocks * sizeof want, sizeof want);
    if (want != ilki_base_crc32c(0, m->data + table, blocks * sizeof want))
        return ilki_base_fail(err, ILK_CORRUPT, "%s: the table of checksums fails its own", path);
    return ILK_OK;
}

ilk_status ilki_index_flat_load(ilki_index **out, const ilki_index_spec *spec, const ilki_vfs *vfs, const char *path,
                                bool no_mmap, uint64_t *upto, ilk_error *err)
{
    ilki_index *ix = NULL;
    header h = {0};
    layout l = {0};
    *out = NULL;
    ilk_status st = ilki_index_flat_new(&ix, spec, err);
    if (st != ILK_OK)
        return st;
    ilki_flat *f = (ilki_flat *)ix;
    if ((st = ilki_base_map_file(vfs, path, no_mmap, &f->file, err)) != ILK_OK ||
        (st = read_header(&f->file, path, &h, err)) != ILK_OK ||
        (st = check_sizes(&f->file, path, &h, spec, &l, err)) != ILK_OK)
        goto fail;
    f->payload_at = PAYLOAD_AT;
    f->payload_bytes = l.end;
    f->checked = ilki_base_zalloc(n_blocks(l.end) + 1, sizeof *f->checked);
    f->dead[0] = ilki_base_zalloc((size_t)h.rows / 8 + 1, 1);
    if (!f->checked || !f->dead[0]) {
        st = ilki_base_fail_memory(err, (size_t)h.rows / 8 + 1, "a flat index");
        goto fail;
    }
    /* views of the map, never written: only block 1 grows */
    unsigned char *payload = (unsigned char *)(uintptr_t)f->file.data + PAYLOAD_AT;
    f->block[0] = (ilki_flat_block){.labels = (uint64_t *)(void *)(payload + l.labels),
                                    .scale = (float *)(void *)(payload + l.scale),
                                    .norm = (float *)(void *)(payload + l.norm),
                                    .codes = (int8_t *)(payload + l.codes),
                                    .n = (size_t)h.rows,
                                    .cap = (size_t)h.rows};
    f->crcs = (const uint32_t *)(const void *)(payload + l.end);
    *upto = h.upto;
    *out = ix;
    return ILK_OK;
fail:
    ilki_index_flat_free(ix);
    return st;
}
