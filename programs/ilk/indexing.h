/* SPDX-License-Identifier: Apache-2.0
 * Reading folders into a store, for `index` and for `search` where there is no store yet. */
#ifndef CLI_INDEXING_H
#define CLI_INDEXING_H

#include "cli/choose.h"

extern const cli_flag cli_chunk_flags[];

/* Tells on standard output what `index` would do, a file a line. No model is opened for a store without files. */
int cli_index_preview(cli *c, const cli_place *p, const char *const *paths, size_t n);

/* Chooses the models, makes the store where there is none, reads the paths, tells what was done. On CLI_FOUND *s (may be
 * NULL) gets the store, open. */
int cli_index(cli *c, const cli_place *p, const char *const *paths, size_t n, ilk_store **s);

#endif
