/* SPDX-License-Identifier: Apache-2.0
 * Standard output is data, standard error is everything else. Output is buffered; the terminal is protected from control
 * characters; the progress line is wiped before anything else is written. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"

typedef struct cli cli;

typedef struct cli_out {
    ilki_buf buf;
    bool out_terminal, err_terminal;
    bool color, err_color; /* may be coloured */
    bool utf8;             /* the terminal shows more than ASCII */
    bool progress_shown;
    bool closed; /* nobody reads standard output any more: end quietly */
    bool failed; /* it could not be written: a message has been printed */
} cli_out;

/* Makes descriptors 0 to 2 exist, looks what they are. */
void cli_out_init(cli *c);
/* --color, NO_COLOR and TERM decide; `when` is "auto", "always" or "never". */
void cli_out_set_color(cli *c, const char *when);
void cli_put(cli *c, const char *s, size_t n);
void cli_puts(cli *c, const char *s);
void cli_putf(cli *c, const char *fmt, ...) ILKI_PRINTF(2, 3);
/* Writes what is buffered. False once output is closed or failed: stop producing. */
bool cli_flush(cli *c);
bool cli_out_ok(const cli *c);
int cli_columns(int fd); /* width of the terminal; 80 where unknown */

/* Starts and ends a colour on standard output: SGR parameters as "1;32". Nothing where there is no colour. */
void cli_color(cli *c, const char *sgr);

/* One "name value" line: aligned on a terminal, separated by a tab elsewhere; the value is escaped. */
void cli_field(cli *c, const char *name, const char *fmt, ...) ILKI_PRINTF(3, 4);
/* Prints the document or line that was written into b, with a newline behind; frees b. */
void cli_put_json(cli *c, ilki_buf *b);
/* A member of the object that is open. NULL, and a number that is not finite, become null. */
void cli_json_string(ilki_jsonw *w, const char *key, const char *value);
void cli_json_uint(ilki_jsonw *w, const char *key, uint64_t value);
void cli_json_number(ilki_jsonw *w, const char *key, double value);
void cli_json_bool(ilki_jsonw *w, const char *key, bool value);

/* To standard error, "ilk: " before and a newline behind. note: not with --quiet. */
void cli_note(cli *c, const char *fmt, ...) ILKI_PRINTF(2, 3);
void cli_warn(cli *c, const char *fmt, ...) ILKI_PRINTF(2, 3);
int cli_fail(cli *c, const char *fmt, ...) ILKI_PRINTF(2, 3);  /* returns CLI_FAILED */
int cli_usage(cli *c, const char *fmt, ...) ILKI_PRINTF(2, 3); /* and points to --help */

/* Asks on a terminal, "[Y/n]" or "[y/N]" by what an empty answer means; elsewhere, and without an answer, false. */
bool cli_ask(cli *c, bool otherwise, const char *question);

/* ---- text.c: what a terminal shows */

/* Appends s so that it cannot steer a terminal: control and bidirectional characters as \x1b or \u202e, invalid bytes as
 * \xff. `keep` are ASCII characters passed as they are ("\n"). */
void cli_escape(ilki_buf *b, const char *s, size_t n, const char *keep);
/* For one field of a tab-separated line: \t \n \r \\ escaped, the rest as it is. */
void cli_escape_tsv(ilki_buf *b, const char *s, size_t n);
size_t cli_cells(const char *s, size_t n); /* columns on a terminal; wide characters take two */
/* Bytes of s that fit into `cells`, without cutting a character or parting it from its marks. */
size_t cli_fit(const char *s, size_t n, size_t cells);
/* One line of s for at most `cells`: ends at a blank, or between wide characters; *next is where to go on. */
size_t cli_wrap(const char *s, size_t n, size_t cells, size_t *next);
/* Quotes for a shell where needed: for commands that the user may copy. */
void cli_quote(ilki_buf *b, const char *s);

/* ---- progress.c */
#define CLI_PROGRESS_AFTER_NS 1000000000u
struct ilk_progress;
void cli_progress_tick(void *user, const struct ilk_progress *p); /* an ilk_progress_fn; user: cli */
void cli_progress_erase(cli *c);

/* ---- signals.c: SIGINT, SIGTERM and SIGHUP cancel the job, a second one ends at once */
void cli_signals_install(void);
void cli_signals_watch(void *job);                 /* ilk_job *; NULL: none */
void cli_signals_remove_on_exit(const char *path); /* a temporary file, for the second signal; NULL: none */
int cli_signal_caught(void);                       /* its number, 0: none */

#endif
