/* SPDX-License-Identifier: Apache-2.0
 * The helpers of a runtime: processes of ilk-media that read what a hostile file could break. They are started when
 * somebody needs one, serve one request at a time, stay for the next, and are replaced after a number of files or when
 * they end, hang or lie. At most as many live as the runtime has threads; who finds all busy waits. Whatever happens to a
 * helper costs one file, told in err. Thread-safe; a job that is cancelled kills the helper that works for it at once. */
#ifndef ILKI_MEDIA_MEDIA_H
#define ILKI_MEDIA_MEDIA_H

#include "base/runtime.h"
#include "media/protocol.h"

typedef struct ilki_media ilki_media;

typedef struct ilki_media_limits {
    uint64_t memory_bytes; /* address space of a helper, the window apart; 0: 1 GiB */
    uint32_t cpu_seconds;  /* of a helper's whole life; 0: 600 */
    uint32_t max_files;    /* after which it is replaced; 0: 1024 */
    uint32_t max_processes;
} ilki_media_limits;

/* The runtime's own, made at the first call with its option media_helper; ends with the runtime. Starts nothing yet. */
ilk_status ilki_media_of(ilk_runtime *rt, ilki_media **out, ilk_error *err);

/* One apart from a runtime's. `helper`: its path, or NULL for beside this program or library, then its libexec; that none
 * is found is told by the first use. `limits` may be NULL but for max_processes, which is 1 then. */
ilk_status ilki_media_new(ilki_media **out, const char *helper, const ilki_media_limits *limits, ilk_error *err);
void ilki_media_free(ilki_media *m); /* when no thread uses it any more; kills and awaits what lives; NULL is fine */

const char *ilki_media_path(const ilki_media *m); /* of the helper; NULL: none was found */

/* What the helper says of itself when it has all its decoders; starts one where none has been. The hello lives as long as m.
 * UNSUPPORTED: there is no helper; IO: it does not start; else the job's end. */
ilk_status ilki_media_hello_of(ilki_media *m, ilk_job *job, const ilki_media_hello **out, ilk_error *err);

/* After a hello: what is read, as "html, epub", and what is not, with what the build lacks for it, as "heif (libheif)";
 * both live as long as m. */
void ilki_media_list(const ilki_media *m, const char **reads, const char **lacks);

/* OK where the helper has this reader or converter; UNSUPPORTED, "not supported by this build: …", where it has not. */
ilk_status ilki_media_check(ilki_media *m, const char *reader, ilk_job *job, ilk_error *err);

typedef struct ilki_media_result {
    ilki_media_answer about;   /* form, dimensions */
    unsigned char *data;       /* owned: about.n_bytes of it, then about.n_fields, with a NUL behind; or NULL, and */
    const unsigned char *view; /* the bytes where the helper wrote them, and might still write */
    struct ilki_media_process *lender; /* who waits until they are given back */
    unsigned slot;                     /* of its memory */
    struct ilki_media_lane *lane;      /* of a series, or NULL */
} ilki_media_result;

/* Runs a list of operations (protocol.h) on n bytes of a file, within `seconds` (0: 30). BAD_FORMAT, UNSUPPORTED, LIMIT:
 * what the helper says about the file, or how it failed at it; IO: no helper could be started; CANCELLED, DEADLINE. Free
 * result->data. */
ilk_status ilki_media_run(ilki_media *m, const void *data, size_t n, const ilki_buf *ops, double seconds, ilk_job *job,
                          ilki_media_result *result, ilk_error *err);

typedef struct ilki_media_converted {
    char *out; /* owned, NUL-terminated: what it wrote, as bytes of no known encoding */
    size_t n_out;
    int exit_status;
    char said[512]; /* the beginning of its error output, printable ASCII */
} ilki_media_converted;

/* The same, but pixels are not copied where that is not needed: result->view is for who does not mind if they change while
 * he looks. Whatever came is given back with the next call, and before this thread asks for more. */
ilk_status ilki_media_borrow(ilki_media *m, const void *data, size_t n, const ilki_buf *ops, double seconds,
                             ilk_job *job, ilki_media_result *result, ilk_error *err);
void ilki_media_give_back(ilki_media *m, ilki_media_result *result); /* frees data, too; may be zeroed */

/* Hands the bytes of a file to another's program, a row of programs/media/converters.c, that runs under limits of its own
 * for this one file. OK where it ended by itself, however; errors as above. Free result->out. */
ilk_status ilki_media_convert(ilki_media *m, const char *converter, const void *data, size_t n, size_t most_bytes,
                              double seconds, ilk_job *job, ilki_media_converted *result, ilk_error *err);

/* The same with all that can be said. */
typedef struct ilki_media_conversion {
    const char *converter;
    const char *language; /* of "ocr": as tesseract names them, "eng+deu"; NULL: its row's */
    const void *data;
    size_t n, most_bytes;
    double seconds; /* 0: 60 */
} ilki_media_conversion;
ilk_status ilki_media_convert_as(ilki_media *m, const ilki_media_conversion *c, ilk_job *job,
                                 ilki_media_converted *result, ilk_error *err);

#endif
