/* SPDX-License-Identifier: Apache-2.0
 * Flags of embedding, shared by embed and similarity. */
#include "embedding.h"

#include <string.h>

const cli_flag cli_embedding_flags[] = {
    {"as", 0, CLI_CHOICE, "query|document", "put the model's own prompt of that role before each text", 0, 0},
    {"prompt", 0, CLI_TEXT, "STRING", "put this before each text", 0, 0},
    {"prompt-name", 0, CLI_TEXT, "NAME", "put the model's prompt of that name before each text (see ilk show)", 0, 0},
    {"dim", 0, CLI_COUNT, "N", "keep the first N entries of a vector", 1, 1 << 20},
    {"no-normalize", 0, CLI_SWITCH, NULL, "leave vectors at the length they have before the model normalises them", 0,
     0},
    {0},
};

bool cli_embedding_read(cli *c, const ilk_model_info *info, cli_embedding *e)
{
    const char *as = cli_text(c, "as");
    memset(e, 0, sizeof *e);
    e->prompt = cli_text(c, "prompt");
    e->prompt_name = cli_text(c, "prompt-name");
    if ((as != NULL) + (e->prompt != NULL) + (e->prompt_name != NULL) > 1) {
        cli_usage(c, "--as, --prompt and --prompt-name exclude each other");
        return false;
    }
    if (as)
        e->role = strcmp(as, "query") == 0 ? ILK_ROLE_QUERY : ILK_ROLE_DOCUMENT;
    ilk_embed_options_init(&e->options);
    e->options.dim = (uint32_t)cli_count(c, "dim", 0);
    e->options.normalize = cli_on(c, "no-normalize") ? -1 : 0;
    if (e->options.dim > info->dim) {
        cli_fail(c, "--dim: asked for %u entries, the vectors of %s have %u", e->options.dim, info->id, info->dim);
        return false;
    }
    return true;
}

void cli_embedding_input(const cli_embedding *e, ilk_input *in)
{
    ilk_input_init(in);
    in->role = e->role;
    in->prompt = e->prompt;
    in->prompt_name = e->prompt_name;
}
