/* SPDX-License-Identifier: Apache-2.0
 * Folders of golden values, and values against those of a reference: what golden/checkpoints, golden/towers and
 * golden/families share. */
#ifndef ILK_TEST_STAGES_H
#define ILK_TEST_STAGES_H

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/format.h"
#include "test.h"

#define HIDDEN_ABS 1e-5 /* hidden states are of the order of one; rounding of a dozen layers, on either side */
#define HIDDEN_REL 1e-5
#define VECTOR_ABS 5e-6 /* entries of a unit vector; of another, in proportion to its length */

typedef struct numbers {
    float *x; /* NULL: absent; freed with free() */
    size_t n;
} numbers;

/* The tensor "KIND.I", or "KIND" where i is below 0. */
static inline numbers read_numbers(const ilki_weights *w, const char *kind, int i)
{
    char name[64];
    numbers to = {0};
    snprintf(name, sizeof name, i < 0 ? "%s" : "%s.%d", kind, i);
    const ilki_tensor *t = ilki_format_find(w, name);
    if (!t || !ilki_tensor_count(t, &to.n))
        return (numbers){0};
    to.x = malloc((to.n + 1) * sizeof *to.x);
    if (CHECK(to.x != NULL) && CHECK_OK(ilki_tensor_read_f32(t, 0, to.n, to.x, NULL), NULL))
        return to;
    free(to.x);
    return (numbers){0};
}

/* `what` of a stage, within abs + rel times the reference's value. */
static inline bool is_near(const float *got, const float *want, size_t n, double abs, double rel, const char *what,
                           const char *dir, int input, int layer)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double over = fabs((double)got[i] - (double)want[i]) / (abs + rel * fabs((double)want[i]));
        worst = over > worst || isnan(over) ? over : worst;
    }
    return CHECK_THAT(worst <= 1, "%s: input %d: %s %d: %.2f times the bound", dir, input, what, layer, worst);
}

/* to length one, so that a bound on entries means the same for every checkpoint */
static inline void make_unit(float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (size_t i = 0; i < n && sum > 0; i++)
        x[i] = (float)((double)x[i] / sqrt(sum));
}

/* Every folder of tests/fixtures that has `file`, at least `least` of them; or of what ILK_TEST_FIXTURES names. */
static inline void each_golden(const char *file, void (*check)(const char *dir), int least)
{
    const char *other = getenv("ILK_TEST_FIXTURES"), *root = other ? other : ILK_TEST_DIR "/fixtures";
    int n = 0;
    DIR *d = opendir(root);
    REQUIRE(CHECK(d != NULL));
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char dir[1024], path[1100];
        snprintf(dir, sizeof dir, "%s/%s", root, e->d_name);
        snprintf(path, sizeof path, "%s/%s", dir, file);
        FILE *f = fopen(path, "rb");
        if (!f)
            continue;
        fclose(f);
        check(dir);
        n++;
    }
    closedir(d);
    CHECK_THAT(n >= (other ? 1 : least), "%d folders with a %s, want %d", n, file, other ? 1 : least);
}

#endif
