/* SPDX-License-Identifier: Apache-2.0
 * The rows of commands.c, each defined by its cmd_<name>.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/cli.h"

extern const cli_command cli_cmd_help, cli_cmd_version;

#endif
