/* SPDX-License-Identifier: Apache-2.0
 * Completions of bash, zsh and fish, from the tables. */
#include <string.h>

#include "cli.h"

/* For a value or an operand. */
static const char *bash_action(cli_kind kind)
{
    switch (kind) {
    case CLI_FILE:
        return "f";
    case CLI_DIR:
    case CLI_MODEL:
        return "d";
    default:
        return NULL;
    }
}

static void add_spaced(ilki_buf *b, const char *words)
{
    const char *word;
    size_t n;
    while (cli_choice_next(&words, &word, &n))
        ilki_base_buf_addf(b, "%.*s ", (int)n, word);
}

static void bash_command(ilki_buf *b, const cli_command *command)
{
    const cli_flag *flags[CLI_MAX_FLAGS];
    size_t n = cli_command_flags(command, flags);
    ilki_base_buf_addf(b, "    %s)\n        case $prev in\n", command->name);
    for (size_t i = 0; i < n; i++) {
        const cli_flag *f = flags[i];
        if (f->kind == CLI_SWITCH)
            continue;
        ilki_base_buf_addf(b, "        --%s", f->name);
        if (f->letter)
            ilki_base_buf_addf(b, " | -%c", f->letter);
        ilki_base_buf_adds(b, ") ");
        if (f->kind == CLI_CHOICE) {
            ilki_base_buf_adds(b, "COMPREPLY=($(compgen -W '");
            add_spaced(b, f->arg);
            ilki_base_buf_adds(b, "' -- \"$cur\")); ");
        } else if (bash_action(f->kind)) {
            ilki_base_buf_addf(b, "_ilk_paths %s; ", bash_action(f->kind));
        }
        ilki_base_buf_adds(b, "return ;;\n");
    }
    ilki_base_buf_adds(b, "        esac\n        words='");
    for (size_t i = 0; i < n; i++)
        ilki_base_buf_addf(b, "--%s ", flags[i]->name);
    ilki_base_buf_adds(b, "'\n");
    if (bash_action(command->operand_kind))
        ilki_base_buf_addf(b, "        paths=%s\n", bash_action(command->operand_kind));
    if (command->operand_kind == CLI_COMMAND)
        ilki_base_buf_adds(b, "        operands=$commands\n");
    ilki_base_buf_adds(b, "        ;;\n");
}

static void add_bash(ilki_buf *b)
{
    ilki_base_buf_adds(b, "# bash completion for ilk, made by \"ilk help --completions bash\"\n"
                          "_ilk_paths() {\n"
                          "    local IFS=$'\\n'\n"
                          "    compopt -o filenames 2>/dev/null\n"
                          "    COMPREPLY=($(compgen -\"$1\" -- \"$cur\"))\n"
                          "}\n"
                          "_ilk() {\n"
                          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                          "    local words= paths= operands= commands='");
    for (size_t i = 0; cli_commands[i]; i++)
        ilki_base_buf_addf(b, "%s%s", i ? " " : "", cli_commands[i]->name);
    ilki_base_buf_adds(b, "'\n"
                          "    COMPREPLY=()\n"
                          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                          "        COMPREPLY=($(compgen -W \"$commands --help --version\" -- \"$cur\"))\n"
                          "        return\n"
                          "    fi\n"
                          "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; cli_commands[i]; i++)
        bash_command(b, cli_commands[i]);
    ilki_base_buf_adds(b, "    esac\n"
                          "    if [[ $cur == -* ]]; then\n"
                          "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                          "    elif [ -n \"$operands\" ]; then\n"
                          "        COMPREPLY=($(compgen -W \"$operands\" -- \"$cur\"))\n"
                          "    elif [ -n \"$paths\" ]; then\n"
                          "        _ilk_paths \"$paths\"\n"
                          "    fi\n"
                          "}\n"
                          "complete -F _ilk ilk\n");
}

/* Inside single quotes of zsh's _arguments or of fish. */
static void add_quoted(ilki_buf *b, const char *s, const char *escape)
{
    for (; *s; s++) {
        if (*s == '\'') {
            ilki_base_buf_adds(b, "'\\''");
            continue;
        }
        if (strchr(escape, *s))
            ilki_base_buf_addc(b, '\\');
        ilki_base_buf_addc(b, *s);
    }
}

static const char *zsh_action(cli_kind kind)
{
    switch (kind) {
    case CLI_FILE:
        return "_files";
    case CLI_DIR:
    case CLI_MODEL:
        return "_files -/";
    case CLI_COMMAND:
        return "(${commands%%:*})";
    default:
        return " ";
    }
}

static void zsh_flag(ilki_buf *b, const cli_flag *f)
{
    const char *repeat = f->kind == CLI_LIST ? "*" : "";
    if (f->letter)
        ilki_base_buf_addf(b, "            '%s(-%c --%s)'{-%c%s,--%s%s}'[", repeat, f->letter, f->name, f->letter,
                           f->kind == CLI_SWITCH ? "" : "+", f->name, f->kind == CLI_SWITCH ? "" : "=");
    else
        ilki_base_buf_addf(b, "            '%s--%s%s[", repeat, f->name, f->kind == CLI_SWITCH ? "" : "=");
    add_quoted(b, f->help, "[]:\\");
    ilki_base_buf_addc(b, ']');
    if (f->kind != CLI_SWITCH) {
        ilki_base_buf_addf(b, ":%s:", f->name);
        if (f->kind == CLI_CHOICE) {
            ilki_base_buf_addc(b, '(');
            add_spaced(b, f->arg);
            ilki_base_buf_addc(b, ')');
        } else {
            ilki_base_buf_adds(b, zsh_action(f->kind));
        }
    }
    ilki_base_buf_adds(b, "' \\\n");
}

static void add_zsh(ilki_buf *b)
{
    const cli_flag *flags[CLI_MAX_FLAGS];
    ilki_base_buf_adds(b, "#compdef ilk\n# zsh completion for ilk, made by \"ilk help --completions zsh\"\n"
                          "_ilk() {\n    local -a commands\n    commands=(\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        ilki_base_buf_addf(b, "        '%s:", cli_commands[i]->name);
        add_quoted(b, cli_commands[i]->summary, ":\\");
        ilki_base_buf_adds(b, "'\n");
    }
    ilki_base_buf_adds(b, "    )\n"
                          "    if (( CURRENT == 2 )); then\n"
                          "        _describe -t commands command commands\n"
                          "        return\n"
                          "    fi\n"
                          "    local name=$words[2]\n"
                          "    shift words\n    (( CURRENT-- ))\n"
                          "    case $name in\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        const cli_command *command = cli_commands[i];
        size_t n = cli_command_flags(command, flags);
        ilki_base_buf_addf(b, "    %s)\n        _arguments -s -S \\\n", command->name);
        for (size_t k = 0; k < n; k++)
            zsh_flag(b, flags[k]);
        ilki_base_buf_addf(b, "            '*:argument:%s'\n        ;;\n", zsh_action(command->operand_kind));
    }
    ilki_base_buf_adds(
        b, "    esac\n}\nif [ \"$funcstack[1]\" = _ilk ]; then\n    _ilk \"$@\"\nelse\n    compdef _ilk ilk\nfi\n");
}

static void add_fish(ilki_buf *b)
{
    const cli_flag *flags[CLI_MAX_FLAGS];
    ilki_base_buf_adds(b, "# fish completion for ilk, made by \"ilk help --completions fish\"\ncomplete -c ilk -f\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        const cli_command *command = cli_commands[i];
        size_t n = cli_command_flags(command, flags);
        ilki_base_buf_addf(b, "complete -c ilk -n __fish_use_subcommand -a %s -d '", command->name);
        add_quoted(b, command->summary, "\\");
        ilki_base_buf_adds(b, "'\n");
        if (bash_action(command->operand_kind))
            ilki_base_buf_addf(b, "complete -c ilk -n '__fish_seen_subcommand_from %s' %s\n", command->name,
                               command->operand_kind == CLI_FILE ? "-F" : "-a '(__fish_complete_directories)'");
        for (size_t k = 0; k < n; k++) {
            const cli_flag *f = flags[k];
            ilki_base_buf_addf(b, "complete -c ilk -n '__fish_seen_subcommand_from %s' -l %s", command->name, f->name);
            if (f->letter)
                ilki_base_buf_addf(b, " -s %c", f->letter);
            if (f->kind == CLI_CHOICE) {
                ilki_base_buf_adds(b, " -x -a '");
                add_spaced(b, f->arg);
                ilki_base_buf_addc(b, '\'');
            } else if (f->kind == CLI_FILE) {
                ilki_base_buf_adds(b, " -r -F");
            } else if (bash_action(f->kind)) {
                ilki_base_buf_adds(b, " -x -a '(__fish_complete_directories)'");
            } else if (f->kind != CLI_SWITCH) {
                ilki_base_buf_adds(b, " -x");
            }
            ilki_base_buf_adds(b, " -d '");
            add_quoted(b, f->help, "\\");
            ilki_base_buf_adds(b, "'\n");
        }
    }
}

bool cli_help_completions(cli *c, const char *shell)
{
    static const struct {
        const char *name;
        void (*add)(ilki_buf *b);
    } shells[] = {{"bash", add_bash}, {"zsh", add_zsh}, {"fish", add_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shells[i].name, shell) != 0)
            continue;
        ilki_buf b;
        ilki_base_buf_init(&b, 1 << 20);
        shells[i].add(&b);
        cli_put(c, ilki_base_buf_view(&b), b.len);
        ilki_base_buf_deinit(&b);
        return true;
    }
    return false;
}
