/* SPDX-License-Identifier: Apache-2.0
 * Where vectors go: standard output, or a file that appears under its name only when it is whole. */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include "cli.h"

typedef enum cli_sink_kind { CLI_SINK_JSONL, CLI_SINK_NPY, CLI_SINK_F32 } cli_sink_kind;

typedef struct cli_sink {
    cli *c;
    cli_sink_kind kind;
    char *path, *temporary; /* NULL: standard output; NULL: written in place, since it is no regular file */
    int fd;                 /* -1 while not open */
    ilki_buf buf;
    size_t dim;
    uint64_t rows;
} cli_sink;

/* format: "jsonl", "npy", "f32". False: a message has been printed. */
bool cli_sink_init(cli_sink *s, cli *c, const char *format, const char *path);
ilk_status cli_sink_open(cli_sink *s, size_t dim, ilk_error *err);
ilki_buf *cli_sink_buf(cli_sink *s); /* for text */
void cli_sink_floats(cli_sink *s, const float *v, size_t n);
void cli_sink_zeros(cli_sink *s);
ilk_status cli_sink_flush(cli_sink *s, ilk_error *err);
/* Completes the file: header, sync, rename. */
ilk_status cli_sink_close(cli_sink *s, ilk_error *err);
/* What was not closed is removed. */
void cli_sink_deinit(cli_sink *s);

#endif
