/* SPDX-License-Identifier: Apache-2.0
 * Sums in double, each element by one task in the order of the pairs: the same bits on any number of threads. With means mx,
 * my and covariances Cxx, Cxy a ridge is W = (Cxx + lambda t I)^-1 Cxy, t the mean of Cxx's diagonal; Procrustes is
 * W = s U V^T of Cxy = U S V^T with s = tr S / tr Cxx. Both have the offset my - mx W. */
#include "train/moments.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/solve.h"

enum { TASK_ROWS = 8 };

ilk_status ilki_train_moments_init(ilki_moments *m, size_t d, size_t e, ilk_error *err)
{
    *m = (ilki_moments){.d = d, .e = e};
    m->sx = ilki_base_zalloc(d, sizeof *m->sx);
    m->sy = ilki_base_zalloc(e, sizeof *m->sy);
    m->sxx = ilki_base_zalloc(d * d, sizeof *m->sxx);
    bool ok = m->sx && m->sy && m->sxx;
    for (int k = 0; k < ILKI_TRAIN_TARGETS; k++)
        ok &= (m->sxy[k] = ilki_base_zalloc(d * e, sizeof *m->sxy[k])) != NULL;
    return ok ? ILK_OK : ilki_base_fail_memory(err, d * (d + ILKI_TRAIN_TARGETS * e) * sizeof(double), "sums of a fit");
}

void ilki_train_moments_deinit(ilki_moments *m)
{
    free(m->sx);
    free(m->sy);
    free(m->sxx);
    for (int k = 0; k < ILKI_TRAIN_TARGETS; k++)
        free(m->sxy[k]);
    *m = (ilki_moments){0};
}

typedef struct adding {
    ilki_moments *m;
    const float *x, *y;
    uint32_t *const *target_of;
    size_t n;
} adding;

static void add_scaled(double *to, const float *v, double a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += a * (double)v[i];
}

static void add_rows(void *arg, size_t index, unsigned slot)
{
    const adding *a = arg;
    ilki_moments *m = a->m;
    size_t last = (index + 1) * TASK_ROWS < m->d ? (index + 1) * TASK_ROWS : m->d;
    (void)slot;
    for (size_t r = 0; r < a->n; r++) {
        const float *x = a->x + r * m->d;
        for (size_t i = index * TASK_ROWS; i < last; i++) {
            m->sx[i] += (double)x[i];
            add_scaled(m->sxx + i * m->d, x, (double)x[i], i + 1);
            for (int k = 0; k < ILKI_TRAIN_TARGETS; k++)
                add_scaled(m->sxy[k] + i * m->e, a->y + a->target_of[k][r] * m->e, (double)x[i], m->e);
        }
    }
}

ilk_status ilki_train_moments_add(ilki_moments *m, ilki_pool *pool, const float *x, const float *y, size_t n,
                                  uint32_t *const target_of[ILKI_TRAIN_TARGETS], ilk_job *job, ilk_error *err)
{
    adding a = {m, x, y, target_of, n};
    ilki_run run = {.fn = add_rows,
                    .arg = &a,
                    .n_tasks = (m->d + TASK_ROWS - 1) / TASK_ROWS,
                    .cost_ns = (uint64_t)n * m->d * (m->d + ILKI_TRAIN_TARGETS * m->e) / 2,
                    .job = job};
    for (size_t r = 0; r < n; r++)
        add_scaled(m->sy, y + target_of[ILKI_TRAIN_TRUE][r] * m->e, 1, m->e);
    m->n += n;
    return ilki_base_pool_run(pool, &run, err);
}

/* ------------------------------------------------------------------ fits */

/* Cxx into a [d][d], the lower triangle, Cxy into b [d][e]; the trace of Cxx. */
static double centre(const ilki_moments *m, int targets, double *a, double *b)
{
    double n = (double)m->n, trace = 0;
    for (size_t i = 0; i < m->d; i++) {
        double mean = m->sx[i] / n;
        for (size_t k = 0; k <= i; k++)
            a[i * m->d + k] = m->sxx[i * m->d + k] / n - mean * (m->sx[k] / n);
        for (size_t k = 0; k < m->e; k++)
            b[i * m->e + k] = m->sxy[targets][i * m->e + k] / n - mean * (m->sy[k] / n);
        trace += a[i * m->d + i];
    }
    return trace;
}

static ilk_status ridge(const ilki_moments *m, double *a, double *b, double trace, double lambda, ilki_pool *pool,
                        ilk_job *job, ilk_error *err)
{
    for (size_t i = 0; i < m->d; i++)
        a[i * m->d + i] += lambda * trace / (double)m->d;
    ilk_status st = ilki_train_cholesky(pool, a, m->d, job, err);
    return st == ILK_OK ? ilki_train_cholesky_solve(pool, a, m->d, b, m->e, job, err) : st;
}

static ilk_status procrustes(const ilki_moments *m, double *b, double trace, ilki_pool *pool, ilk_job *job,
                             ilk_error *err)
{
    double sum = 0, *turned = ilki_base_zalloc(m->d * m->e, sizeof *turned);
    ilk_status st = turned ? ilki_train_polar(pool, b, m->d, m->e, turned, &sum, job, err)
                           : ilki_base_fail_memory(err, m->d * m->e * sizeof *turned, "a fit");
    for (size_t i = 0; st == ILK_OK && i < m->d * m->e; i++)
        b[i] = turned[i] * sum / trace;
    free(turned);
    return st;
}

static ilk_status take_fit(ilki_fit *fit, const ilki_moments *m, const double *w, ilk_error *err)
{
    *fit = (ilki_fit){.d = m->d, .e = m->e};
    fit->weight = ilki_base_zalloc(m->d * m->e, sizeof *fit->weight);
    fit->bias = ilki_base_zalloc(m->e, sizeof *fit->bias);
    if (!fit->weight || !fit->bias)
        return ilki_base_fail_memory(err, m->d * m->e * sizeof *fit->weight, "a projection");
    for (size_t k = 0; k < m->e; k++) {
        double offset = m->sy[k];
        for (size_t i = 0; i < m->d; i++) {
            offset -= m->sx[i] * w[i * m->e + k];
            fit->weight[k * m->d + i] = (float)w[i * m->e + k];
        }
        fit->bias[k] = (float)(offset / (double)m->n);
    }
    return ILK_OK;
}

ilk_status ilki_train_fit(ilki_fit *fit, const ilki_moments *m, int targets, double lambda, ilki_pool *pool,
                          ilk_job *job, ilk_error *err)
{
    *fit = (ilki_fit){0};
    double *a = ilki_base_zalloc(m->d * m->d, sizeof *a), *b = ilki_base_zalloc(m->d * m->e, sizeof *b), trace = 0;
    ilk_status st = a && b ? ILK_OK : ilki_base_fail_memory(err, m->d * (m->d + m->e) * sizeof *a, "a fit");
    if (st == ILK_OK)
        trace = centre(m, targets, a, b);
    if (st == ILK_OK && !(trace > 0))
        st = ilki_base_fail(err, ILK_MISMATCH, "a fit: expected vectors that differ, found %llu that are one",
                            (unsigned long long)m->n);
    if (st == ILK_OK)
        st = lambda > 0 ? ridge(m, a, b, trace, lambda, pool, job, err) : procrustes(m, b, trace, pool, job, err);
    if (st == ILK_OK)
        st = take_fit(fit, m, b, err);
    free(a);
    free(b);
    return st;
}

void ilki_train_fit_deinit(ilki_fit *fit)
{
    free(fit->weight);
    free(fit->bias);
    *fit = (ilki_fit){0};
}
