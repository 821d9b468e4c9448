/* SPDX-License-Identifier: Apache-2.0
 * Cholesky row by row, and the polar factor by one-sided Jacobi: columns are rotated against each other, pair by pair, until
 * all are orthogonal; their lengths are the singular values then. LAPACK is not linked for this: a fit is one such problem
 * of a few hundred or thousand columns, Jacobi is short, and of the known methods the most exact for small singular values.
 * Pairs come in rounds of a tournament, in which no column meets two others, so the pairs of a round run on the pool and
 * their order does not count. */
#include "train/solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TASK_ROWS = 32, TASK_COLUMNS = 64, TASK_PAIRS = 4, MAX_SWEEPS = 60 };
#define SETTLED 1e-13 /* cosine of two columns that counts as none */

/* Four sums side by side: the compiler may not reorder one. */
static double dot(const double *a, const double *b, size_t n)
{
    double s[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++)
            s[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* ------------------------------------------------------------------ Cholesky */

typedef struct column {
    double *a;
    size_t n, j;
} column;

static void divide_rows(void *arg, size_t index, unsigned slot)
{
    const column *c = arg;
    size_t first = c->j + 1 + index * TASK_ROWS, last = first + TASK_ROWS < c->n ? first + TASK_ROWS : c->n;
    const double *pivot = c->a + c->j * c->n;
    (void)slot;
    for (size_t i = first; i < last; i++) {
        double *row = c->a + i * c->n;
        row[c->j] = (row[c->j] - dot(row, pivot, c->j)) / pivot[c->j];
    }
}

ilk_status ilki_train_cholesky(ilki_pool *pool, double *a, size_t n, ilk_job *job, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t j = 0; j < n && st == ILK_OK; j++) {
        double *row = a + j * n, pivot = row[j] - dot(row, row, j);
        if (!(pivot > 0))
            return ilki_base_fail(err, ILK_MISMATCH, "a fit: pivot %zu of %zu: expected a positive number, found %g", j,
                                  n, pivot);
        row[j] = sqrt(pivot);
        column c = {a, n, j};
        size_t below = n - j - 1;
        ilki_run run = {.fn = divide_rows,
                        .arg = &c,
                        .n_tasks = (below + TASK_ROWS - 1) / TASK_ROWS,
                        .cost_ns = (uint64_t)below * (j + 1),
                        .job = job};
        st = ilki_base_pool_run(pool, &run, err);
    }
    return st;
}

typedef struct equations {
    const double *l;
    double *b;
    size_t n, m;
} equations;

static void solve_columns(void *arg, size_t index, unsigned slot)
{
    const equations *s = arg;
    size_t first = index * TASK_COLUMNS, some = s->m - first < TASK_COLUMNS ? s->m - first : TASK_COLUMNS;
    (void)slot;
    for (size_t i = 0; i < s->n; i++) { /* L Y = B */
        double *y = s->b + i * s->m + first;
        for (size_t k = 0; k < i; k++)
            for (size_t c = 0; c < some; c++)
                y[c] -= s->l[i * s->n + k] * s->b[k * s->m + first + c];
        for (size_t c = 0; c < some; c++)
            y[c] /= s->l[i * s->n + i];
    }
    for (size_t i = s->n; i-- > 0;) { /* L^T X = Y */
        double *x = s->b + i * s->m + first;
        for (size_t k = i + 1; k < s->n; k++)
            for (size_t c = 0; c < some; c++)
                x[c] -= s->l[k * s->n + i] * s->b[k * s->m + first + c];
        for (size_t c = 0; c < some; c++)
            x[c] /= s->l[i * s->n + i];
    }
}

ilk_status ilki_train_cholesky_solve(ilki_pool *pool, const double *l, size_t n, double *b, size_t m, ilk_job *job,
                                     ilk_error *err)
{
    equations s = {l, b, n, m};
    ilki_run run = {.fn = solve_columns,
                    .arg = &s,
                    .n_tasks = (m + TASK_COLUMNS - 1) / TASK_COLUMNS,
                    .cost_ns = (uint64_t)n * n * m,
                    .job = job};
    return ilki_base_pool_run(pool, &run, err);
}

/* ------------------------------------------------------------------ Jacobi */

/* Columns as rows: b [n][length] become U S, v [n][n] the rotations that made them. */
typedef struct jacobi {
    double *b, *v, *off; /* off [n_pairs]: how far from orthogonal each pair of a round was */
    double *squares;     /* [n] of each column's length: summed once a sweep, kept up by the rotations in it */
    size_t n, length, n_pairs, round;
} jacobi;

static void rotate(double *x, double *y, size_t n, double c, double s)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        double a[4], b[4];
        memcpy(a, x + i, sizeof a);
        memcpy(b, y + i, sizeof b);
        for (size_t k = 0; k < 4; k++) {
            x[i + k] = c * a[k] - s * b[k];
            y[i + k] = s * a[k] + c * b[k];
        }
    }
    for (; i < n; i++) {
        double a = x[i], b = y[i];
        x[i] = c * a - s * b;
        y[i] = s * a + c * b;
    }
}

/* The pair of a round of a tournament over an even number of seats: seat 0 stays, the others go round. A seat past the
 * last column is a rest. */
static void seats(const jacobi *j, size_t pair, size_t *p, size_t *q)
{
    size_t others = 2 * j->n_pairs - 1;
    *p = pair ? 1 + (j->round + pair - 1) % others : 0;
    *q = 1 + (j->round + others - 1 - pair) % others;
}

static void turn_pairs(void *arg, size_t index, unsigned slot)
{
    const jacobi *j = arg;
    size_t last = (index + 1) * TASK_PAIRS < j->n_pairs ? (index + 1) * TASK_PAIRS : j->n_pairs;
    (void)slot;
    for (size_t pair = index * TASK_PAIRS; pair < last; pair++) {
        size_t p, q;
        seats(j, pair, &p, &q);
        j->off[pair] = 0;
        if (p >= j->n || q >= j->n)
            continue;
        double *x = j->b + p * j->length, *y = j->b + q * j->length;
        double xx = j->squares[p], yy = j->squares[q], xy = dot(x, y, j->length), size = sqrt(xx) * sqrt(yy);
        if (!(fabs(xy) > SETTLED * size) || size < 1e-300)
            continue;
        j->off[pair] = fabs(xy) / size;
        double zeta = (yy - xx) / (2 * xy), t = copysign(1, zeta) / (fabs(zeta) + sqrt(1 + zeta * zeta)),
               c = 1 / sqrt(1 + t * t);
        rotate(x, y, j->length, c, c * t);
        rotate(j->v + p * j->n, j->v + q * j->n, j->n, c, c * t);
        j->squares[p] = fmax(xx - t * xy, 0);
        j->squares[q] = fmax(yy + t * xy, 0);
    }
}

static ilk_status sweep(jacobi *j, ilki_pool *pool, double *worst, ilk_job *job, ilk_error *err)
{
    ilk_status st = ILK_OK;
    *worst = 0;
    for (size_t i = 0; i < j->n; i++)
        j->squares[i] = dot(j->b + i * j->length, j->b + i * j->length, j->length);
    for (j->round = 0; j->round < 2 * j->n_pairs - 1 && st == ILK_OK; j->round++) {
        ilki_run run = {.fn = turn_pairs,
                        .arg = j,
                        .n_tasks = (j->n_pairs + TASK_PAIRS - 1) / TASK_PAIRS,
                        .cost_ns = (uint64_t)j->n_pairs * (5 * j->length + 2 * j->n),
                        .job = job};
        st = ilki_base_pool_run(pool, &run, err);
        for (size_t i = 0; i < j->n_pairs && st == ILK_OK; i++)
            *worst = j->off[i] > *worst ? j->off[i] : *worst;
    }
    return st;
}

/* out += the outer product of each column's direction and its rotations. */
static double add_directions(const jacobi *j, bool turned, size_t cols, double *out)
{
    double sum = 0, most = 0;
    for (size_t i = 0; i < j->n; i++)
        most = fmax(most, sqrt(dot(j->b + i * j->length, j->b + i * j->length, j->length)));
    for (size_t i = 0; i < j->n; i++) {
        const double *u = j->b + i * j->length, *v = j->v + i * j->n;
        double s = sqrt(dot(u, u, j->length));
        if (!(s > most * 1e-13))
            continue;
        sum += s;
        for (size_t a = 0; a < j->length; a++)
            for (size_t c = 0; c < j->n; c++)
                out[turned ? c * cols + a : a * cols + c] += u[a] / s * v[c];
    }
    return sum;
}

ilk_status ilki_train_polar(ilki_pool *pool, const double *m, size_t rows, size_t cols, double *out, double *sum,
                            ilk_job *job, ilk_error *err)
{
    bool turned = cols > rows; /* the shorter side is rotated */
    jacobi j = {.n = turned ? rows : cols, .length = turned ? cols : rows};
    j.n_pairs = (j.n + 1) / 2;
    j.b = ilki_base_zalloc(rows * cols, sizeof *j.b);
    j.v = ilki_base_zalloc(j.n * j.n, sizeof *j.v);
    j.off = ilki_base_zalloc(j.n_pairs, sizeof *j.off);
    j.squares = ilki_base_zalloc(j.n, sizeof *j.squares);
    ilk_status st = j.b && j.v && j.off && j.squares ? ILK_OK
                                                     : ilki_base_fail_memory(err, rows * cols * sizeof *j.b, "a fit");
    for (size_t i = 0; st == ILK_OK && i < j.n; i++) {
        j.v[i * j.n + i] = 1;
        for (size_t k = 0; k < j.length; k++)
            j.b[i * j.length + k] = turned ? m[i * cols + k] : m[k * cols + i];
    }
    double worst = j.n > 1 ? 1 : 0;
    for (int i = 0; i < MAX_SWEEPS && worst > 0 && st == ILK_OK; i++)
        st = sweep(&j, pool, &worst, job, err);
    if (st == ILK_OK && worst > 1e-9)
        st = ilki_base_fail(err, ILK_LIMIT, "a fit: columns are not orthogonal after %d sweeps: %g", MAX_SWEEPS, worst);
    memset(out, 0, rows * cols * sizeof *out);
    if (st == ILK_OK)
        *sum = add_directions(&j, turned, cols, out);
    free(j.b);
    free(j.v);
    free(j.off);
    free(j.squares);
    return st;
}
