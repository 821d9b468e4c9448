/* SPDX-License-Identifier: Apache-2.0
 * The rows of commands.c, each defined by its cmd_<name>.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/cli.h"

extern const cli_command cli_cmd_doctor, cli_cmd_embed, cli_cmd_help, cli_cmd_show, cli_cmd_similarity,
    cli_cmd_tokenize, cli_cmd_version;

#endif
