/* SPDX-License-Identifier: Apache-2.0
 * --help and `ilk help`, from the tables. Examples come first: most readers need no more. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define WIDTH       78
#define FLAG_COLUMN 26

/* Text wrapped behind a margin; the first line begins where `used` columns are taken already. */
static void add_wrapped(ilki_buf *b, const char *text, size_t margin, size_t used)
{
    size_t n = strlen(text), next;
    if (used >= margin && used > 0) {
        ilki_base_buf_addc(b, '\n');
        used = 0;
    }
    for (;;) {
        ilki_base_buf_addf(b, "%*s", (int)(margin - used), "");
        size_t cut = cli_wrap(text, n, WIDTH - margin, &next);
        ilki_base_buf_add(b, text, cut);
        ilki_base_buf_addc(b, '\n');
        text += next;
        n -= next;
        used = 0;
        if (n == 0)
            return;
    }
}

/* Lines "left\tright\n", right ones aligned. */
static void add_examples(ilki_buf *b, const char *examples)
{
    size_t column = 0, n;
    for (const char *s = examples; *s; s += n + (s[n] == '\n')) {
        n = strcspn(s, "\n");
        const char *tab = memchr(s, '\t', n);
        size_t left = tab ? (size_t)(tab - s) : n;
        if (left > column && left < 56)
            column = left;
    }
    for (const char *s = examples; *s; s += n + (s[n] == '\n')) {
        n = strcspn(s, "\n");
        const char *tab = memchr(s, '\t', n);
        size_t left = tab ? (size_t)(tab - s) : n;
        ilki_base_buf_addf(b, "  %.*s", (int)left, s);
        if (tab)
            ilki_base_buf_addf(b, "%*s%.*s", left < column ? (int)(column - left) + 3 : 3, "", (int)(n - left - 1),
                               tab + 1);
        ilki_base_buf_addc(b, '\n');
    }
}

static void add_flag(ilki_buf *b, const cli_flag *f)
{
    char left[128];
    int n = f->letter ? snprintf(left, sizeof left, "  -%c, --%s", f->letter, f->name)
                      : snprintf(left, sizeof left, "      --%s", f->name);
    if (f->arg && n > 0 && (size_t)n < sizeof left)
        snprintf(left + n, sizeof left - (size_t)n, " %s", f->arg);
    ilki_base_buf_adds(b, left);
    add_wrapped(b, f->help, FLAG_COLUMN, strlen(left));
}

static void add_paragraphs(ilki_buf *b, const char *about)
{
    while (*about) {
        const char *end = strstr(about, "\n\n");
        size_t n = end ? (size_t)(end - about) : strlen(about);
        char text[2048];
        snprintf(text, sizeof text, "%.*s", (int)n, about);
        add_wrapped(b, text, 0, 0);
        about += n + (end ? 2 : 0);
        if (*about)
            ilki_base_buf_addc(b, '\n');
    }
}

void cli_help_command(cli *c, const cli_command *command)
{
    const cli_flag *flags[CLI_MAX_FLAGS];
    size_t n = cli_command_flags(command, flags), n_common = 0;
    ilki_buf b;
    while (cli_common_flags[n_common].name)
        n_common++;
    ilki_base_buf_init(&b, 1 << 20);
    ilki_base_buf_addf(&b, "ilk %s: %s\n\n", command->name, command->summary);
    add_examples(&b, command->examples);
    ilki_base_buf_addf(&b, "\nUsage: ilk %s [FLAGS]%s%s\n", command->name, *command->operands ? " " : "",
                       command->operands);
    if (command->about && *command->about) {
        ilki_base_buf_addc(&b, '\n');
        add_paragraphs(&b, command->about);
    }
    for (size_t i = 0; i < n; i++) {
        if (i == 0 && n > n_common)
            ilki_base_buf_adds(&b, "\nFlags:\n");
        if (i == n - n_common)
            ilki_base_buf_adds(&b, "\nCommon flags:\n");
        add_flag(&b, flags[i]);
    }
    cli_put(c, ilki_base_buf_view(&b), b.len);
    ilki_base_buf_deinit(&b);
}

static const char first_steps[] = "ilk index ~/notes -m ORG/NAME\tread a folder; again: only what changed\n"
                                  "ilk search \"what to do about rust\"\tfind passages by meaning, in that folder\n"
                                  "ilk similar plan.md\twhat else is like this file\n"
                                  "ilk embed -m ORG/NAME texts.txt\ttexts into vectors\n";

void cli_help_short(ilki_buf *b)
{
    ilki_base_buf_adds(b, "ilk: find things by meaning\n\n");
    add_examples(b, first_steps);
    ilki_base_buf_adds(b, "\nCommands:");
    for (size_t i = 0, column = 9; cli_commands[i]; i++) {
        size_t n = strlen(cli_commands[i]->name) + 1;
        if (column + n > WIDTH) {
            ilki_base_buf_adds(b, "\n         ");
            column = 9;
        }
        ilki_base_buf_addf(b, " %s", cli_commands[i]->name);
        column += n;
    }
    ilki_base_buf_adds(b, "\nMore: ilk help, ilk COMMAND --help\n");
}

void cli_help_all(cli *c)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 20);
    ilki_base_buf_adds(&b, "ilk: find things by meaning\n\n");
    add_examples(&b, first_steps);
    ilki_base_buf_adds(&b, "\nUsage: ilk COMMAND [FLAGS] [ARGUMENTS]\n\nCommands:\n");
    for (size_t i = 0; cli_commands[i]; i++)
        ilki_base_buf_addf(&b, "  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    ilki_base_buf_adds(&b, "\nData goes to standard output, all else to standard error; \"-\" is standard input.\n"
                           "Exit status: 0 results, 1 nothing found, 2 usage or failure, 130 and 143 signal.\n"
                           "ilk COMMAND --help tells more; ilk help --man prints the manual page.\n");
    cli_put(c, ilki_base_buf_view(&b), b.len);
    ilki_base_buf_deinit(&b);
}
