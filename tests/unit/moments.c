/* SPDX-License-Identifier: Apache-2.0
 * Fits of synthetic spaces: a true rotation is recovered, with an offset too; a ridge shrinks; sums do not depend on slices
 * or threads; and what a fit finds on pairs that stand in memory. */
#include "train/moments.h"

#include "test.h"
#include "train/held.h"

enum { N = 600, D = 24, E = 24, W = 30 };

static uint64_t state = 5;

static float noise(void)
{
    double sum = 0;
    for (int i = 0; i < 6; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        sum += (double)(state >> 40) / (1 << 24) - 0.5;
    }
    return (float)sum;
}

static float x[N * D], y[N * W];
static uint32_t index_of[4][N];
static uint32_t *const targets[ILKI_TRAIN_TARGETS] = {index_of[0], index_of[1], index_of[2], index_of[3]};

static void unit(float *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    for (size_t i = 0; i < n; i++)
        v[i] = (float)((double)v[i] / sqrt(sum));
}

/* y = x turned by a product of plane rotations (the first D entries), in e entries; the shuffles are rolls. */
static void make_spaces(size_t e, float offset)
{
    for (size_t i = 0; i < N; i++) {
        float *a = x + i * D, *b = y + i * e;
        for (size_t k = 0; k < D; k++)
            a[k] = noise();
        unit(a, D);
        memset(b, 0, e * sizeof *b);
        memcpy(b, a, D * sizeof *b);
        for (size_t k = 0; k + 1 < D; k++) {
            float c = cosf((float)k + 0.5f), s = sinf((float)k + 0.5f), p = b[k], q = b[k + 1];
            b[k] = c * p - s * q;
            b[k + 1] = s * p + c * q;
        }
        for (size_t k = 0; k < e; k++)
            b[k] += offset;
        for (int t = 0; t < 4; t++)
            index_of[t][i] = (uint32_t)((i + (size_t)t * 7) % N);
    }
}

static void add_all(ilki_moments *m, ilki_pool *pool, size_t e, size_t slice)
{
    uint32_t *part[ILKI_TRAIN_TARGETS];
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_train_moments_init(m, D, e, &err), &err);
    for (size_t i = 0; i < N; i += slice) {
        size_t n = N - i < slice ? N - i : slice;
        for (int t = 0; t < 4; t++)
            part[t] = targets[t] + i;
        CHECK_OK(ilki_train_moments_add(m, pool, x + i * D, y, n, part, NULL, &err), &err);
    }
}

static double worst_of(const ilki_fit *f)
{
    double worst = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < f->e; k++) {
            double sum = (double)f->bias[k];
            for (size_t z = 0; z < D; z++)
                sum += (double)f->weight[k * D + z] * (double)x[i * D + z];
            worst = fmax(worst, fabs(sum - (double)y[i * f->e + k]));
        }
    return worst;
}

static void a_true_rotation(void)
{
    static const size_t widths[] = {E, W};
    ilk_error err;
    ilk_error_init(&err);
    for (size_t k = 0; k < 4; k++) {
        ilki_moments m;
        ilki_fit fit;
        make_spaces(widths[k / 2], k % 2 ? 0.3f : 0);
        add_all(&m, NULL, widths[k / 2], 100);
        CHECK_OK(ilki_train_fit(&fit, &m, ILKI_TRAIN_TRUE, 0, NULL, NULL, &err), &err);
        CHECK_THAT(worst_of(&fit) < 1e-5, "Procrustes, case %zu: off by %g", k, worst_of(&fit));
        for (size_t i = 0; i < D && k % 2 == 0; i++) { /* its columns are a rotation's */
            double sum = 0;
            for (size_t z = 0; z < fit.e; z++)
                sum += (double)fit.weight[z * D + i] * (double)fit.weight[z * D + i];
            CHECK_NEAR(sum, 1, 1e-5);
        }
        ilki_train_fit_deinit(&fit);
        CHECK_OK(ilki_train_fit(&fit, &m, ILKI_TRAIN_TRUE, 1e-7, NULL, NULL, &err), &err);
        CHECK_THAT(worst_of(&fit) < 1e-5, "a ridge, case %zu: off by %g", k, worst_of(&fit));
        ilki_train_fit_deinit(&fit);
        CHECK_OK(ilki_train_fit(&fit, &m, ILKI_TRAIN_TRUE, 1, NULL, NULL, &err), &err);
        double squares = 0; /* lambda as large as the variance: about half of the rotation is left */
        for (size_t i = 0; i < fit.e * D; i++)
            squares += (double)fit.weight[i] * (double)fit.weight[i];
        CHECK_NEAR(squares, D / 4.0, 0.5);
        ilki_train_fit_deinit(&fit);
        CHECK_OK(ilki_train_fit(&fit, &m, 2, 1e-3, NULL, NULL, &err), &err);
        CHECK_THAT(worst_of(&fit) > 0.3, "shuffled pairs, case %zu: off by %g alone", k, worst_of(&fit));
        ilki_train_fit_deinit(&fit);
        ilki_train_moments_deinit(&m);
    }
}

/* Half as long, so is the rotation; the reverse of both is found too. */
static void a_scale(void)
{
    ilki_moments m;
    ilki_fit fit;
    ilk_error err;
    double squares = 0;
    ilk_error_init(&err);
    make_spaces(E, 0);
    for (size_t i = 0; i < N * E; i++)
        y[i] *= -0.5f;
    add_all(&m, NULL, E, N);
    CHECK_OK(ilki_train_fit(&fit, &m, ILKI_TRAIN_TRUE, 0, NULL, NULL, &err), &err);
    CHECK_THAT(worst_of(&fit) < 1e-5, "off by %g", worst_of(&fit));
    for (size_t i = 0; i < E * D; i++)
        squares += (double)fit.weight[i] * (double)fit.weight[i];
    CHECK_NEAR(squares, D / 4.0, 1e-4);
    ilki_train_fit_deinit(&fit);
    ilki_train_moments_deinit(&m);
}

static void slices_and_threads(void)
{
    ilki_pool *pool;
    ilki_moments m[3];
    ilki_fit fit[3];
    ilk_error err;
    ilk_error_init(&err);
    make_spaces(E, 0.1f);
    REQUIRE(CHECK_OK(ilki_base_pool_new(&pool, 3, &err), &err));
    add_all(&m[0], NULL, E, N);
    add_all(&m[1], pool, E, 37);
    add_all(&m[2], pool, E, 256);
    for (int i = 0; i < 3; i++)
        CHECK_OK(ilki_train_fit(&fit[i], &m[i], ILKI_TRAIN_TRUE, i == 2 ? 1e-2 : 0, i ? pool : NULL, NULL, &err), &err);
    CHECK_MEM(m[0].sxx, m[1].sxx, D * D * sizeof(double));
    CHECK_MEM(m[0].sxy[1], m[1].sxy[1], D * E * sizeof(double));
    CHECK_MEM(m[0].sy, m[2].sy, E * sizeof(double));
    CHECK_MEM(fit[0].weight, fit[1].weight, D * E * sizeof(float));
    CHECK(memcmp(fit[0].weight, fit[2].weight, D * E * sizeof(float)) != 0);
    for (int i = 0; i < 3; i++) {
        ilki_train_fit_deinit(&fit[i]);
        ilki_train_moments_deinit(&m[i]);
    }
    ilki_base_pool_free(pool);
    memset(x, 0, sizeof x);
    add_all(&m[0], NULL, E, N);
    CHECK_STATUS(ilki_train_fit(&fit[0], &m[0], ILKI_TRAIN_TRUE, 1, NULL, NULL, &err), ILK_MISMATCH, &err);
    CHECK(strstr(err.message, "expected vectors that differ, found 600 that are one") != NULL);
    ilki_train_moments_deinit(&m[0]);
}

static double similarity(size_t i, size_t k)
{
    double sum = 0;
    for (size_t z = 0; z < E; z++)
        sum += (double)y[i * E + z] * (double)y[k * E + z];
    return sum;
}

/* 60 rows on either side; two rows of side 0 share a row of side 1. */
static void recall_of_a_fit(void)
{
    enum { ROWS = 60 };
    static uint32_t row_of[2][ROWS];
    ilki_held h = {.n = ROWS, .n_rows = {ROWS, ROWS}, .dim = {D, E}, .rows = {x, y}, .row_of = {row_of[0], row_of[1]}};
    ilki_measured got;
    ilki_moments m;
    ilki_fit fit;
    ilk_runtime *rt;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err));
    make_spaces(E, 0);
    for (uint32_t i = 0; i < ROWS; i++)
        row_of[0][i] = row_of[1][i] = i;
    add_all(&m, NULL, E, N);
    CHECK_OK(ilki_train_fit(&fit, &m, ILKI_TRAIN_TRUE, 0, NULL, NULL, &err), &err);
    CHECK_OK(ilki_train_measure(&h, &fit, 0, rt, NULL, &got, &err), &err);
    CHECK_NEAR(got.recall[0], 1, 0);
    CHECK_NEAR(got.recall[1], 1, 0);
    CHECK_NEAR(got.cosine, 1, 1e-5);
    CHECK_OK(ilki_train_measure(&h, NULL, 0, rt, NULL, &got, &err), &err);
    CHECK_THAT(got.recall[0] < 0.6 && got.recall[1] < 0.6, "no fit: %g, %g", got.recall[0], got.recall[1]);
    /* side 0 are the captions now: the two numbers change places; and a row that no pair has is no query */
    uint32_t far = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        far = similarity(1, i) < similarity(1, far) ? i : far;
    row_of[1][1] = far;
    CHECK_OK(ilki_train_measure(&h, &fit, 0, rt, NULL, &got, &err), &err);
    CHECK_NEAR(got.recall[0], 1, 0); /* the far row of side 1 finds its own, row 1 asks nothing */
    CHECK_NEAR(got.recall[1], 59.0 / 60, 1e-12);
    double one = got.recall[1];
    CHECK_OK(ilki_train_measure(&h, &fit, 1, rt, NULL, &got, &err), &err);
    CHECK_NEAR(got.recall[0], one, 0);
    ilki_train_fit_deinit(&fit);
    ilki_train_moments_deinit(&m);
    ilk_runtime_close(rt);
}

TEST_MAIN({"a true rotation", a_true_rotation}, {"a scale", a_scale}, {"slices and threads", slices_and_threads},
          {"recall of a fit", recall_of_a_fit})
