/* SPDX-License-Identifier: Apache-2.0
 * The manifest: which log files make the store. docs/FORMAT.md, "Manifest". */
#ifndef ILKI_STORE_MANIFEST_H
#define ILKI_STORE_MANIFEST_H

#include "base/vfs.h"

enum { ILKI_LOG_HEADER_BYTES = 64, ILKI_UUID_BYTES = 16 };

typedef struct ilki_log_entry {
    uint64_t number, first_lsn;
    uint64_t floor_bytes, floor_lsn; /* whole on the disk up to here; of a sealed file: its end */
    uint32_t salt;
    bool sealed;
} ilki_log_entry;

typedef struct ilki_manifest {
    uint8_t uuid[ILKI_UUID_BYTES];
    uint64_t incompatible, ro_compatible, compatible;
    uint64_t created_us;
    ilki_log_entry *files;
    size_t n_files;
} ilki_manifest;

/* What this version knows; bits of others are refused or kept as their class says. */
enum { ILKI_FEATURES_INCOMPATIBLE = 0, ILKI_FEATURES_RO_COMPATIBLE = 0 };

/* NOT_FOUND where there is none, CORRUPT, UNSUPPORTED (version or incompatible feature; with `to_write` also a read-only
 * compatible one). */
ilk_status ilki_store_manifest_read(ilki_manifest *m, const ilki_vfs *v, const char *path, bool to_write,
                                    ilk_error *err);
ilk_status ilki_store_manifest_write(const ilki_manifest *m, const ilki_vfs *v, const char *path, ilk_error *err);
void ilki_store_manifest_deinit(ilki_manifest *m);

/* n random bytes from the system */
ilk_status ilki_store_random(void *to, size_t n, ilk_error *err);

#endif
