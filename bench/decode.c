/* SPDX-License-Identifier: Apache-2.0
 * What the sandbox costs: the rate of decoding by helpers in a series, as a folder of pictures is read, beside that of the
 * same decoders called here, in turns: bench_decode HELPER THREADS SECONDS FILE ... The threads share out the files again
 * and again. Prints files a second of both, the best of all turns, and the cost. The decoder called here takes memory for
 * its pixels anew for each file, as a program would; with REUSE in the environment it keeps that of the largest, as a
 * helper does. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/vfs.h"
#include "media/series.h"
#include "picture.h"

enum { MAX_FILES = 64, MAX_THREADS = 64, TURNS = 10 };

typedef struct bench {
    ilki_media *m;
    char *data[MAX_FILES];
    size_t n[MAX_FILES], n_files;
    bool reuse, by_helper, over;
    ilki_media_series *series;
    size_t n_turn;      /* files of a turn */
    atomic_size_t next; /* of them, decoded here */
    pthread_barrier_t begin,
        end; /* of a turn; a helper lives no longer than the thread that started it, so they stay */
} bench;

typedef struct worker {
    bench *b;
    pthread_t thread;
    unsigned char *room;
    ilk_error err;
} worker;

static ilk_status wish(void *user, size_t i, ilki_media_wish *out, ilk_error *err)
{
    const bench *b = user;
    (void)err;
    *out = (ilki_media_wish){b->data[i % b->n_files], b->n[i % b->n_files], ILKI_MEDIA_TURNED};
    return ILK_OK;
}

/* False: none is left. */
static bool decode_here(worker *w)
{
    bench *b = w->b;
    size_t i = atomic_fetch_add(&b->next, 1);
    media_picture p = {.room = w->room};
    if (i >= b->n_turn)
        return false;
    const unsigned char *data = (const unsigned char *)b->data[i % b->n_files];
    const media_reader *r = media_reader_find("", data, b->n[i % b->n_files]);
    ilk_status st = r && r->picture && !media_reader_lacks(r) ? r->picture(&p, data, b->n[i % b->n_files], &w->err)
                                                              : ILK_UNSUPPORTED;
    st = st == ILK_OK ? media_picture_orient(&p, &w->err) : st;
    media_picture_end(&p);
    return st == ILK_OK;
}

static bool decode_there(worker *w)
{
    ilki_media_picture p;
    size_t i;
    ilk_status st = ilki_media_series_next(w->b->series, NULL, &i, &p, &w->err);
    if (i == SIZE_MAX || st != ILK_OK)
        return false;
    ilki_media_series_end_picture(w->b->series, &p);
    return true;
}

static void *work(void *arg)
{
    worker *w = arg;
    bench *b = w->b;
    for (;;) {
        pthread_barrier_wait(&b->begin);
        if (b->over)
            return NULL;
        while (b->by_helper ? decode_there(w) : decode_here(w))
            ;
        pthread_barrier_wait(&b->end);
    }
}

/* Files a second, of n. */
static double turn(bench *b, bool by_helper, size_t n, ilk_error *err)
{
    b->by_helper = by_helper;
    b->n_turn = n;
    b->next = 0;
    if (ilki_media_series_new(&b->series, b->m, n, wish, b, err) != ILK_OK)
        return 0;
    uint64_t start = ilki_base_now_ns();
    pthread_barrier_wait(&b->begin);
    pthread_barrier_wait(&b->end);
    double rate = (double)n * 1e9 / (double)(ilki_base_now_ns() - start);
    ilki_media_series_free(b->series);
    return rate;
}

static int run(bench *b, size_t n_threads, double seconds)
{
    static worker workers[MAX_THREADS];
    double best[2] = {0, 0};
    ilk_error err;
    ilk_error_init(&err);
    pthread_barrier_init(&b->begin, NULL, (unsigned)n_threads + 1);
    pthread_barrier_init(&b->end, NULL, (unsigned)n_threads + 1);
    for (size_t t = 0; t < n_threads; t++) {
        workers[t].b = b;
        workers[t].room = b->reuse ? malloc(ILKI_MEDIA_WINDOW) : NULL;
        ilk_error_init_sized(&workers[t].err, sizeof workers[t].err);
        pthread_create(&workers[t].thread, NULL, work, &workers[t]);
    }
    (void)turn(b, true, b->n_files, &err); /* the helpers start */
    size_t n = (size_t)(turn(b, false, b->n_files, &err) * seconds / (2 * TURNS)) + 1;
    for (int i = 0; i < 2 * TURNS; i++) {
        double rate = turn(b, i % 2, n, &err);
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
    media_readers_prepare(true);
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
