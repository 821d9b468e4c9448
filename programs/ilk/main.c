/* SPDX-License-Identifier: Apache-2.0
 * ilk: finds a command's row, reads its flags, runs it. Nothing is read, opened or allocated here that the command does
 * not need: a short query is over in milliseconds. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static int without_command(cli *c)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 65536);
    cli_help_short(&b);
    if (write(2, ilki_base_buf_view(&b), b.len) < 0)
        c->out.failed = true;
    ilki_base_buf_deinit(&b);
    return CLI_FAILED;
}

static int unknown_command(cli *c, const char *name)
{
    cli_suggestion s = {name, NULL, 0};
    for (size_t i = 0; cli_commands[i]; i++)
        cli_suggest(&s, cli_commands[i]->name);
    const char *what = name[0] == '-' ? "flag" : "command";
    if (s.best)
        return cli_usage(c, "unknown %s \"%s\": did you mean %s?", what, name, s.best);
    return cli_usage(c, "unknown %s \"%s\"", what, name);
}

static int run(cli *c, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name)
        return without_command(c);
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        name = "help";
    else if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0)
        name = "version";
    const cli_command *command = cli_command_find(name);
    if (!command)
        return unknown_command(c, name);
    cli_flags_collect(c, command);
    c->operands = ilki_base_zalloc((size_t)argc, sizeof *c->operands);
    if (!c->operands)
        return cli_fail(c, "out of memory for the arguments");
    if (!cli_flags_parse(c, argc - 2, argv + 2))
        return CLI_FAILED;
    c->quiet = cli_on(c, "quiet");
    c->verbose = cli_on(c, "verbose");
    if (cli_on(c, "help")) {
        cli_help_command(c, command);
        return CLI_FOUND;
    }
    return command->run(c);
}

int main(int argc, char **argv)
{
    static cli c; /* large, and zeroed for nothing */
    ilk_error_init(&c.err);
    cli_out_init(&c);
    cli_signals_install();
    int status = run(&c, argc, argv);
    cli_flush(&c);
    cli_progress_erase(&c);
    if (c.out.closed)
        status = CLI_FOUND; /* whoever read the output has seen enough */
    else if (c.out.failed)
        status = CLI_FAILED;
    if (cli_signal_caught())
        status = 128 + cli_signal_caught();
    cli_close(&c);
    return status;
}
