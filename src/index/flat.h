/* SPDX-License-Identifier: Apache-2.0
 * What flat.c (memory and search) and flatfile.c (the derived file) share. */
#ifndef ILKI_INDEX_FLAT_H
#define ILKI_INDEX_FLAT_H

#include <stdatomic.h>

#include "index/index.h"

extern const ilki_index_type ilki_index_flat;

/* Rows in order of label. Row i: codes + i * stride, entry = code * scale[i]; norm[i] = |x|. */
typedef struct ilki_flat_block {
    uint64_t *labels;
    float *scale, *norm;
    int8_t *codes;
    size_t n, cap;
} ilki_flat_block;

typedef struct ilki_flat {
    ilki_index base;
    uint32_t dim;
    size_t stride; /* bytes of a row of codes: dim rounded up to 64 */
    ilk_metric metric;
    const ilki_kern_ops *ops;
    ilki_pool *pool;
    ilki_flat_block block[2]; /* what was loaded (views into `file`), what was added since */
    uint8_t *dead[2];         /* a bit per row, [cap / 8 + 1] */
    size_t n_dead;
    ilki_mapped file;
    const uint32_t *crcs; /* of the file's payload, per ILKI_FLAT_CRC_BYTES; NULL: nothing loaded */
    size_t payload_at, payload_bytes;
    atomic_uchar *checked; /* [payload blocks], first touch */
} ilki_flat;

#define ILKI_FLAT_CRC_BYTES ((size_t)65536)

size_t ilki_index_flat_stride(uint32_t dim);
static inline bool ilki_index_flat_is_dead(const ilki_flat *f, int b, size_t row)
{
    return f->dead[b][row / 8] >> (row % 8) & 1;
}

ilk_status ilki_index_flat_save(const ilki_index *ix, const ilki_vfs *vfs, const char *path, uint64_t upto,
                                ilk_error *err);
ilk_status ilki_index_flat_load(ilki_index **out, const ilki_index_spec *spec, const ilki_vfs *vfs, const char *path,
                                bool no_mmap, uint64_t *upto, ilk_error *err);

/* Compares the checksums of the payload bytes that [p, p + n) touches, once each. */
ilk_status ilki_index_flat_touch(const ilki_flat *f, const void *p, size_t n, ilk_error *err);

ilk_status ilki_index_flat_new(ilki_index **out, const ilki_index_spec *spec, ilk_error *err);
void ilki_index_flat_free(ilki_index *ix);

#endif
