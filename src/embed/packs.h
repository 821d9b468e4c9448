/* SPDX-License-Identifier: Apache-2.0
 * Packed weights kept on disk, in XDG_CACHE_HOME/ilk/packed: a file for each (fingerprint, kernels, layouts, precision,
 * version of ilk), mapped in place of packing at the next start. tensor/packfile.c has the bytes of one. */
#ifndef ILKI_EMBED_PACKS_H
#define ILKI_EMBED_PACKS_H

#include "embed/embed.h"
#include "tensor/packfile.h"

/* Before the network is opened: m->packs becomes what is kept for it, or an empty collection where the model may be kept,
 * or NULL. Costs a look at two small files. */
void ilki_embed_packs_find(ilk_model *m);
/* Unmaps what was found, frees what was collected. */
void ilki_embed_packs_drop(ilk_model *m);
/* What was found is not the model's after all: it will be packed, and kept anew. */
void ilki_embed_packs_refuse(ilk_model *m, const ilk_error *why);
/* When the model is open: writes what was collected where that is worth it (docs/BENCHMARKS.md), and forgets it. A cache that
 * cannot be written costs time, nothing else. */
void ilki_embed_packs_keep(ilk_model *m);

/* Where they are and how many. NOT_FOUND where no variable says where a cache is. */
ilk_status ilki_embed_packs_info(const ilk_runtime *rt, ilk_packed_info *out, ilk_error *err);

/* Frees room for n_bytes under the ceiling: files used longest ago go, and what a killed writer left. */
void ilki_embed_packs_make_room(const ilki_vfs *vfs, const char *dir, uint64_t ceiling, uint64_t n_bytes);

#endif
