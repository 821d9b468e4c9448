/* SPDX-License-Identifier: Apache-2.0
 * Included at the end of a fuzz target. With ILK_FUZZ it is empty: libFuzzer brings its own main. Without, the target
 * is an ordinary test that runs each file of tests/fuzz/corpus/<stem>, then changes of them made by a fixed generator, for
 * ILK_FUZZ_RUNS inputs or two seconds (times ILK_TEST_SCALE, with another beginning). Arguments are files to run instead, as with libFuzzer. */
#ifndef ILK_FUZZ_MAIN_H
#define ILK_FUZZ_MAIN_H
#ifndef ILK_FUZZ

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "random.h"

#ifndef ILK_FUZZ_RUNS
#define ILK_FUZZ_RUNS 100000
#endif

enum { FUZZ_MAX_BYTES = 1 << 20, FUZZ_MAX_FILES = 1000, FUZZ_SECONDS = 2 };

typedef struct fuzz_input {
    uint8_t *data;
    size_t n;
} fuzz_input;

static int fuzz_read(const char *path, fuzz_input *in)
{
    FILE *f = fopen(path, "rbe");
    if (!f)
        return 0;
    in->data = malloc(FUZZ_MAX_BYTES);
    in->n = in->data ? fread(in->data, 1, FUZZ_MAX_BYTES, f) : 0;
    fclose(f);
    return in->data != NULL;
}

/* Runs a copy of exactly n bytes: the sanitizer sees the first byte read too far. */
static void fuzz_run(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (copy) {
        memcpy(copy, data, n);
        LLVMFuzzerTestOneInput(copy, n);
    }
    free(copy);
}

/* One to eight changes: a byte set, a bit turned, a stretch dropped, doubled, or taken from another input, a cut. */
static size_t fuzz_mutate(uint8_t *out, const fuzz_input *in, const fuzz_input *other, uint64_t *rng)
{
    static const uint8_t special[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\\', '{', '}', '[', ']', ',', '0', '-', 'e', '\n'};
    size_t n = in->n < FUZZ_MAX_BYTES ? in->n : FUZZ_MAX_BYTES;
    memcpy(out, in->data, n);
    for (uint64_t left = 1 + test_random(rng) % 8; left > 0; left--) {
        uint64_t r = test_random(rng);
        size_t at = n ? (r >> 8) % n : 0, len = 1 + (r >> 40) % 16;
        if (n == 0 || (r % 6 == 0 && other->n > 0)) {
            size_t from = other->n ? (r >> 20) % other->n : 0;
            len = len < other->n - from ? len : other->n - from;
            len = len < FUZZ_MAX_BYTES - at ? len : FUZZ_MAX_BYTES - at;
            memcpy(out + at, other->data + from, len);
            n = n > at + len ? n : at + len;
        } else if (r % 6 == 1) {
            out[at] = special[(r >> 50) % sizeof special];
        } else if (r % 6 == 2) {
            out[at] ^= (uint8_t)(1 << (r >> 50) % 8);
        } else if (r % 6 == 3) {
            len = len < n - at ? len : n - at;
            memmove(out + at, out + at + len, n - at - len);
            n -= len;
        } else if (r % 6 == 4 && n + len <= FUZZ_MAX_BYTES) {
            memmove(out + at + len, out + at, n - at);
            n += len;
        } else if (r % 97 == 5) {
            n = at;
        }
    }
    return n;
}

static int fuzz_files(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        fuzz_input in = {0};
        if (!fuzz_read(argv[i], &in))
            return 2;
        fuzz_run(in.data, in.n);
        free(in.data);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static fuzz_input files[FUZZ_MAX_FILES];
    const char *dir = ILK_TEST_DIR "/fuzz/corpus/" ILK_FUZZ_STEM;
    size_t n_files = 0, n_runs = 0, scale = test_scale();
    uint64_t rng = test_scale();
    char path[4096];
    if (argc > 1)
        return fuzz_files(argc, argv);
    DIR *d = opendir(dir);
    for (struct dirent *e; d && n_files < FUZZ_MAX_FILES && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.' && fuzz_read(path, &files[n_files]))
            n_files++;
    }
    if (d)
        closedir(d);
    uint8_t *out = malloc(FUZZ_MAX_BYTES);
    if (n_files == 0 || !out) {
        printf("FAILED: no corpus in %s\n", dir);
        return 1;
    }
    for (size_t i = 0; i < n_files; i++)
        fuzz_run(files[i].data, files[i].n);
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (now = start; n_runs < ILK_FUZZ_RUNS * scale && now.tv_sec - start.tv_sec < (time_t)(FUZZ_SECONDS * scale);
         n_runs++) {
        const fuzz_input *in = &files[test_random(&rng) % n_files], *other = &files[test_random(&rng) % n_files];
        fuzz_run(out, fuzz_mutate(out, in, other, &rng));
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    printf("%zu files of the corpus, %zu changes of them\n", n_files, n_runs);
    for (size_t i = 0; i < n_files; i++)
        free(files[i].data);
    free(out);
    return 0;
}

#endif
#endif
