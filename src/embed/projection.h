/* SPDX-License-Identifier: Apache-2.0
 * A linear projection behind a model's vectors, so that they can be compared with another model's. */
#ifndef ILKI_EMBED_PROJECTION_H
#define ILKI_EMBED_PROJECTION_H

#include "embed/modules.h"

/* What ilk keeps beside a projection that it fitted: not read by anybody else, and no part of the fingerprint. */
#define ILKI_PROJECTION_ABOUT "ilk.json"
/* Stands between a model and the path of its projection where both are one name. */
#define ILKI_PROJECTION_MARK "#projection="

typedef struct ilki_projection {
    char *dir;              /* of its files */
    char *weights, *config; /* their names; config NULL: a file of weights alone */
    uint32_t n_in, n_out;
    /* from ILKI_PROJECTION_ABOUT, "" where it does not tell: fingerprints and names of the model that it stands behind, and
       of the one whose space it leads into */
    char source[65], target[65];
    const char *source_model, *target_model; /* in the arena; NULL likewise */
} ilki_projection;

/* Adds to the chain of `m`, whose vectors have `dim` entries: unit length, the projection at `path` (a folder as
 * sentence-transformers saves a Dense module, or a .safetensors with linear.weight [out][in] and, if it likes, linear.bias
 * [out]), unit length. Freed with ilki_embed_free_projection, the module with the chain. */
ilk_status ilki_embed_open_projection(ilki_projection **out, ilki_modules *m, const ilki_vfs *vfs, const char *path,
                                      uint32_t dim, const ilki_kern_ops *ops, ilki_arena *arena, ilk_error *err);
void ilki_embed_free_projection(ilki_projection *p);

/* "MODEL#projection=PATH" into both, freed with free(); *path NULL where `where` has no such mark or is itself a folder or
 * file that exists. */
ilk_status ilki_embed_split_where(const ilki_vfs *vfs, const char *where, char **model, char **path, ilk_error *err);

#endif
