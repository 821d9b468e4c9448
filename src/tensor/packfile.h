/* SPDX-License-Identifier: Apache-2.0
 * The packed weights of one model as one file: collected while they are made, written, and mapped at a later start in place
 * of making them. What the file belongs to is one key of 32 bytes; who has what key, and where files lie, is embed's. */
#ifndef ILKI_TENSOR_PACKFILE_H
#define ILKI_TENSOR_PACKFILE_H

#include "base/vfs.h"
#include "tensor/linear.h"

#define ILKI_PACK_KEY 32

typedef enum ilki_pack_kind {
    ILKI_PACK_LINEAR = 1, /* what a linear's `packed` points to */
    ILKI_PACK_CODES,      /* [n_out][n_in] int8 */
    ILKI_PACK_SCALES,     /* [n_out] f32; n_in 1 */
    ILKI_PACK_PLAIN       /* of a table that is read where it lies: no bytes, what was found out about it */
} ilki_pack_kind;

typedef struct ilki_pack {
    ilki_pack_kind kind;
    ilki_form form; /* of a LINEAR; 0 of others */
    uint64_t n_out, n_in, n_bytes;
    const void *data;
    uint32_t n_exact, exact[ILKI_I8_EXACT]; /* of a LINEAR of 8 bits; 0, 4 or 8, ascending */
    const ilki_linear *linear;              /* while collecting: whose channels they are when it is written; or NULL */
    uint32_t sum;                           /* CRC-32C of the bytes, of one that was read */
} ilki_pack;

typedef struct ilki_packs ilki_packs;

/* An empty collection; NULL when memory is short. */
ilki_packs *ilki_tensor_packs_new(void);
/* Its data must live until it is written. */
ilk_status ilki_tensor_packs_add(ilki_packs *p, const ilki_pack *pack, ilk_error *err);
/* A new file beside `path`, mode 0600, synced and renamed over it; what another process does at the same time does no harm.
 * A half-written one is removed. */
ilk_status ilki_tensor_packs_write(const ilki_packs *p, const ilki_vfs *vfs, const char *path,
                                   const uint8_t key[ILKI_PACK_KEY], ilk_error *err);

/* Maps a file. NOT_FOUND; MISMATCH where it is of another key or format; CORRUPT where its head or its table are damaged;
 * UNSUPPORTED where somebody else could have written it (another owner, a link, a mode with a w for others). The bytes of
 * packs are not read yet: that is packs_check. */
ilk_status ilki_tensor_packs_open(ilki_packs **out, const ilki_vfs *vfs, const char *path,
                                  const uint8_t key[ILKI_PACK_KEY], ilk_error *err);
/* The same over bytes that the caller has; for tests. */
ilk_status ilki_tensor_packs_parse(ilki_packs **out, const void *data, size_t n, const char *name,
                                   const uint8_t key[ILKI_PACK_KEY], ilk_error *err);
void ilki_tensor_packs_close(ilki_packs *p);

bool ilki_tensor_packs_mapped(const ilki_packs *p); /* it was opened, not new; false for NULL */
size_t ilki_tensor_packs_count(const ilki_packs *p);
const ilki_pack *ilki_tensor_packs_view(const ilki_packs *p, size_t i);
uint64_t ilki_tensor_packs_bytes(const ilki_packs *p); /* of the file */
int64_t ilki_tensor_packs_mtime_ns(const ilki_packs *p);

/* The kind of the next pack of one that was opened; 0 behind the last. */
ilki_pack_kind ilki_tensor_packs_peek(const ilki_packs *p);
/* That pack itself, which has to be what is expected (kind, form, n_out, n_in, n_bytes); else CORRUPT. */
ilk_status ilki_tensor_packs_next(ilki_packs *p, const ilki_pack *expected, const ilki_pack **out, ilk_error *err);
/* Reads the bytes of one and compares their sum; CORRUPT. The pages of a table's codes are given back. From any thread. */
ilk_status ilki_tensor_packs_check(const ilki_packs *p, const ilki_pack *pack, ilk_error *err);

#endif
