/* SPDX-License-Identifier: Apache-2.0
 * The hub's cache on disk, as huggingface_hub lays it out and reads it:
 *
 *   HUB/models--ORG--NAME/blobs/HASH          contents, each under its SHA-256 or its name in git
 *   HUB/models--ORG--NAME/blobs/HASH.incomplete   the beginning of one; nothing points to it
 *   HUB/models--ORG--NAME/snapshots/COMMIT/…  links to ../../blobs/HASH
 *   HUB/models--ORG--NAME/refs/REVISION       the commit, 40 digits
 *   HUB/.locks/models--ORG--NAME/HASH.lock    flock(2)ed while a blob is made
 */
#ifndef ILKI_NET_HUB_CACHE_H
#define ILKI_NET_HUB_CACHE_H

#include "net/hub.h"

typedef struct ilki_hub_cache {
    ilk_runtime *rt;
    ilk_job *job;
    char *repo, *locks;   /* directories; may not exist yet */
    uint64_t done, total; /* bytes, for progress: of blobs that are whole; of all */
} ilki_hub_cache;

/* repo: HUB/models--ORG--NAME, of which HUB has n_hub bytes. */
ilk_status ilki_net_cache_init(ilki_hub_cache *c, ilk_runtime *rt, const char *repo, size_t n_hub, ilk_error *err);
void ilki_net_cache_deinit(ilki_hub_cache *c);

/* Bytes of a file that are there already: all of them where *whole, else those of an interrupted fetch. */
uint64_t ilki_net_cache_present(const ilki_hub_cache *c, const ilki_hub_file *f, bool *whole);

/* The directories, and room on the disk for n_bytes more. */
ilk_status ilki_net_cache_prepare(const ilki_hub_cache *c, uint64_t n_bytes, ilk_error *err);

/* Makes one blob whole: waits for its lock, goes on where an interrupted fetch ended, checks the hash over everything,
 * syncs and renames. Nothing is fetched where it is there. */
ilk_status ilki_net_cache_fetch(ilki_hub_cache *c, ilki_hub *hub, const char *id, const char *commit,
                                const ilki_hub_file *f, ilk_error *err);

/* Shows the wanted files of a model, whose blobs are whole, as snapshots/COMMIT, then writes refs/REVISION (unless that is
 * the commit). A snapshot that is not there yet appears with all its files at once. */
ilk_status ilki_net_cache_publish(ilki_hub_cache *c, const ilki_hub_model *m, const char *revision, ilk_error *err);

#endif
