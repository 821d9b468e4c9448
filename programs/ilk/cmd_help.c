/* SPDX-License-Identifier: Apache-2.0
 * ilk help: all commands, one command, the manual page, the completions. */
#include "cli/cli.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"man", 0, CLI_SWITCH, NULL, "print the manual page ilk(1), as roff", 0, 0},
    {"completions", 0, CLI_CHOICE, "bash|zsh|fish", "print the completions of a shell", 0, 0},
    {0},
};

static int run(cli *c)
{
    if (cli_on(c, "man")) {
        cli_help_man(c);
        return CLI_FOUND;
    }
    if (cli_text(c, "completions"))
        return cli_help_completions(c, cli_text(c, "completions")) ? CLI_FOUND : CLI_FAILED;
    if (c->n_operands == 0) {
        cli_help_all(c);
        return CLI_FOUND;
    }
    const cli_command *command = cli_command_find(c->operands[0]);
    if (!command) {
        cli_suggestion s = {c->operands[0], NULL, 0};
        for (size_t i = 0; cli_commands[i]; i++)
            cli_suggest(&s, cli_commands[i]->name);
        return cli_usage(c, "no command \"%s\"%s%s", c->operands[0], s.best ? ": did you mean " : "",
                         s.best ? s.best : "");
    }
    cli_help_command(c, command);
    return CLI_FOUND;
}

const cli_command cli_cmd_help = {
    "help",
    "what the commands do, the manual page, completions of the shell",
    "[COMMAND]",
    CLI_COMMAND,
    0,
    1,
    "ilk help search\twhat one command does\n"
    "ilk help --man | man -l -\tthe manual page\n"
    "source <(ilk help --completions bash)\tcompletions in this shell\n",
    "",
    (const cli_flag *const[]){flags, NULL},
    run,
};
