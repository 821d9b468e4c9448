/* SPDX-License-Identifier: Apache-2.0
 * Cholesky row by row, and the polar factor by one-sided Jacobi: columns are rotated against each other, pair by pair, until
 * all are orthogonal; their lengths are the singular values then. LAPACK is not linked for this: a fit is one such problem
 * of a few hundred or thousand columns, Jacobi is short, and of the known methods the most exact for small singular values.
 * Columns stand in groups, and groups meet in rounds of a tournament, in which none meets two others: so the meetings of a
 * round run on the pool and their order does not count. A group is small enough that two of them stay in a cache, and large
 * enough that a sweep is some dozen rounds, each of which waits for its last task. */
#include "train/solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TASK_ROWS = 32, TASK_COLUMNS = 16, GROUP = 16, MAX_SWEEPS = 60 };
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
    double *b, *v, *off; /* off [n_groups]: how far from orthogonal the worst pair of each meeting was */
    double *squares;     /* [n] of each column's length: summed once a sweep, kept up by the rotations in it */
    size_t n, length, n_groups, n_meetings, round;
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

/* The two of a meeting in a round of a tournament over an even number of seats: seat 0 stays, the others go round. A seat
 * past the last group is a rest. */
static void seats(const jacobi *j, size_t meeting, size_t *p, size_t *q)
{
    size_t others = 2 * j->n_meetings - 1;
    *p = meeting ? 1 + (j->round + meeting - 1) % others : 0;
    *q = 1 + (j->round + others - 1 - meeting) % others;
}

/* Makes columns p and q orthogonal; returns how far from it they were. */
static double turn(const jacobi *j, size_t p, size_t q)
{
    double *x = j->b + p * j->length, *y = j->b + q * j->length;
    double xx = j->squares[p], yy = j->squares[q], xy = dot(x, y, j->length), size = sqrt(xx) * sqrt(yy);
    if (!(fabs(xy) > SETTLED * size) || size < 1e-300)
        return 0;
    double zeta = (yy - xx) / (2 * xy), t = copysign(1, zeta) / (fabs(zeta) + sqrt(1 + zeta * zeta)),
           c = 1 / sqrt(1 + t * t);
    rotate(x, y, j->length, c, c * t);
    rotate(j->v + p * j->n, j->v + q * j->n, j->n, c, c * t);
    j->squares[p] = fmax(xx - t * xy, 0);
    j->squares[q] = fmax(yy + t * xy, 0);
    return fabs(xy) / size;
}

static size_t end_of(const jacobi *j, size_t group)
{
    return (group + 1) * GROUP < j->n ? (group + 1) * GROUP : j->n;
}

/* All pairs within a group. */
static void turn_group(void *arg, size_t group, unsigned slot)
{
    const jacobi *j = arg;
    double worst = 0;
    (void)slot;
    for (size_t p = group * GROUP; p < end_of(j, group); p++)
        for (size_t q = p + 1; q < end_of(j, group); q++)
            worst = fmax(worst, turn(j, p, q));
    j->off[group] = worst;
}

/* Each of one group with each of the other. */
static void turn_meeting(void *arg, size_t meeting, unsigned slot)
{
    const jacobi *j = arg;
    size_t one, other;
    double worst = 0;
    (void)slot;
    seats(j, meeting, &one, &other);
    for (size_t p = one * GROUP; other < j->n_groups && one < j->n_groups && p < end_of(j, one); p++)
        for (size_t q = other * GROUP; q < end_of(j, other); q++)
            worst = fmax(worst, turn(j, p, q));
    j->off[meeting] = worst;
}

static ilk_status run_turns(jacobi *j, ilki_pool *pool, ilki_task_fn fn, size_t n, double *worst, ilk_job *job,
                            ilk_error *err)
{
    ilki_run run = {.fn = fn,
                    .arg = j,
                    .n_tasks = n,
                    .cost_ns = (uint64_t)n * GROUP * GROUP * (5 * j->length + 2 * j->n),
                    .job = job};
    ilk_status st = ilki_base_pool_run(pool, &run, err);
    for (size_t i = 0; i < n && st == ILK_OK; i++)
        *worst = fmax(*worst, j->off[i]);
    return st;
}

static ilk_status sweep(jacobi *j, ilki_pool *pool, double *worst, ilk_job *job, ilk_error *err)
{
    *worst = 0;
    for (size_t i = 0; i < j->n; i++)
        j->squares[i] = dot(j->b + i * j->length, j->b + i * j->length, j->length);
    ilk_status st = run_turns(j, pool, turn_group, j->n_groups, worst, job, err);
    for (j->round = 0; j->round < 2 * j->n_meetings - 1 && st == ILK_OK; j->round++)
        st = run_turns(j, pool, turn_meeting, j->n_meetings, worst, job, err);
    return st;
}

/* ------------------------------------------------------------------ the factor */

typedef struct factor {
    const jacobi *j;
    double *lengths; /* [n] of the columns; 0: nothing in that direction */
    double *out;
    size_t cols;
    bool turned;
} factor;

/* Sums of outer products of each column's direction and its rotations: some of the places of a column, by all columns. */
static void add_places(void *arg, size_t index, unsigned slot)
{
    const factor *f = arg;
    const jacobi *j = f->j;
    size_t first = index * TASK_ROWS, last = first + TASK_ROWS < j->length ? first + TASK_ROWS : j->length;
    (void)slot;
    for (size_t i = 0; i < j->n; i++) {
        const double *u = j->b + i * j->length, *v = j->v + i * j->n;
        for (size_t a = first; f->lengths[i] > 0 && a < last; a++) {
            double share = u[a] / f->lengths[i];
            for (size_t c = 0; c < j->n; c++)
                f->out[f->turned ? c * f->cols + a : a * f->cols + c] += share * v[c];
        }
    }
}

static ilk_status make_factor(factor *f, ilki_pool *pool, double *sum, ilk_job *job, ilk_error *err)
{
    const jacobi *j = f->j;
    double most = 0;
    *sum = 0;
    for (size_t i = 0; i < j->n; i++) {
        f->lengths[i] = sqrt(dot(j->b + i * j->length, j->b + i * j->length, j->length));
        most = fmax(most, f->lengths[i]);
    }
    for (size_t i = 0; i < j->n; i++) {
        f->lengths[i] = f->lengths[i] > most * 1e-13 ? f->lengths[i] : 0;
        *sum += f->lengths[i];
    }
    ilki_run run = {.fn = add_places,
                    .arg = f,
                    .n_tasks = (j->length + TASK_ROWS - 1) / TASK_ROWS,
                    .cost_ns = (uint64_t)j->length * j->n * j->n / 2,
                    .job = job};
    return ilki_base_pool_run(pool, &run, err);
}

ilk_status ilki_train_polar(ilki_pool *pool, const double *m, size_t rows, size_t cols, double *out, double *sum,
                            ilk_job *job, ilk_error *err)
{
    bool turned = cols > rows; /* the shorter side is rotated */
    jacobi j = {.n = turned ? rows : cols, .length = turned ? cols : rows};
    j.n_groups = (j.n + GROUP - 1) / GROUP;
    j.n_meetings = (j.n_groups + 1) / 2;
    j.b = ilki_base_zalloc(rows * cols, sizeof *j.b);
    j.v = ilki_base_zalloc(j.n * j.n, sizeof *j.v);
    j.off = ilki_base_zalloc(j.n_groups, sizeof *j.off);
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
        st = make_factor(&(factor){&j, j.squares, out, cols, turned}, pool, sum, job, err);
    free(j.b);
    free(j.v);
    free(j.off);
    free(j.squares);
    return st;
}
