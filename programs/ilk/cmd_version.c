/* SPDX-License-Identifier: Apache-2.0
 * ilk version. */
#include "cli/cli.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

static int run(cli *c)
{
    cli_putf(c, cli_on(c, "json") ? "{\"name\":\"ilk\",\"version\":\"%s\"}\n" : "ilk %s\n", ilk_version());
    return CLI_FOUND;
}

const cli_command cli_cmd_version = {
    "version", "the version of this program",          "",  CLI_TEXT, 0, 0, "ilk version\tas \"ilk 0.1.0\"\n",
    "",        (const cli_flag *const[]){flags, NULL}, run,
};
