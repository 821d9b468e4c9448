/* SPDX-License-Identifier: Apache-2.0
 * The flat index: every row's int8 codes are compared with the query's, the best candidates are scored again with their
 * exact vectors. Codes are symmetric with one scale per row (kern's quant_i8), the integer dot is exact, so a coarse
 * score is off by the two quantisations alone: about 0.001 in cosine at 384 dimensions. With four candidates per result,
 * at least 64, that has not cost a neighbour in the tests (tests/index/flat.c measures it).
 *
 * A search cuts the rows into tasks for the pool; each keeps its own best, and the total order of topk.h makes the merged
 * result the same on any number of threads. Several queries share one walk: rows are read from memory once for 64 of them. Memory: stride + 16 bytes a row. Non-goals: anything sublinear. */
#include "index/flat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "index/topk.h"

#define TASK_ROWS     8192 /* about 0.3 ms at 384 dimensions */
#define STEP_ROWS     256
#define MAX_QUESTIONS 64 /* of one walk */

size_t ilki_index_flat_stride(uint32_t dim)
{
    return ((size_t)dim + 63) / 64 * 64;
}

/* ------------------------------------------------------------------ rows */

ilk_status ilki_index_flat_new(ilki_index **out, const ilki_index_spec *spec, ilk_error *err)
{
    *out = NULL;
    if (spec->dim == 0 || spec->dim > 65536)
        return ilki_base_fail(err, ILK_LIMIT, "flat index: dimension %u is not within 1 and 65536", spec->dim);
    ilki_flat *f = ilki_base_zalloc(1, sizeof *f);
    if (!f)
        return ilki_base_fail_memory(err, sizeof *f, "a flat index");
    f->base.type = &ilki_index_flat;
    f->dim = spec->dim;
    f->stride = ilki_index_flat_stride(spec->dim);
    f->metric = spec->metric;
    f->ops = spec->ops;
    f->pool = spec->pool;
    *out = &f->base;
    return ILK_OK;
}

void ilki_index_flat_free(ilki_index *ix)
{
    ilki_flat *f = (ilki_flat *)ix;
    if (!f)
        return;
    ilki_flat_block *b = &f->block[1];
    free(b->labels);
    free(b->scale);
    free(b->norm);
    free(b->codes);
    free(f->dead[0]);
    free(f->dead[1]);
    free(f->checked);
    ilki_base_unmap_file(&f->file);
    free(f);
}

static bool grow_array(void **p, size_t used, size_t cap, size_t size)
{
    void *grown = ilki_base_alloc_aligned(cap, size);
    if (!grown)
        return false;
    if (used)
        memcpy(grown, *p, used * size);
    free(*p);
    *p = grown;
    return true;
}

static ilk_status grow(ilki_flat *f, ilk_error *err)
{
    ilki_flat_block *b = &f->block[1];
    size_t cap = b->cap ? b->cap + b->cap / 2 : 1024;
    void *labels = b->labels, *scale = b->scale, *norm = b->norm, *codes = b->codes;
    /* each array is replaced as it succeeds, so a failure leaves a block that is only partly larger than it says */
    bool ok = grow_array(&labels, b->n, cap, sizeof *b->labels);
    b->labels = labels;
    ok = ok && grow_array(&scale, b->n, cap, sizeof *b->scale);
    b->scale = scale;
    ok = ok && grow_array(&norm, b->n, cap, sizeof *b->norm);
    b->norm = norm;
    ok = ok && grow_array(&codes, b->n, cap, f->stride);
    b->codes = codes;
    uint8_t *dead = ok ? ilki_base_zalloc(cap / 8 + 1, 1) : NULL;
    if (!dead)
        return ilki_base_fail_memory(err, cap * f->stride, "a flat index");
    if (f->dead[1])
        memcpy(dead, f->dead[1], b->cap / 8 + 1);
    free(f->dead[1]);
    f->dead[1] = dead;
    b->cap = cap;
    return ILK_OK;
}

static uint64_t last_label(const ilki_flat *f)
{
    for (int i = 1; i >= 0; i--)
        if (f->block[i].n)
            return f->block[i].labels[f->block[i].n - 1];
    return 0;
}

static ilk_status add(ilki_index *ix, uint64_t label, const float *v, ilk_error *err)
{
    ilki_flat *f = (ilki_flat *)ix;
    ilki_flat_block *b = &f->block[1];
    double norm2 = 0;
    if (f->block[0].n + b->n && label <= last_label(f))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "flat index: label %llu after %llu: labels ascend",
                              (unsigned long long)label, (unsigned long long)last_label(f));
    for (uint32_t i = 0; i < f->dim; i++)
        norm2 += (double)v[i] * (double)v[i];
    if (!isfinite(norm2))
        return ilki_base_fail(err, ILK_NOT_FINITE, "flat index: the vector of %llu holds a NaN or infinity",
                              (unsigned long long)label);
    if (b->n == b->cap) {
        ilk_status st = grow(f, err);
        if (st != ILK_OK)
            return st;
    }
    int8_t *codes = b->codes + b->n * f->stride;
    memset(codes + f->dim, 0, f->stride - f->dim);
    b->labels[b->n] = label;
    b->scale[b->n] = f->ops->quant_i8(codes, v, f->dim);
    b->norm[b->n] = (float)sqrt(norm2);
    b->n++;
    return ILK_OK;
}

/* First row whose label is at least `label`. */
static size_t lower_bound(const uint64_t *labels, size_t n, uint64_t label)
{
    size_t a = 0;
    while (a < n) {
        size_t mid = a + (n - a) / 2;
        if (labels[mid] < label)
            a = mid + 1;
        else
            n = mid;
    }
    return a;
}

static void remove_label(ilki_index *ix, uint64_t label)
{
    ilki_flat *f = (ilki_flat *)ix;
    for (int i = 0; i < 2; i++) {
        ilki_flat_block *b = &f->block[i];
        size_t row = lower_bound(b->labels, b->n, label);
        if (row == b->n || b->labels[row] != label || ilki_index_flat_is_dead(f, i, row))
            continue;
        f->dead[i][row / 8] |= (uint8_t)(1 << row % 8);
        f->n_dead++;
    }
}

static size_t count(const ilki_index *ix)
{
    const ilki_flat *f = (const ilki_flat *)ix;
    return f->block[0].n + f->block[1].n - f->n_dead;
}

/* ------------------------------------------------------------------ search */

/* A query as codes. */
typedef struct question {
    const int8_t *codes;
    float scale;
    double norm;
} question;

typedef struct scan {
    const ilki_flat *f;
    const uint64_t *allowed;
    size_t n_allowed;
    const question *questions; /* [n_questions] */
    size_t n_questions, n_candidates;
    size_t tasks_of_0;     /* tasks of block 0; the rest are block 1's */
    ilki_candidate *heaps; /* [n_tasks][n_questions][n_candidates] */
    size_t *kept;          /* [n_tasks][n_questions] */
    atomic_bool corrupt;
} scan;

static float coarse(const scan *s, const question *q, const ilki_flat_block *b, size_t row, int32_t dot)
{
    double x = (double)dot * (double)b->scale[row] * (double)q->scale, norm = (double)b->norm[row];
    if (s->f->metric == ILK_DOT)
        return (float)x;
    if (s->f->metric == ILK_NEG_L2) {
        double d2 = norm * norm - 2 * x + q->norm * q->norm;
        return (float)-sqrt(d2 > 0 ? d2 : 0);
    }
    return norm > 0 && q->norm > 0 ? (float)(x / (norm * q->norm)) : 0.0f;
}

/* Plainly below the floor, without a division: a cosine's rounding is far less than the margin. */
static bool is_far(const scan *s, const question *q, const ilki_flat_block *b, size_t row, int32_t dot, float floor)
{
    if (s->f->metric != ILK_COSINE || !(b->norm[row] > 0) || !(q->norm > 0))
        return false;
    double x = (double)dot * (double)b->scale[row] * (double)q->scale;
    return x < ((double)floor - 1e-6) * ((double)b->norm[row] * q->norm);
}

/* Rows row + list[i] that may be found, of n rows from `row` on; *at is the place in the allowed labels. */
static size_t list_allowed(const scan *s, const ilki_flat_block *b, size_t row, size_t n, size_t *at, uint16_t *list)
{
    size_t n_listed = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t label = b->labels[row + i];
        while (*at < s->n_allowed && s->allowed[*at] < label)
            ++*at;
        if (*at < s->n_allowed && s->allowed[*at] == label)
            list[n_listed++] = (uint16_t)i;
    }
    return n_listed;
}

/* Rows [first, last) of a block against every question; a step of rows stays in the cache for all of them. */
static void scan_rows(const scan *s, int block, size_t first, size_t last, ilki_topk *tops)
{
    const ilki_flat_block *b = &s->f->block[block];
    size_t at = s->allowed ? lower_bound(s->allowed, s->n_allowed, b->labels[first]) : 0;
    int32_t dots[STEP_ROWS];
    uint16_t list[STEP_ROWS];
    for (size_t row = first; row < last; row += STEP_ROWS) {
        size_t n = last - row < STEP_ROWS ? last - row : STEP_ROWS;
        size_t n_listed = s->allowed ? list_allowed(s, b, row, n, &at, list) : n;
        for (size_t k = 0; k < s->n_questions && n_listed; k++) {
            const question *q = &s->questions[k];
            ilki_topk *top = &tops[k];
            s->f->ops->dot_i8_rows(dots, q->codes, b->codes + row * s->f->stride, s->f->stride, n, s->f->dim);
            float floor = ilki_index_topk_floor(top);
            for (size_t j = 0; j < n_listed; j++) {
                size_t i = s->allowed ? list[j] : j;
                if (is_far(s, q, b, row + i, dots[i], floor))
                    continue;
                float score = coarse(s, q, b, row + i, dots[i]);
                if (!(score >= floor) || ilki_index_flat_is_dead(s->f, block, row + i))
                    continue;
                ilki_index_topk_push(top, (ilki_candidate){b->labels[row + i], score});
                floor = ilki_index_topk_floor(top);
            }
        }
    }
}

static void scan_task(void *arg, size_t index, unsigned slot)
{
    scan *s = arg;
    (void)slot;
    int block = index >= s->tasks_of_0;
    const ilki_flat_block *b = &s->f->block[block];
    size_t first = (index - (block ? s->tasks_of_0 : 0)) * TASK_ROWS;
    size_t last = first + TASK_ROWS < b->n ? first + TASK_ROWS : b->n, n = last - first;
    ilki_topk tops[MAX_QUESTIONS];
    for (size_t k = 0; k < s->n_questions; k++)
        tops[k] = (ilki_topk){s->heaps + (index * s->n_questions + k) * s->n_candidates, s->n_candidates, 0};
    if (block == 0 && (ilki_index_flat_touch(s->f, b->labels + first, n * sizeof *b->labels, NULL) != ILK_OK ||
                       ilki_index_flat_touch(s->f, b->scale + first, n * sizeof *b->scale, NULL) != ILK_OK ||
                       ilki_index_flat_touch(s->f, b->norm + first, n * sizeof *b->norm, NULL) != ILK_OK ||
                       ilki_index_flat_touch(s->f, b->codes + first * s->f->stride, n * s->f->stride, NULL) != ILK_OK))
        s->corrupt = true;
    else
        scan_rows(s, block, first, last, tops);
    for (size_t k = 0; k < s->n_questions; k++)
        s->kept[index * s->n_questions + k] = tops[k].n;
}

/* The coarse pass into s->heaps. */
static ilk_status run_scan(scan *s, size_t n_tasks, ilk_job *job, ilk_error *err)
{
    size_t rows = s->f->block[0].n + s->f->block[1].n;
    ilki_run run = {
        .fn = scan_task, .arg = s, .n_tasks = n_tasks, .cost_ns = rows * s->f->stride / 8 * s->n_questions, .job = job};
    ilk_status st = ilki_base_pool_run(s->f->pool, &run, err);
    if (st == ILK_OK && s->corrupt)
        return ilki_base_fail(err, ILK_CORRUPT, "flat index: a block of its file fails its checksum");
    return st;
}

/* The best of all tasks for question k, sorted, at most n_candidates into `to`. */
static size_t merge_tasks(const scan *s, size_t n_tasks, size_t k, ilki_candidate *to)
{
    ilki_topk merged = {to, s->n_candidates, 0};
    for (size_t t = 0; t < n_tasks; t++) {
        size_t at = t * s->n_questions + k;
        for (size_t i = 0; i < s->kept[at]; i++)
            ilki_index_topk_push(&merged, s->heaps[at * s->n_candidates + i]);
    }
    ilki_index_topk_sort(&merged);
    return merged.n;
}

static ilk_status norm_of(const ilki_flat *f, const float *vector, double *norm, ilk_error *err)
{
    double norm2 = 0;
    for (uint32_t i = 0; i < f->dim; i++)
        norm2 += (double)vector[i] * (double)vector[i];
    *norm = sqrt(norm2);
    return isfinite(norm2) ? ILK_OK : ilki_base_fail(err, ILK_NOT_FINITE, "the query vector holds a NaN or infinity");
}

/* At most MAX_QUESTIONS; `step` candidates of room for each, of which as many are used as there are rows. */
static ilk_status find_some(const ilki_flat *f, const ilki_index_query *q, size_t n_q, ilk_job *job, ilki_candidate *to,
                            size_t step, size_t *n, ilk_error *err)
{
    question questions[MAX_QUESTIONS];
    size_t tasks[2], live = count(&f->base), bytes = 0, n_heaps = 0;
    scan s = {.f = f, .allowed = q->allowed, .n_allowed = q->n_allowed, .questions = questions, .n_questions = n_q};
    memset(n, 0, n_q * sizeof *n);
    for (int i = 0; i < 2; i++)
        tasks[i] = (f->block[i].n + TASK_ROWS - 1) / TASK_ROWS;
    s.n_candidates = step < live ? step : live;
    s.tasks_of_0 = tasks[0];
    if (s.n_candidates == 0 || (q->allowed && q->n_allowed == 0))
        return ILK_OK;
    size_t n_tasks = tasks[0] + tasks[1];
    int8_t *codes = ilki_base_alloc_aligned(n_q * f->stride, 1);
    s.kept = ilki_base_zalloc(n_tasks * n_q, sizeof *s.kept);
    bool fits = ilki_base_mul(n_tasks * n_q, s.n_candidates, &n_heaps) &&
                ilki_base_mul(n_heaps, sizeof *s.heaps, &bytes);
    s.heaps = fits ? ilki_base_zalloc(n_heaps, sizeof *s.heaps) : NULL;
    ilk_status st = codes && s.kept && s.heaps ? ILK_OK : ilki_base_fail_memory(err, bytes, "a search");
    for (size_t k = 0; st == ILK_OK && k < n_q; k++) {
        int8_t *own = codes + k * f->stride;
        memset(own, 0, f->stride);
        st = norm_of(f, q[k].vector, &questions[k].norm, err);
        questions[k].scale = f->ops->quant_i8(own, q[k].vector, f->dim);
        questions[k].codes = own;
    }
    if (st == ILK_OK)
        st = run_scan(&s, n_tasks, job, err);
    for (size_t k = 0; st == ILK_OK && k < n_q; k++)
        n[k] = merge_tasks(&s, n_tasks, k, to + k * step);
    free(codes);
    free(s.kept);
    free(s.heaps);
    return st;
}

static ilk_status candidates(const ilki_index *ix, const ilki_index_query *q, size_t n_q, ilk_job *job,
                             ilki_candidate *to, size_t *n, ilk_error *err)
{
    ilk_status st = ILK_OK;
    size_t step = n_q ? q->n_candidates : 0;
    for (size_t i = 0; st == ILK_OK && i < n_q; i += MAX_QUESTIONS) {
        size_t some = n_q - i < MAX_QUESTIONS ? n_q - i : MAX_QUESTIONS;
        st = find_some((const ilki_flat *)ix, q + i, some, job, to + i * step, step, n + i, err);
    }
    return st;
}

static ilk_status rerank(const ilki_flat *f, const ilki_index_query *q, ilki_topk *top, float *vector, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < top->n && st == ILK_OK; i++) {
        st = q->fetch(q->fetch_user, top->heap[i].label, vector, err);
        if (st == ILK_OK)
            top->heap[i].score = ilki_index_score(f->metric, q->vector, vector, f->dim);
    }
    ilki_index_topk_sort(top);
    return st;
}

static ilk_status search(const ilki_index *ix, const ilki_index_query *q, ilk_job *job, ilki_candidate *out, size_t *n,
                         ilk_error *err)
{
    const ilki_flat *f = (const ilki_flat *)ix;
    size_t step = q->n_candidates > q->k ? q->n_candidates : q->k, live = count(ix), n_found = 0;
    *n = 0;
    step = q->given ? q->n_given : step < live ? step : live;
    if (step == 0)
        return ILK_OK;
    float *vector = ilki_base_alloc_aligned(f->dim, sizeof *vector);
    ilki_candidate *found = ilki_base_zalloc(step, sizeof *found);
    ilk_status st = vector && found ? ILK_OK : ilki_base_fail_memory(err, step * sizeof *found, "a search");
    if (st == ILK_OK && q->given)
        memcpy(found, q->given, (n_found = step) * sizeof *found);
    else if (st == ILK_OK)
        st = find_some(f, q, 1, job, found, step, &n_found, err);
    ilki_topk top = {found, step, n_found};
    if (st == ILK_OK && q->fetch)
        st = rerank(f, q, &top, vector, err);
    if (st == ILK_OK) {
        *n = top.n < q->k ? top.n : q->k;
        memcpy(out, top.heap, *n * sizeof *out);
    }
    free(vector);
    free(found);
    return st;
}

/* ------------------------------------------------------------------ check */

static ilk_status check(const ilki_index *ix, ilk_error *err)
{
    const ilki_flat *f = (const ilki_flat *)ix;
    uint64_t last = 0;
    if (f->file.size) {
        ilk_status st = ilki_index_flat_touch(f, f->file.data + f->payload_at, f->payload_bytes, err);
        if (st != ILK_OK)
            return st;
    }
    for (int i = 0; i < 2; i++) {
        const ilki_flat_block *b = &f->block[i];
        for (size_t row = 0; row < b->n; row++) {
            if (row + (size_t)i && b->labels[row] <= last && last)
                return ilki_base_fail(err, ILK_CORRUPT, "flat index: label %llu after %llu",
                                      (unsigned long long)b->labels[row], (unsigned long long)last);
            last = b->labels[row];
            if (!isfinite(b->scale[row]) || b->scale[row] < 0 || b->norm[row] < 0)
                return ilki_base_fail(err, ILK_CORRUPT, "flat index: row of %llu has scale %g and norm %g",
                                      (unsigned long long)last, (double)b->scale[row], (double)b->norm[row]);
            for (size_t k = 0; k < f->stride; k++)
                if (b->codes[row * f->stride + k] == -128 || (k >= f->dim && b->codes[row * f->stride + k] != 0))
                    return ilki_base_fail(err, ILK_CORRUPT, "flat index: row of %llu has code %d at %zu",
                                          (unsigned long long)last, b->codes[row * f->stride + k], k);
        }
    }
    return ILK_OK;
}

const ilki_index_type ilki_index_flat = {
    .name = "flat",
    .new_ = ilki_index_flat_new,
    .free = ilki_index_flat_free,
    .add = add,
    .remove = remove_label,
    .count = count,
    .search = search,
    .candidates = candidates,
    .save = ilki_index_flat_save,
    .load = ilki_index_flat_load,
    .check = check,
};
