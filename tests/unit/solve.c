/* SPDX-License-Identifier: Apache-2.0
 * Cholesky and the polar factor: known answers, what has none, the same bits on one thread and on three. */
#include "train/solve.h"

#include "test.h"

static uint64_t state = 1;

static double noise(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state >> 11) / (double)(1LL << 52) - 1;
}

static void fill(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] = noise();
}

/* The distance of a^T a (of rows, where there are fewer) from the identity. */
static double not_orthogonal(const double *a, size_t rows, size_t cols)
{
    bool by_rows = rows <= cols;
    size_t n = by_rows ? rows : cols, length = by_rows ? cols : rows;
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            double sum = i == k ? -1 : 0;
            for (size_t x = 0; x < length; x++)
                sum += by_rows ? a[i * cols + x] * a[k * cols + x] : a[x * cols + i] * a[x * cols + k];
            worst = fmax(worst, fabs(sum));
        }
    return worst;
}

static void systems(void)
{
    enum { N = 70, M = 90 };
    static double g[N * N], a[N * N], l[2][N * N], x[N * M], b[2][N * M];
    ilki_pool *pool[2] = {NULL, NULL};
    ilk_error err;
    ilk_error_init(&err);
    for (unsigned i = 0; i < 2; i++)
        REQUIRE(CHECK_OK(ilki_base_pool_new(&pool[i], i ? 3 : 1, &err), &err));
    fill(g, N * N);
    fill(x, N * M);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < N; k++) {
            a[i * N + k] = i == k ? 0.5 : 0;
            for (size_t z = 0; z < N; z++)
                a[i * N + k] += g[i * N + z] * g[k * N + z];
        }
    for (int t = 0; t < 2; t++) {
        memcpy(l[t], a, sizeof a);
        memset(b[t], 0, sizeof b[t]);
        for (size_t i = 0; i < N; i++)
            for (size_t k = 0; k < N; k++)
                for (size_t c = 0; c < M; c++)
                    b[t][i * M + c] += a[i * N + k] * x[k * M + c];
        CHECK_OK(ilki_train_cholesky(pool[t], l[t], N, NULL, &err), &err);
        CHECK_OK(ilki_train_cholesky_solve(pool[t], l[t], N, b[t], M, NULL, &err), &err);
    }
    double worst = 0;
    for (size_t i = 0; i < N * M; i++)
        worst = fmax(worst, fabs(b[0][i] - x[i]));
    CHECK_THAT(worst < 1e-10, "a solution is off by %g", worst);
    CHECK_MEM(b[0], b[1], sizeof b[0]);
    double known[4] = {4, 99, 2, 5}, right[2] = {8, 9}; /* the upper triangle is not read */
    CHECK_OK(ilki_train_cholesky(NULL, known, 2, NULL, &err), &err);
    CHECK_OK(ilki_train_cholesky_solve(NULL, known, 2, right, 1, NULL, &err), &err);
    CHECK_NEAR(right[0], 1.375, 1e-15);
    CHECK_NEAR(right[1], 1.25, 1e-15);
    double flat[4] = {1, 0, 1, 1};
    CHECK_STATUS(ilki_train_cholesky(NULL, flat, 2, NULL, &err), ILK_MISMATCH, &err);
    CHECK(strstr(err.message, "pivot 1 of 2: expected a positive number, found 0") != NULL);
    for (int i = 0; i < 2; i++)
        ilki_base_pool_free(pool[i]);
}

/* A rotation times something symmetric and positive has that rotation as its polar factor. */
static void known_rotations(void)
{
    enum { N = 33 };
    static double m[N * N], r[N * N], s[N * N], g[N * N], out[N * N];
    ilk_error err;
    double sum, trace = 0;
    ilk_error_init(&err);
    fill(m, N * N);
    CHECK_OK(ilki_train_polar(NULL, m, N, N, r, &sum, NULL, &err), &err);
    CHECK_THAT(not_orthogonal(r, N, N) < 1e-12, "not a rotation: %g", not_orthogonal(r, N, N));
    fill(g, N * N);
    memset(m, 0, sizeof m);
    memset(s, 0, sizeof s);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < N; k++)
            for (size_t z = 0; z < N; z++)
                s[i * N + k] += g[i * N + z] * g[k * N + z];
    for (size_t i = 0; i < N; i++) {
        trace += s[i * N + i];
        for (size_t k = 0; k < N; k++)
            for (size_t z = 0; z < N; z++)
                m[i * N + k] += r[i * N + z] * s[z * N + k];
    }
    CHECK_OK(ilki_train_polar(NULL, m, N, N, out, &sum, NULL, &err), &err);
    double worst = 0;
    for (size_t i = 0; i < N * N; i++)
        worst = fmax(worst, fabs(out[i] - r[i]));
    CHECK_THAT(worst < 1e-8, "the rotation is off by %g", worst);
    CHECK_NEAR(sum, trace, 1e-9);
}

static void shapes(void)
{
    static const size_t sizes[][2] = {{1, 1}, {1, 7}, {7, 1}, {2, 2}, {5, 40}, {40, 5}, {64, 63}};
    static double m[64 * 64], out[2][64 * 64];
    ilki_pool *pool;
    ilk_error err;
    double sum[2];
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_base_pool_new(&pool, 3, &err), &err));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t rows = sizes[i][0], cols = sizes[i][1];
        double inner = 0;
        fill(m, rows * cols);
        CHECK_OK(ilki_train_polar(NULL, m, rows, cols, out[0], &sum[0], NULL, &err), &err);
        CHECK_OK(ilki_train_polar(pool, m, rows, cols, out[1], &sum[1], NULL, &err), &err);
        CHECK_MEM(out[0], out[1], rows * cols * sizeof(double));
        CHECK_THAT(not_orthogonal(out[0], rows, cols) < 1e-11, "%zu x %zu", rows, cols);
        for (size_t k = 0; k < rows * cols; k++)
            inner += out[0][k] * m[k];
        CHECK_NEAR(inner, sum[0], 1e-10); /* trace(out^T m) is the sum of the singular values */
    }
    /* of rank 2: a partial isometry, whose products with itself have the trace 2 */
    for (size_t i = 0; i < 20; i++)
        for (size_t k = 0; k < 12; k++)
            m[i * 12 + k] = (double)(i + 1) * (double)(k % 3) + (double)(i % 4) * (double)(k + 2);
    CHECK_OK(ilki_train_polar(NULL, m, 20, 12, out[0], &sum[0], NULL, &err), &err);
    double squares = 0;
    for (size_t k = 0; k < 20 * 12; k++)
        squares += out[0][k] * out[0][k];
    CHECK_NEAR(squares, 2, 1e-9);
    memset(m, 0, sizeof m);
    CHECK_OK(ilki_train_polar(NULL, m, 20, 12, out[0], &sum[0], NULL, &err), &err);
    CHECK_NEAR(sum[0], 0, 0);
    ilki_base_pool_free(pool);
}

TEST_MAIN({"systems", systems}, {"known rotations", known_rotations}, {"shapes", shapes})
