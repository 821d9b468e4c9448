/* SPDX-License-Identifier: Apache-2.0
 * SQLite's file system over our table, so that a test's twin sees SQLite's I/O too, and so that each page of the main
 * file carries a checksum (docs/FORMAT.md, "Readers"). SQLite keeps a list of file systems by name for the whole process:
 * every store has an entry of its own there while it is open. */
#ifndef ILKI_STORE_SQLITE_VFS_H
#define ILKI_STORE_SQLITE_VFS_H

#include <sqlite3.h>

#include "base/vfs.h"

enum { ILKI_PAGE_BYTES = 4096, ILKI_PAGE_RESERVED = 8 };

typedef struct ilki_sqlite_vfs {
    sqlite3_vfs sqlite;
    const ilki_vfs *vfs;
    char name[40];
    bool registered;
} ilki_sqlite_vfs;

/* The struct must stay where it is until it is removed. */
ilk_status ilki_store_sqlite_vfs_add(ilki_sqlite_vfs *s, const ilki_vfs *v, ilk_error *err);
void ilki_store_sqlite_vfs_remove(ilki_sqlite_vfs *s); /* a zeroed one is fine */

#endif
