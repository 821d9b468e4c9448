/* SPDX-License-Identifier: Apache-2.0
 * The command line's own types: a command is a const row (name, help, flag tables, function), a flag is a const row of
 * such a table. Parsing, --help, the man page and the completions of bash, zsh and fish are all made from these rows. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "ilk.h"
#include "out.h"

enum { CLI_FOUND = 0, CLI_NOTHING = 1, CLI_FAILED = 2 }; /* exit status; a signal's is 128 + its number */

typedef enum cli_kind {
    CLI_SWITCH, /* no value; --no-NAME takes it back, and a switch no-x is taken back by --x */
    CLI_TEXT,
    CLI_COUNT,  /* an integer within [min, max] */
    CLI_NUMBER, /* a finite number */
    CLI_CHOICE, /* one of the words of `arg`, which '|' separates */
    CLI_FILE,
    CLI_DIR,
    CLI_MODEL,   /* the last one counts, where a command does not ask for all */
    CLI_COMMAND, /* a command's name; of operands only */
    CLI_LIST     /* text that may be given more than once */
} cli_kind;

typedef struct cli_flag {
    const char *name; /* long name without dashes; NULL ends a table */
    char letter;      /* 0: none */
    cli_kind kind;
    const char *arg; /* placeholder of the value, "N"; CLI_CHOICE: "json|text" */
    const char *help;
    uint64_t min, max; /* CLI_COUNT; max 0: 2^32 - 2 */
} cli_flag;

typedef struct cli_value {
    const char *text; /* NULL: not given */
    bool on;
    uint64_t count;
    double number;
} cli_value;

#define CLI_MAX_FLAGS 48
#define CLI_MAX_LIST  256

typedef struct cli cli;

typedef struct cli_command {
    const char *name;
    const char *summary;  /* one line, no period */
    const char *operands; /* "QUERY...", "[DIR...]", "" */
    cli_kind operand_kind;
    unsigned min_operands, max_operands;
    const char *examples;         /* lines "ilk ...\twhat it does\n" */
    const char *about;            /* paragraphs; a blank line between two */
    const cli_flag *const *flags; /* tables, NULL at the end; the common one is added to all */
    int (*run)(cli *c);
} cli_command;

extern const cli_command *const cli_commands[]; /* commands.c: NULL at the end, in the order of help */
extern const cli_flag cli_common_flags[];       /* every command has them */
extern const cli_flag cli_model_flags[], cli_store_flags[], cli_record_flags[];

/* One line of a configuration file, already checked. */
typedef struct cli_setting {
    char *key, *value;
    const char *file; /* c->user_config or c->folder_config */
    unsigned line;
} cli_setting;

struct cli {
    const cli_command *command;
    const cli_flag *flags[CLI_MAX_FLAGS];
    cli_value values[CLI_MAX_FLAGS];
    size_t n_flags;
    const char **operands;
    size_t n_operands;
    struct {
        const cli_flag *flag;
        const char *text;
    } list[CLI_MAX_LIST];
    size_t n_list;

    cli_setting *settings;
    size_t n_settings;
    char *user_config, *folder_config; /* the files that were read; NULL: none */

    cli_out out;
    bool quiet, verbose;
    ilk_runtime *rt;
    ilk_job *job;
    ilk_error err;
};

/* ---- flags.c */
const cli_command *cli_command_find(const char *name);
/* Lays the command's tables flat into c->flags. */
void cli_flags_collect(cli *c, const cli_command *command);
/* Fills values and operands; on an error a message has been printed. */
bool cli_flags_parse(cli *c, int argc, char **argv);
/* Values by long name, which must be in one of the command's tables. */
const char *cli_text(const cli *c, const char *name); /* NULL: not given */
bool cli_on(const cli *c, const char *name);
bool cli_given(const cli *c, const char *name);
uint64_t cli_count(const cli *c, const char *name, uint64_t otherwise);
double cli_number(const cli *c, const char *name, double otherwise);
/* The words of a CLI_CHOICE one by one: false at the end. */
bool cli_choice_next(const char **words, const char **word, size_t *n);
bool cli_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* ---- suggest.c: the nearest of the words offered so far, if near enough to be meant */
typedef struct cli_suggestion {
    const char *wanted, *best;
    size_t distance;
} cli_suggestion;
void cli_suggest(cli_suggestion *s, const char *candidate);

/* ---- help.c, help_man.c, help_shell.c: text generated from the tables, to stdout */
void cli_help_short(ilki_buf *b);
void cli_help_all(cli *c);
void cli_help_command(cli *c, const cli_command *command);
void cli_help_man(cli *c);
bool cli_help_completions(cli *c, const char *shell);
/* All flags of a command, the common ones last; returns their number. */
size_t cli_command_flags(const cli_command *command, const cli_flag *flags[CLI_MAX_FLAGS]);

/* ---- settings.c: flag, then environment, then the folder's config, then the user's */
void cli_config_read_user(cli *c);
/* `store`/config: chunking, ignore rules and a model id only, since a downloaded folder must not point ilk anywhere. */
void cli_config_read_folder(cli *c, const char *store);
/* The text that is in force for a setting, NULL: none; *from (may be NULL) gets where it stands, for messages. */
const char *cli_setting_text(const cli *c, const char *name, const char **from);
/* The same as a count or a switch. False: not well-formed, a message has been printed. */
bool cli_setting_count(cli *c, const char *name, uint64_t min, uint64_t max, uint64_t *out);
bool cli_setting_on(cli *c, const char *name, bool *out);
/* All values of a setting that may be given more than once, of every place, up to n; returns how many. */
size_t cli_setting_list(const cli *c, const char *name, const char **out, size_t n);
/* What the command line alone has given, of a CLI_LIST or CLI_MODEL. */
size_t cli_given_list(const cli *c, const char *name, const char **out, size_t n);

/* ---- session.c: runtime, job, model; on an error a message has been printed */
bool cli_open_runtime(cli *c);
bool cli_open_model(cli *c, const char *where, ilk_model **m);
void cli_close(cli *c);
/* Prints err, returns CLI_FAILED; nothing is printed for a cancelled job. */
int cli_fail_err(cli *c);

#endif
