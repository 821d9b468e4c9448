/* SPDX-License-Identifier: Apache-2.0
 * Texts from files and standard input, in batches of bounded memory: one a line, one a file, or JSON records
 * {"id", "text"} where text is a string or a list of strings. With `by_kind` also pictures, one a file, and documents, a
 * record for each passage; JSON records may then have "image" (paths) or "parts" in order. */
#ifndef CLI_RECORDS_H
#define CLI_RECORDS_H

#include "cli.h"

#define CLI_BATCH_RECORDS 2048
#define CLI_BATCH_BYTES   ((size_t)4 << 20)  /* of text; a batch ends behind the record that passes it */
#define CLI_RECORD_BYTES  ((size_t)32 << 20) /* one text */

typedef enum cli_records_kind { CLI_RECORDS_LINES, CLI_RECORDS_WHOLE, CLI_RECORDS_JSON } cli_records_kind;

/* Offsets and counts into the batch's buffers, since those move while they grow. */
typedef struct cli_record {
    size_t id, id_len;    /* JSON, in `ids`: a string or a number */
    size_t part, n_parts; /* in `parts` */
    const char *file;     /* for messages */
    uint64_t line;        /* 0: the whole file */
    bool bad;             /* not to be embedded; a message has been printed */
} cli_record;

typedef struct cli_records {
    cli *c;
    cli_records_kind kind;
    const char *const *files; /* "-" is standard input */
    size_t n_files, at_file;
    int fd; /* -1: none is open */
    char *buf;
    size_t len, from, cap; /* bytes read and not yet taken are buf[from, len) */
    uint64_t line;
    bool at_start, too_long; /* of the file; the rest of a line is being passed over */
    bool several;            /* ids name the file too */
    bool by_kind;            /* for `model`: set both behind cli_records_open */
    bool encoded;            /* the open file is a picture that is read as bytes */
    ilk_model *model;
    ilk_document *doc; /* that is being told; doc_at: its next passage */
    size_t doc_at;
    size_t n_unreadable;

    cli_record *list;
    size_t n;
    ilki_buf ids, text;
    ilk_part *parts; /* of the whole batch; data is set once the batch is complete */
    size_t n_parts, cap_parts;
} cli_records;

bool cli_records_open(cli_records *r, cli *c, cli_records_kind kind, const char *const *files, size_t n_files);
/* The next batch, as large as there is or as has come in so far. False at the end, when a signal came, and when memory
 * is short (then c->err says so). */
bool cli_records_next(cli_records *r);
void cli_records_close(cli_records *r);

/* "FILE:LINE" or "FILE" of a record. */
void cli_record_name(const cli_record *rec, char *to, size_t n);

#endif
