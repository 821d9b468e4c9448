/* SPDX-License-Identifier: Apache-2.0
 * ilk-media, the helper program of libilk (src/media/protocol.h). Roles:
 *   serve memory=BYTES cpu=SECONDS [heavy] reads files for a client, inside the sandbox, until the client ends; heavy: with
 *                                          the decoders that take long to load
 *   convert NAME cpu=SECONDS output=BYTES  becomes a converter for one file, under limits
 *   try WHAT                               enters the sandbox and tries what it forbids (trial.c); for tests
 * Nobody starts it by hand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "readers.h"
#include "request.h"
#include "sandbox.h"
#include "trial.h"

enum { FAILED = 2, NO_PROGRAM = 127 };

/* The number of an argument "name=NUMBER"; 0: there is none. */
static uint64_t number_of(int argc, char **argv, const char *name)
{
    size_t n = strlen(name);
    for (int i = 2; i < argc; i++)
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=')
            return strtoull(argv[i] + n + 1, NULL, 10);
    return 0;
}

/* ------------------------------------------------------------------ serve */

static void add_row(ilki_media_hello *h, const char *name, const char *lacks)
{
    if (h->n_rows == ILKI_MEDIA_MAX_ROWS)
        return;
    ilki_media_row *r = &h->rows[h->n_rows++];
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(r->lacks, sizeof r->lacks, "%s", lacks ? lacks : "");
}

/* A reader that is for other helpers is not listed. */
static void describe(ilki_media_hello *h, bool heavy)
{
    for (size_t i = 0; i < media_n_readers; i++)
        if (heavy || !media_readers[i]->library)
            add_row(h, media_readers[i]->name, media_reader_lacks(media_readers[i]));
    for (size_t i = 0; i < media_n_converters; i++) {
        char *path = media_converter_path(&media_converters[i]);
        add_row(h, media_converters[i].name, path ? NULL : media_converters[i].argv[0]);
        free(path);
    }
}

static int serve_all(const ilki_media_hello *hello, unsigned char *slots)
{
    static ilki_media_answer answer;
    ilki_media_wire wire = {.sock = ILKI_MEDIA_SOCKET_FD};
    ilki_buf in, out;
    ilki_base_buf_init(&in, ILKI_MEDIA_FRAME + 1);
    ilki_base_buf_init(&out, ILKI_MEDIA_FRAME + 1);
    ilki_media_put_hello(&out, hello);
    bool ok = !out.failed && ilki_media_send(&wire, ilki_base_buf_view(&out), out.len, -1);
    int input;
    while (ok && ilki_media_receive(&wire, &in, &input)) {
        media_answer(&in, input, slots, &answer);
        if (input >= 0)
            close(input);
        ilki_base_buf_reset(&out);
        ilki_media_put_answer(&out, &answer);
        ok = !out.failed && ilki_media_send(&wire, ilki_base_buf_view(&out), out.len, -1);
    }
    ilki_base_buf_deinit(&in);
    ilki_base_buf_deinit(&out);
    return 0; /* the client has gone: the ordinary end */
}

static int serve(int argc, char **argv)
{
    static ilki_media_hello hello;
    uint64_t memory = number_of(argc, argv, "memory");
    bool heavy = argc > 2 && strcmp(argv[argc - 1], "heavy") == 0;
    media_close_from(ILKI_MEDIA_WINDOW_FD + 1);
    const size_t n_window = (size_t)ILKI_MEDIA_SLOTS * ILKI_MEDIA_SLOT_BYTES;
    void *slots = mmap(NULL, n_window, PROT_READ | PROT_WRITE, MAP_SHARED, ILKI_MEDIA_WINDOW_FD, 0);
    if (slots == MAP_FAILED)
        return FAILED;
    media_readers_prepare(heavy);
    describe(&hello, heavy);
    if (!media_limit(memory ? memory + n_window : 0, number_of(argc, argv, "cpu"), 0))
        return FAILED;
    hello.sandbox = media_lock(hello.note, sizeof hello.note);
    return serve_all(&hello, slots);
}

/* ------------------------------------------------------------------ convert */

/* The word of an argument "language=WORD" where it is one of tesseract's, as "eng+deu"; else the usual one. */
static const char *language_of(int argc, char **argv)
{
    static const char name[] = "language=", letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_+";
    for (int i = 2; i < argc; i++)
        if (strncmp(argv[i], name, sizeof name - 1) == 0) {
            const char *word = argv[i] + sizeof name - 1;
            return *word && *word != '+' && word[strspn(word, letters)] == '\0' ? word : media_language;
        }
    return media_language;
}

static int convert(int argc, char **argv)
{
    enum { MAX_ARGS = 16 };
    const char *args[MAX_ARGS] = {NULL};
    const media_converter *c = NULL;
    char note[200];
    for (size_t i = 0; i < media_n_converters; i++)
        if (strcmp(media_converters[i].name, argv[2]) == 0)
            c = &media_converters[i];
    char *path = c ? media_converter_path(c) : NULL;
    if (!path) {
        fprintf(stderr, "no converter %s\n", argv[2]);
        return NO_PROGRAM;
    }
    media_close_from(ILKI_MEDIA_SOCKET_FD);
    if (!media_limit(c->memory_bytes, number_of(argc, argv, "cpu"), number_of(argc, argv, "output"))) {
        fprintf(stderr, "limits: %s\n", strerror(errno));
        return FAILED;
    }
    setenv("OMP_THREAD_LIMIT", "1", 1); /* the pool of whoever asks has the CPUs */
    for (size_t i = 0; i + 1 < MAX_ARGS && c->argv[i]; i++)
        args[i] = c->argv[i] == media_language ? language_of(argc, argv) : c->argv[i];
    media_lock_for(path, note, sizeof note);
    execv(path, (char *const *)(uintptr_t)args);
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return NO_PROGRAM;
}

int main(int argc, char **argv)
{
    const char *role = argc > 1 ? argv[1] : "";
    if (strcmp(role, "serve") == 0)
        return serve(argc, argv);
    if (strcmp(role, "convert") == 0 && argc > 2)
        return convert(argc, argv);
    if (strcmp(role, "try") == 0 && argc > 2)
        return media_try(argv[2]);
    fprintf(stderr, "ilk-media is started by ilk, to read files in a sandbox. See ilk doctor.\n");
    return FAILED;
}
