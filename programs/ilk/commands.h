/* SPDX-License-Identifier: Apache-2.0
 * The rows of commands.c, each defined by its cmd_<name>.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/cli.h"

extern const cli_command cli_cmd_index, cli_cmd_search, cli_cmd_similar, cli_cmd_status, cli_cmd_prune, cli_cmd_check,
    cli_cmd_embed, cli_cmd_tokenize, cli_cmd_similarity, cli_cmd_rerank, cli_cmd_show, cli_cmd_doctor, cli_cmd_bench,
    cli_cmd_help, cli_cmd_version, cli_cmd_eval;
extern const cli_command cli_cmd_models, cli_cmd_pull, cli_cmd_train, cli_cmd_verify;

#endif
