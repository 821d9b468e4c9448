/* SPDX-License-Identifier: Apache-2.0
 * What ilk-media reads: one row per reader in readers.c. A row whose library this build lacks stays in the table and says
 * so. Readers run inside the sandbox: they get bytes and memory, nothing else. They may use libraries that are not safe,
 * but stay within limits of their own wherever a size comes from the file. */
#ifndef ILK_MEDIA_READERS_H
#define ILK_MEDIA_READERS_H

#include "docs/docs.h"
#include "library.h"
#include "media/protocol.h"

typedef struct media_picture media_picture; /* picture.h */

typedef struct media_reader {
    const char *name;  /* what a client asks for */
    const char *lacks; /* NULL: it is built */
    /* Loaded by helpers that are asked for heavy decoders, and only those list the reader. NULL: what it needs is linked. */
    media_library *library;
    /* Once, before the sandbox is entered: what needs files (tables, modules). May be NULL. */
    void (*prepare)(void);
    /* Do these first bytes look like it? For a request that names no reader. May be NULL. */
    bool (*probe)(const unsigned char *head, size_t n);
    /* Fills an empty document: text, segments, title. NULL: not a document. Text of at most `most` bytes. */
    ilk_status (*text)(ilki_doc *doc, const unsigned char *data, size_t n, size_t most, ilk_error *err);
    /* Fills a zeroed picture, or its size alone where that is asked for. NULL: not a picture. The caller ends it. */
    ilk_status (*picture)(media_picture *p, const unsigned char *data, size_t n, ilk_error *err);
} media_reader;

extern const media_reader *const media_readers[];
extern const size_t media_n_readers;

/* Before the sandbox is entered: whatever the readers need, with heavy decoders or without. */
void media_readers_prepare(bool heavy);

/* What keeps it from reading; NULL: nothing. */
const char *media_reader_lacks(const media_reader *r);

const media_reader *media_reader_find(const char *name, const unsigned char *head, size_t n); /* NULL: none */

/* Programs of others that a client may have run for one file each: `ilk-media convert NAME`. Input at standard input,
 * output at standard output, both memory files. */
typedef struct media_converter {
    const char *name;
    const char *const *argv; /* argv[0]: looked for in PATH */
    uint64_t memory_bytes;   /* that it may have; 0: as much as there is */
} media_converter;

extern const char media_language[]; /* an argument that is this very string is replaced by language=WORD */

extern const media_converter media_converters[];
extern const size_t media_n_converters;

/* The program's file, freed with free(); NULL: it is not installed. */
char *media_converter_path(const media_converter *c);

#endif
