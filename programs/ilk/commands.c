/* SPDX-License-Identifier: Apache-2.0
 * The commands, in the order of help. A new one is a file cmd_<name>.c and a row here; help, manual page and
 * completions follow. */
#include <stddef.h>

#include "commands.h"

/* clang-format off */
const cli_command *const cli_commands[] = {
    &cli_cmd_index,
    &cli_cmd_search,
    &cli_cmd_similar,
    &cli_cmd_status,
    &cli_cmd_prune,
    &cli_cmd_check,
    &cli_cmd_embed,
    &cli_cmd_tokenize,
    &cli_cmd_similarity,
    &cli_cmd_rerank,
    &cli_cmd_eval,
    &cli_cmd_train,
    &cli_cmd_models,
    &cli_cmd_pull,
    &cli_cmd_verify,
    &cli_cmd_show,
    &cli_cmd_doctor,
    &cli_cmd_bench,
    &cli_cmd_help,
    &cli_cmd_version,
    NULL,
};
/* clang-format on */
