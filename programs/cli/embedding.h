/* SPDX-License-Identifier: Apache-2.0
 * The flags that say how a text is embedded: role, prompt, dimension, length. */
#ifndef CLI_EMBEDDING_H
#define CLI_EMBEDDING_H

#include "cli.h"

extern const cli_flag cli_embedding_flags[];

typedef struct cli_embedding {
    ilk_role role;
    const char *prompt, *prompt_name;
    ilk_embed_options options;
} cli_embedding;

/* False: a message has been printed. */
bool cli_embedding_read(cli *c, const ilk_model_info *info, cli_embedding *e);
/* Fills all of an input but its parts. */
void cli_embedding_input(const cli_embedding *e, ilk_input *in);

#endif
