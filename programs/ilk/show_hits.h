/* SPDX-License-Identifier: Apache-2.0
 * Hits as records, paths, tab-separated lines, or for people. */
#ifndef CLI_SHOW_HITS_H
#define CLI_SHOW_HITS_H

#include "cli/choose.h"
#include "question.h"

extern const cli_flag cli_hit_flags[];

/* k and the least score, from the flags. */
void cli_hits_query(cli *c, ilk_query *q);

/* False, and told, where the flags ask for two forms of output at once. */
bool cli_hits_one_form(cli *c);

/* Prints the hits of the first query by the flags. The words of `question` and `m` (each may be NULL) serve to find the
 * best sentence. Returns CLI_FOUND or CLI_NOTHING. */
int cli_hits_show(cli *c, const cli_place *p, ilk_store *s, const ilk_hits *h, const cli_question *question,
                  ilk_model *m);

void cli_add_base64(ilki_buf *b, const void *data, size_t n);

/* The members of a path in JSON, as it can be opened from here: `path`, and `path_bytes` where that is not UTF-8. */
void cli_json_path(ilki_jsonw *w, const cli_place *p, const char *path);

/* ---- details.c: what is known of a picture, in a line: size, date, camera, place */

/* As stored: to be escaped for where it goes. */
void cli_hit_details(ilki_buf *b, const ilk_hit *h);
/* Microseconds since 1970 as "2026-01-31 12:00:00", or with `iso` "2026-01-31T12:00:00Z". */
void cli_time_text(ilki_buf *b, int64_t us, bool iso);
/* NULL: it has no such field, or of another type. */
const ilk_value *cli_hit_field(const ilk_hit *h, const char *name, ilk_value_type type);

/* ---- contact_sheet.c: --html */

/* Writes n hits of the store as one HTML file that stands for itself. False: a message has been printed. */
bool cli_contact_sheet(cli *c, const cli_place *p, ilk_store *s, const ilk_hit *hits, size_t n,
                       const cli_question *question);

/* ---- excerpt.c: a few lines of a passage, around the sentence that answers best */

typedef struct cli_sentence {
    uint32_t start, end; /* bytes of the text */
    uint32_t text;       /* which */
    float score;
} cli_sentence;

/* A passage as it is shown: one paragraph, or lines of code; harmless to a terminal. */
void cli_excerpt_clean(ilki_buf *b, const char *text, bool code);
/* Sentences of a text that was cleaned, up to max; returns how many. */
size_t cli_excerpt_split(const char *s, size_t n, uint32_t text, cli_sentence *out, size_t max);
/* Scores sentences against the query, by meaning where that is quick, else by shared words. */
void cli_excerpt_score(cli *c, ilk_model *m, const char *query, const char *const *texts, cli_sentence *s, size_t n);
/* Prints at most `lines` lines; `best` (or NULL) is where they begin, set off by weight. */
void cli_excerpt_put(cli *c, const char *s, size_t n, const cli_sentence *best, unsigned lines);

#endif
