/* SPDX-License-Identifier: Apache-2.0
 * The log: files of records, appended by one writer, scanned by anyone. docs/FORMAT.md has the bytes, the rule of what is
 * valid and the order of writes. */
#ifndef ILKI_STORE_LOG_H
#define ILKI_STORE_LOG_H

#include <pthread.h>

#include "base/buf.h"
#include "store/manifest.h"
#include "store/record.h"

/* Where one record stands. */
typedef struct ilki_place {
    uint64_t file, at, total; /* number of the log file, offset and length of the record */
    uint32_t body_bytes;
} ilki_place;

typedef struct ilki_log {
    const ilki_vfs *vfs;
    char *dir, *manifest_path;
    uint64_t max_bytes;   /* of one file */
    pthread_mutex_t lock; /* guards m and readers: a new file, or a newer manifest, may come while others read */
    ilki_manifest m;
    ilki_file **readers; /* one per file of m, opened at first use */
    ilki_stat seen;      /* of the manifest that m was read from */
    /* the writer's alone, under the store's write lock */
    ilki_file *active;
    uint64_t at, next_lsn, durable_lsn;
    bool failed; /* a write or sync has failed: nothing more may be written */
} ilki_log;

/* A new store in `dir`/log: the first file, then the manifest. */
ilk_status ilki_store_log_create(const ilki_vfs *v, const char *dir, ilk_error *err);
ilk_status ilki_store_log_open(ilki_log *log, const ilki_vfs *v, const char *dir, bool to_write, ilk_error *err);
void ilki_store_log_close(ilki_log *log); /* a zeroed log is fine */
/* A reader's: takes a manifest that was replaced since. */
ilk_status ilki_store_log_refresh(ilki_log *log, ilk_error *err);

/* What the header of a log file says, with the floor at its beginning. CORRUPT: damaged. */
ilk_status ilki_store_log_header(ilki_file *f, const char *path, uint8_t uuid[ILKI_UUID_BYTES], ilki_log_entry *e,
                                 ilk_error *err);

/* ---- scanning. A zeroed scan but for its position; deinit frees the buffer. */
typedef enum ilki_scan_state { ILKI_SCAN_BATCH, ILKI_SCAN_END, ILKI_SCAN_TORN } ilki_scan_state;

typedef struct ilki_scan {
    uint64_t file, at, next_lsn; /* where the next batch begins and what it begins with */
    uint64_t floor_lsn;          /* known to be whole up to here, besides what the manifest says */
    /* of the batch found: n bytes at `batch_at` of `batch_file`, borrowed until the next call */
    const unsigned char *bytes;
    size_t n;
    uint64_t batch_file, batch_at, first_lsn, last_lsn, durable;
    uint32_t salt;
    uint64_t torn_bytes; /* with TORN: from `at` to the end of the file */
    uint64_t bad_at;     /* with CORRUPT: the record that is damaged, in `file` */
    /* buffer */
    unsigned char *data;
    size_t cap, len;
    uint64_t data_file, data_at;
} ilki_scan;

void ilki_store_scan_init(ilki_scan *s, uint64_t file, uint64_t at, uint64_t next_lsn);
void ilki_store_scan_deinit(ilki_scan *s);
/* From the first record of the first file. */
void ilki_store_scan_start(ilki_scan *s, ilki_log *log);
/* The next whole batch. CORRUPT: damage inside, at s->bad_at; the scan stays where it is. */
ilk_status ilki_store_scan_next(ilki_log *log, ilki_scan *s, ilki_scan_state *state, ilk_error *err);
/* After CORRUPT: moves to the next batch that begins with a valid record, past the damage; false: there is none. */
ilk_status ilki_store_scan_skip(ilki_log *log, ilki_scan *s, bool *more, ilk_error *err);

/* ---- reading one place: a borrowed handle, open until close */
ilk_status ilki_store_log_reader(ilki_log *log, uint64_t file, ilki_file **f, uint32_t *salt, ilk_error *err);

/* ---- the writer */

/* After a scan to the end: cuts a half-written tail, opens the last file for appending and makes what was found durable,
 * from `safe` (an LSN known to be on the disk) on. */
ilk_status ilki_store_log_recover(ilki_log *log, const ilki_scan *end, ilki_scan_state state, uint64_t safe,
                                  ilk_error *err);
/* Begins a new file where n more bytes would pass the limit. */
ilk_status ilki_store_log_room(ilki_log *log, uint64_t n, ilk_error *err);
uint32_t ilki_store_log_salt(ilki_log *log);
uint64_t ilki_store_log_number(ilki_log *log);
/* One batch of records, encoded with next_lsn, salt and durable_lsn. */
ilk_status ilki_store_log_append(ilki_log *log, const void *data, size_t n, size_t n_records, bool sync,
                                 ilk_error *err);
ilk_status ilki_store_log_sync(ilki_log *log, ilk_error *err);
/* Bytes of all files. */
ilk_status ilki_store_log_bytes(ilki_log *log, uint64_t *n, ilk_error *err);

#endif
