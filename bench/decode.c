/* SPDX-License-Identifier: Apache-2.0
 * What the sandbox costs: the rate of decoding through helpers, as a model meets it, beside that of the same decoders called
 * here, in turns: bench_decode HELPER THREADS SECONDS FILE ... Every thread goes through all files again and again. Prints
 * files a second of both, the best of all turns, and the cost. The decoder called here takes memory for its pixels anew for
 * each file, as a program would; with REUSE in the environment it keeps that of the largest, as a helper does. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/vfs.h"
#include "media/decode.h"
#include "picture.h"

enum { MAX_FILES = 64, MAX_THREADS = 64, TURNS = 10 };

typedef struct bench {
    ilki_media *m;
    char *data[MAX_FILES];
    size_t n[MAX_FILES], n_files;
    bool reuse, by_helper, over;
    uint64_t until;
    pthread_barrier_t begin,
        end; /* of a turn; a helper lives no longer than the thread that started it, so they stay */
} bench;

typedef struct worker {
    bench *b;
    pthread_t thread;
    unsigned char *room;
    size_t n_done;
    ilk_error err;
} worker;

static ilk_status decode_here(worker *w, size_t i)
{
    const bench *b = w->b;
    media_picture p = {.room = w->room};
    const unsigned char *data = (const unsigned char *)b->data[i];
    const media_reader *r = media_reader_find("", data, b->n[i]);
    ilk_status st = r && r->picture ? r->picture(&p, data, b->n[i], &w->err) : ILK_UNSUPPORTED;
    st = st == ILK_OK ? media_picture_orient(&p, &w->err) : st;
    media_picture_end(&p);
    return st;
}

static ilk_status decode_there(worker *w, size_t i)
{
    const bench *b = w->b;
    ilki_media_picture p;
    ilk_status st = ilki_media_read_picture(b->m, b->data[i], b->n[i], ILKI_MEDIA_TURNED, NULL, &p, &w->err);
    ilki_media_end_picture(b->m, &p);
    return st;
}

static void *work(void *arg)
{
    worker *w = arg;
    bench *b = w->b;
    ilk_status st = ILK_OK;
    for (;;) {
        pthread_barrier_wait(&b->begin);
        if (b->over)
            return NULL;
        w->n_done = 0;
        for (size_t i = 0; st == ILK_OK && ilki_base_now_ns() < b->until; i = (i + 1) % b->n_files, w->n_done++)
            st = b->by_helper ? decode_there(w, i) : decode_here(w, i);
        pthread_barrier_wait(&b->end);
    }
}

/* Files a second. */
static double turn(bench *b, worker *w, size_t n_threads, double seconds)
{
    uint64_t start = ilki_base_now_ns();
    size_t n = 0;
    b->until = start + (uint64_t)(seconds * 1e9);
    pthread_barrier_wait(&b->begin);
    pthread_barrier_wait(&b->end);
    for (size_t t = 0; t < n_threads; t++)
        n += w[t].n_done;
    return (double)n * 1e9 / (double)(ilki_base_now_ns() - start);
}

static int run(bench *b, size_t n_threads, double seconds)
{
    static worker workers[MAX_THREADS];
    double best[2] = {0, 0};
    pthread_barrier_init(&b->begin, NULL, (unsigned)n_threads + 1);
    pthread_barrier_init(&b->end, NULL, (unsigned)n_threads + 1);
    for (size_t t = 0; t < n_threads; t++) {
        workers[t].b = b;
        workers[t].room = b->reuse ? malloc(ILKI_MEDIA_WINDOW) : NULL;
        ilk_error_init_sized(&workers[t].err, sizeof workers[t].err);
        pthread_create(&workers[t].thread, NULL, work, &workers[t]);
    }
    for (int i = 0; i < 2 * TURNS; i++) {
        b->by_helper = i % 2;
        double rate = turn(b, workers, n_threads, seconds / (2 * TURNS));
        best[i % 2] = rate > best[i % 2] ? rate : best[i % 2];
    }
    b->over = true;
    pthread_barrier_wait(&b->begin);
    for (size_t t = 0; t < n_threads; t++) {
        pthread_join(workers[t].thread, NULL);
        free(workers[t].room);
        if (workers[t].err.message[0])
            printf("bench_decode: %s\n", workers[t].err.message);
    }
    printf("here %.1f files/s, by helpers %.1f: %+.1f %%\n", best[0], best[1], (best[1] / best[0] - 1) * 100);
    return 0;
}

int main(int argc, char **argv)
{
    bench b = {.reuse = getenv("REUSE") != NULL};
    size_t n_threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    ilk_error err;
    ilk_error_init(&err);
    if (argc < 5 || n_threads < 1 || n_threads > MAX_THREADS || argc - 4 > MAX_FILES) {
        fprintf(stderr, "usage: bench_decode HELPER THREADS SECONDS FILE ...\n");
        return 2;
    }
    ilk_status st = ilki_media_new(&b.m, argv[1], &(ilki_media_limits){.max_processes = (uint32_t)n_threads}, &err);
    for (int i = 4; i < argc && st == ILK_OK; i++, b.n_files++)
        st = ilki_base_read_file(&ilki_base_vfs_posix, argv[i], (size_t)256 << 20, &b.data[b.n_files], &b.n[b.n_files],
                                 &err);
    if (st == ILK_OK)
        run(&b, n_threads, strtod(argv[3], NULL));
    else
        fprintf(stderr, "bench_decode: %s\n", err.message);
    for (size_t i = 0; i < b.n_files; i++)
        free(b.data[i]);
    ilki_media_free(b.m);
    return st != ILK_OK;
}
