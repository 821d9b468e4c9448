/* SPDX-License-Identifier: Apache-2.0
 * The one loader of weights. It walks the list twice: first every tensor is found and checked and the small ones are
 * read, so that a broken checkpoint fails before any work is done; then the linears are packed on the pool, one task
 * each, into one block of huge pages, and the pages of their sources given back. Or they were packed at an earlier start
 * (src->packs): then the same tasks check the bytes that are mapped, and sources are not read. */
#include "models/weights.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define MAX_NAME     256
#define PACKED_ALIGN ((size_t)ILKI_ALIGN)

typedef struct pack_job {
    ilki_linear *to;
    ilki_tensor *table; /* to be filled with codes and scales instead; NULL: none */
    int8_t *codes;
    float *scales;
    const ilki_pack *ready, *ready_scales; /* what was packed before: of a linear, or of a table codes and scales */
    size_t at;                             /* bytes into the block */
    ilki_form form;
    bool streamed; /* has no packed form */
    const ilki_tensor *weights[ILKI_WEIGHT_PARTS], *biases[ILKI_WEIGHT_PARTS];
    size_t n_parts;
} pack_job;

typedef struct loader {
    const ilki_weight_list *list;
    const ilki_model_source *src;
    ilki_weight_target *to;
    const char *wrap; /* what stands before every name, n_wrap bytes of it */
    size_t n_wrap;
    const char *prefix; /* of the list, behind that */
    bool *used;         /* per tensor of the set */
    pack_job *jobs;
    size_t n_jobs;
    bool ready;           /* packed forms are mapped from src->packs */
    unsigned char *block; /* of the packed forms, in the target's arena */
    size_t n_bytes;
    pthread_mutex_t lock; /* guards the rest */
    size_t failed;        /* the lowest job that failed; n_jobs: none */
    ilk_status status;
    ilk_error *err;
} loader;

/* ---- names */

/* wrap + prefix + pattern with %u and %s filled in + suffix */
static void make_name(const loader *l, const ilki_weight *row, uint32_t layer, const char *part, const char *suffix,
                      char to[MAX_NAME])
{
    size_t at = 0;
    bool bare = row->name[0] == '/';
    at += (size_t)snprintf(to, MAX_NAME, "%.*s%s", (int)l->n_wrap, l->wrap ? l->wrap : "", bare ? "" : l->prefix);
    for (const char *p = row->name + bare; *p && at < MAX_NAME; p++) {
        if (p[0] == '%' && p[1] == 'u')
            at += (size_t)snprintf(to + at, MAX_NAME - at, "%" PRIu32, layer);
        else if (p[0] == '%' && p[1] == 's')
            at += (size_t)snprintf(to + at, MAX_NAME - at, "%s", part);
        else
            at += (size_t)snprintf(to + at, MAX_NAME - at, "%c", *p);
        p += p[0] == '%';
    }
    if (at < MAX_NAME)
        snprintf(to + at, MAX_NAME - at, "%s", suffix);
}

static const ilki_tensor *find(const loader *l, const char *name)
{
    const ilki_tensor *t = ilki_format_find(l->src->weights, name);
    if (t)
        l->used[t - ilki_format_view(l->src->weights, 0)] = true;
    return t;
}

/* A name that takes no prefix may have it all the same, in a file where everything has. */
static const ilki_tensor *find_row(const loader *l, const ilki_weight *row, uint32_t layer, const char *part,
                                   const char *suffix)
{
    char name[MAX_NAME];
    make_name(l, row, layer, part, suffix, name);
    const ilki_tensor *t = find(l, name);
    if (!t && row->name[0] == '/') {
        ilki_weight plain = *row;
        plain.name++;
        make_name(l, &plain, layer, part, suffix, name);
        t = find(l, name);
    }
    return t;
}

static const char *any_file(const loader *l)
{
    const ilki_tensor *t = ilki_format_view(l->src->weights, 0);
    return t ? t->file : l->src->dir;
}

/* ---- finding and checking one tensor */

typedef struct want {
    const ilki_weight *row;
    uint32_t layer;
    const char *part;
    const char *suffix, *old_suffix; /* .weight or .gamma; old may be NULL */
    uint64_t shape[2];
    uint32_t rank;
    bool optional;
} want;

static bool fits(const ilki_tensor *t, const want *w)
{
    size_t n = 0;
    if (w->row->kind == ILKI_WEIGHT_VECTOR && w->row->stored == ILKI_STORED_FLAT)
        return ilki_tensor_count(t, &n) && n == w->shape[0];
    if (w->row->stored == ILKI_STORED_FLAT && w->rank == 2)
        return t->rank >= 2 && t->shape[0] == w->shape[0] && ilki_tensor_count(t, &n) && n == w->shape[0] * w->shape[1];
    return t->rank == w->rank && memcmp(t->shape, w->shape, w->rank * sizeof *t->shape) == 0;
}

/* *out NULL where it is absent and optional */
static ilk_status get(const loader *l, const want *w, const ilki_tensor **out, ilk_error *err)
{
    char name[MAX_NAME], expected[ILKI_SHAPE_TEXT], found[ILKI_SHAPE_TEXT];
    ilki_tensor model = {.rank = w->rank, .shape = {w->shape[0], w->shape[1]}};
    const ilki_tensor *t = NULL;
    if (w->old_suffix)
        t = find_row(l, w->row, w->layer, w->part, w->old_suffix);
    if (!t)
        t = find_row(l, w->row, w->layer, w->part, w->suffix);
    *out = t;
    if (!t && w->optional)
        return ILK_OK;
    make_name(l, w->row, w->layer, w->part, w->suffix, name);
    ilki_tensor_print_shape(&model, expected, sizeof expected);
    if (!t)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected shape %s, found no tensor of this name",
                              any_file(l), name, expected);
    if (!fits(t, w)) {
        ilki_tensor_print_shape(t, found, sizeof found);
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected shape %s, as config.json has it, found %s",
                              t->file, t->name, expected, found);
    }
    size_t n = 0;
    if (ilki_tensor_count(t, &n))
        l->to->n_parameters += n;
    return ILK_OK;
}

/* ---- one row of the list */

static void *member(const loader *l, const ilki_weight *row, uint32_t layer)
{
    bool per_layer = strstr(row->name, "%u") != NULL;
    char *base = per_layer ? (char *)l->to->layers + l->to->layer_size * layer : l->to->net;
    return base + row->offset;
}

static size_t count_parts(const ilki_weight *row)
{
    size_t n = 0;
    while (n < ILKI_WEIGHT_PARTS && row->parts[n])
        n++;
    return n ? n : 1;
}

/* A view of the matrix that `t` is in the layout that packing reads, where the file has another. */
static ilk_status view_matrix(const loader *l, const ilki_weight *row, const ilki_tensor **t, ilk_error *err)
{
    if (row->stored == ILKI_STORED_PLAIN || !*t)
        return ILK_OK;
    const ilki_tensor *from = *t;
    size_t n = 0, rows = (size_t)from->shape[0];
    ilki_tensor *view = ilki_base_arena_alloc(l->to->arena, 1, sizeof *view);
    if (!view || !ilki_tensor_count(from, &n) || rows == 0)
        return ilki_base_fail_memory(err, sizeof *view, from->name);
    *t = view;
    *view = *from;
    view->rank = 2;
    view->shape[1] = n / rows;
    if (row->stored == ILKI_STORED_FLAT)
        return ILK_OK;
    size_t cols = n / rows;
    float *copy = ilki_base_arena_alloc(l->to->arena, n, sizeof *copy);
    float *whole = ilki_base_alloc_aligned(n, sizeof *whole);
    ilk_status s = copy && whole ? ilki_tensor_read_f32(from, 0, n, whole, err)
                                 : ilki_base_fail_memory(err, n * sizeof *copy, from->name);
    for (size_t i = 0; s == ILK_OK && i < rows; i++)
        for (size_t k = 0; k < cols; k++)
            copy[k * rows + i] = whole[i * cols + k];
    free(whole);
    view->dtype = ILKI_DTYPE_F32;
    view->data = (const unsigned char *)copy;
    view->n_bytes = n * sizeof *copy;
    view->shape[0] = cols;
    view->shape[1] = rows;
    return s;
}

static ilk_status find_linear(loader *l, const ilki_weight *row, uint32_t layer, ilk_error *err)
{
    const uint64_t *dims = l->to->dims;
    pack_job *job = &l->jobs[l->n_jobs];
    *job = (pack_job){.to = member(l, row, layer), .n_parts = count_parts(row)};
    size_t n_found = 0, n_bias = 0, n_out = 0, n_bytes = 0;
    bool swap = row->stored == ILKI_STORED_TRANSPOSED;
    for (size_t i = 0; i < job->n_parts; i++) {
        want w = {.row = row,
                  .layer = layer,
                  .part = row->parts[i],
                  .suffix = row->suffixes[0] ? row->suffixes[0] : ".weight",
                  .shape = {dims[swap ? row->cols : row->rows[i]], dims[swap ? row->rows[i] : row->cols]},
                  .rank = 2,
                  .optional = row->optional && n_found == 0};
        want b = {.row = row,
                  .layer = layer,
                  .part = row->parts[i],
                  .suffix = row->suffixes[1] ? row->suffixes[1] : ".bias",
                  .shape = {dims[row->rows[i]]},
                  .rank = 1,
                  .optional = row->bias == ILKI_BIAS_OPTIONAL};
        ilk_status s = get(l, &w, &job->weights[i], err);
        if (s == ILK_OK && job->weights[i] && row->bias != ILKI_BIAS_NONE)
            s = get(l, &b, &job->biases[i], err);
        if (s != ILK_OK)
            return s;
        n_found += job->weights[i] != NULL;
        n_bias += job->biases[i] != NULL;
        n_out += (size_t)dims[row->rows[i]];
        s = view_matrix(l, row, &job->weights[i], err);
        if (s != ILK_OK)
            return s;
        if (n_found != 0 && n_found != i + 1)
            return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected its sibling parts too, found none",
                                  job->weights[i]->file, job->weights[i]->name);
    }
    if (n_bias != 0 && n_bias != job->n_parts)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected biases of all parts or of none, found %zu",
                              job->weights[0]->file, job->weights[0]->name, n_bias);
    if (n_found == 0)
        return ILK_OK;
    job->at = l->n_bytes;
    /* heads are small, and what they give is the result itself */
    job->form = strstr(row->name, "%u") ? ilki_tensor_form_for(l->src->form, (size_t)dims[row->cols]) : ILKI_FORM_F32;
    job->streamed = l->src->streamed && strstr(row->name, "%u") && job->form == ILKI_FORM_F32;
    if (job->streamed) {
        l->n_jobs++;
        return ILK_OK;
    }
    if (!ilki_tensor_packed_bytes(l->src->ops, job->form, n_out, (size_t)dims[row->cols], &n_bytes) ||
        !ilki_base_add(n_bytes, PACKED_ALIGN - 1, &n_bytes) ||
        !ilki_base_add(l->n_bytes, n_bytes / PACKED_ALIGN * PACKED_ALIGN, &l->n_bytes))
        return ilki_base_fail(err, ILK_LIMIT, "%s: tensor %s: too many weights", job->weights[0]->file,
                              job->weights[0]->name);
    l->to->memory_bytes += n_bytes / PACKED_ALIGN * PACKED_ALIGN + n_out * sizeof(float);
    l->n_jobs++;
    return ILK_OK;
}

static ilk_status read_vector(loader *l, const want *w, const float **out, ilk_error *err)
{
    const ilki_tensor *t = NULL;
    ilk_status s = get(l, w, &t, err);
    if (s != ILK_OK || !t)
        return s;
    size_t n = (size_t)w->shape[0];
    float *v = ilki_base_arena_alloc(l->to->arena, n, sizeof *v);
    if (!v)
        return ilki_base_fail_memory(err, n * sizeof *v, t->name);
    *out = v;
    l->to->memory_bytes += n * sizeof *v;
    return ilki_tensor_read_f32(t, 0, n, v, err);
}

static ilk_status read_norm(loader *l, const ilki_weight *row, uint32_t layer, ilk_error *err)
{
    ilki_norm *norm = member(l, row, layer);
    want w = {.row = row,
              .layer = layer,
              .suffix = ".weight",
              .old_suffix = ".gamma",
              .rank = 1,
              .shape = {l->to->dims[row->cols]},
              .optional = row->optional};
    ilk_status s = read_vector(l, &w, &norm->w, err);
    norm->dim = (size_t)w.shape[0];
    if (s != ILK_OK || !norm->w || row->bias == ILKI_BIAS_NONE)
        return s;
    w.suffix = ".bias";
    w.old_suffix = ".beta";
    w.optional = row->bias == ILKI_BIAS_OPTIONAL;
    return read_vector(l, &w, &norm->b, err);
}

enum { CODED_ROWS = 4096, SAMPLES = 16, SAMPLED_ROWS = 16, UNEVEN = 8 };

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Whether a few of n > 0 sizes are far larger than most; sorts them. */
static bool is_uneven(float *sizes, size_t n)
{
    qsort(sizes, n, sizeof *sizes, by_value);
    return sizes[n - 1] > UNEVEN * sizes[n / 2];
}

/* The norm that reads what a table gives: the row behind it, others that are added up with it aside. */
static const ilki_norm *norm_behind(const loader *l, const ilki_weight *row)
{
    const ilki_weight *end = l->list->rows + l->list->n_rows;
    do
        row++;
    while (row < end && (row->kind == ILKI_WEIGHT_TABLE || row->kind == ILKI_WEIGHT_VECTOR));
    return row < end && row->kind == ILKI_WEIGHT_NORM && !strstr(row->name, "%u") ? member(l, row, 0) : NULL;
}

/* Whether codes with a scale per row would do: not where some channels are far larger than the rest, which would be left
 * few steps, nor where the norm behind makes some far larger, which would be made of the errors of few steps. */
static ilk_status may_be_coded(const loader *l, const ilki_weight *row, const ilki_tensor *t, bool *may, ilk_error *err)
{
    const ilki_norm *norm = norm_behind(l, row);
    size_t rows = (size_t)t->shape[0], cols = (size_t)t->shape[1];
    float *one = ilki_base_zalloc(2 * cols, sizeof *one), *sizes = one ? one + cols : NULL;
    ilk_status s = one ? ILK_OK : ilki_base_fail_memory(err, 2 * cols * sizeof *one, t->name);
    *may = true;
    for (size_t k = 0; one && norm && norm->w && norm->dim == cols && k < cols; k++)
        sizes[k] = fabsf(norm->w[k]);
    if (one && is_uneven(sizes, cols))
        *may = false;
    memset(sizes, 0, one ? cols * sizeof *sizes : 0);
    for (size_t i = 0; *may && i < SAMPLES * SAMPLED_ROWS && s == ILK_OK; i++) { /* in few places, for few pages */
        size_t at = rows / SAMPLES * (i / SAMPLED_ROWS) + i % SAMPLED_ROWS;
        s = ilki_tensor_read_f32(t, at * cols, cols, one, err);
        for (size_t k = 0; k < cols && s == ILK_OK; k++)
            sizes[k] += fabsf(one[k]);
    }
    ilki_format_done_with(l->src->weights, t);
    if (s == ILK_OK && *may)
        *may = !is_uneven(sizes, cols);
    free(one);
    return s;
}

/* With layers of 8 bits a large table (of words, not of positions) becomes codes with a scale per row, since a run over
 * many texts would touch most of its pages; else it is read where it lies in the file. */
static ilk_status code_rows_of(loader *l, const ilki_weight *row, uint32_t layer, ilk_error *err)
{
    const ilki_tensor **to = member(l, row, layer), *from = *to;
    bool may = false;
    if (!from || l->src->form < ILKI_FORM_I8 || from->shape[0] < CODED_ROWS)
        return ILK_OK;
    ilk_status s = may_be_coded(l, row, from, &may, err);
    if (s != ILK_OK || !may)
        return s;
    size_t rows = (size_t)from->shape[0], n = rows * (size_t)from->shape[1]; /* it is in the file */
    ilki_tensor *table = ilki_base_arena_alloc(l->to->arena, 1, sizeof *table);
    int8_t *codes = l->ready ? NULL : ilki_base_arena_alloc(l->to->arena, n, 1);
    float *scales = l->ready ? NULL : ilki_base_arena_alloc(l->to->arena, rows, sizeof *scales);
    if (!table || (!l->ready && (!codes || !scales)))
        return ilki_base_fail_memory(err, n + rows * sizeof *scales, from->name);
    *table = *from;
    table->data = (const unsigned char *)codes;
    table->n_bytes = n;
    table->dtype = ILKI_DTYPE_I8;
    table->row_scales = scales;
    l->jobs[l->n_jobs++] = (pack_job){
        .table = table, .codes = codes, .scales = scales, .weights = {from}, .n_parts = 1};
    l->to->memory_bytes += n + rows * sizeof *scales;
    *to = table;
    return ILK_OK;
}

static ilk_status load_row(loader *l, const ilki_weight *row, uint32_t layer, ilk_error *err)
{
    const uint64_t *dims = l->to->dims;
    want w = {
        .row = row, .layer = layer, .suffix = "", .shape = {dims[row->cols]}, .rank = 1, .optional = row->optional};
    switch (row->kind) {
    case ILKI_WEIGHT_LINEAR:
        return find_linear(l, row, layer, err);
    case ILKI_WEIGHT_NORM:
        return read_norm(l, row, layer, err);
    case ILKI_WEIGHT_VECTOR:
        return read_vector(l, &w, member(l, row, layer), err);
    case ILKI_WEIGHT_TABLE:
        w.rank = 2;
        w.shape[0] = dims[row->rows[0]];
        w.shape[1] = dims[row->cols];
        return get(l, &w, member(l, row, layer), err);
    }
    return ILK_OK;
}

static uint32_t n_instances(const ilki_weight_target *to, const ilki_weight *row)
{
    return strstr(row->name, "%u") ? to->n_layers : 1;
}

/* ---- packing */

/* The rows of a table from `first` on, at most CODED_ROWS, as a table of their own. */
static ilki_tensor band_of(const ilki_tensor *t, size_t first)
{
    ilki_tensor band = *t;
    size_t row_bytes = (size_t)(t->n_bytes / t->shape[0]), left = (size_t)t->shape[0] - first;
    band.data += first * row_bytes;
    band.shape[0] = left < CODED_ROWS ? left : CODED_ROWS;
    band.n_bytes = band.shape[0] * row_bytes;
    return band;
}

/* Band by band; pages are given back on the way, or the whole would stand in memory beside its codes. */
static ilk_status code_table(const loader *l, const pack_job *job, ilk_error *err)
{
    const ilki_tensor *from = job->weights[0];
    size_t rows = (size_t)from->shape[0], cols = (size_t)from->shape[1];
    float *row = ilki_base_alloc_aligned(cols, sizeof *row);
    ilk_status s = row ? ILK_OK : ilki_base_fail_memory(err, cols * sizeof *row, from->name);
    for (size_t first = 0; first < rows && s == ILK_OK; first += CODED_ROWS) {
        ilki_tensor band = band_of(from, first);
        ilki_format_will_need(l->src->weights, &band);
        for (size_t i = 0; i < band.shape[0] && s == ILK_OK; i++) {
            s = ilki_tensor_read_f32(&band, i * cols, cols, row, err);
            if (s == ILK_OK)
                job->scales[first + i] = l->src->ops->quant_i8(job->codes + (first + i) * cols, row, cols);
        }
        ilki_format_done_with(l->src->weights, &band);
    }
    free(row);
    return s;
}

static ilk_status pack_linear(const loader *l, const pack_job *job, ilk_error *err)
{
    const ilki_tensor *const *biases = job->biases[0] ? job->biases : NULL;
    ilki_packing how = {.form = job->form, .streamed = job->streamed};
    if (!job->streamed)
        how.room = l->block + job->at;
    for (size_t p = 0; p < job->n_parts && !job->streamed; p++)
        ilki_format_will_need(l->src->weights, job->weights[p]);
    ilk_status s = ilki_tensor_linear_init_at(job->to, &how, l->src->ops, job->weights, biases, job->n_parts, err);
    for (size_t p = 0; s == ILK_OK && p < job->n_parts; p++)
        ilki_format_done_with(l->src->weights, job->weights[p]);
    return s;
}

static ilk_status take_packed(const loader *l, const pack_job *job, ilk_error *err)
{
    const ilki_tensor *const *biases = job->biases[0] ? job->biases : NULL;
    const ilki_pack *pack = job->ready;
    ilk_status s = ilki_tensor_packs_check(l->src->packs, pack, err);
    if (s == ILK_OK && job->table)
        s = ilki_tensor_packs_check(l->src->packs, job->ready_scales, err);
    if (s != ILK_OK)
        return s;
    if (job->table) {
        job->table->data = pack->data;
        job->table->row_scales = job->ready_scales->data;
        return ILK_OK;
    }
    ilki_packing how = {.form = job->form,
                        .room = (void *)(uintptr_t)pack->data,
                        .ready = true,
                        .n_exact = pack->n_exact,
                        .exact = pack->exact};
    return ilki_tensor_linear_init_at(job->to, &how, l->src->ops, job->weights, biases, job->n_parts, err);
}

static void pack_one(void *arg, size_t i, unsigned slot)
{
    loader *l = arg;
    const pack_job *job = &l->jobs[i];
    ilk_error err;
    ilk_error_init(&err);
    (void)slot;
    ilk_status s = l->ready     ? take_packed(l, job, &err)
                   : job->table ? code_table(l, job, &err)
                                : pack_linear(l, job, &err);
    if (s == ILK_OK)
        return;
    pthread_mutex_lock(&l->lock);
    if (i < l->failed) { /* the lowest, so that the message does not depend on the threads */
        l->failed = i;
        l->status = s;
        ilki_base_error_copy(l->err, &err);
    }
    pthread_mutex_unlock(&l->lock);
}

/* Zeroed by the system, so nothing is touched before a thread packs into it. */
static ilk_status alloc_block(loader *l, ilk_error *err)
{
    size_t n_bytes, slack = l->n_bytes < ILKI_HUGE_BYTES ? ILKI_ALIGN : ILKI_HUGE_BYTES;
    unsigned char *p = NULL;
    if (l->n_bytes == 0)
        return ILK_OK;
    if (ilki_base_add(l->n_bytes, slack, &n_bytes))
        p = ilki_base_arena_alloc(l->to->arena, n_bytes, 1);
    if (!p)
        return ilki_base_fail_memory(err, l->n_bytes, "packed weights");
    ilki_base_advise_huge(p, n_bytes);
    l->block = p + (slack - (uintptr_t)p % slack) % slack;
    return ILK_OK;
}

static ilk_status pack_all(loader *l, ilk_error *err)
{
    ilk_error first;
    ilk_error_init(&first);
    l->failed = l->n_jobs;
    l->err = &first;
    ilki_run run = {.fn = pack_one, .arg = l, .n_tasks = l->n_jobs, .job = l->src->job};
    ilk_status s = ilki_base_pool_run(l->src->pool, &run, err);
    if (s == ILK_OK && l->failed < l->n_jobs) {
        s = l->status;
        if (err)
            ilki_base_error_copy(err, &first);
    }
    return s;
}

/* ---- packed weights on disk */

/* What a job makes: of a linear its packed form, of a table codes and scales. */
static unsigned describe_packs(const loader *l, const pack_job *job, ilki_pack to[2])
{
    if (job->table) {
        uint64_t rows = job->table->shape[0], cols = job->table->shape[1];
        to[0] = (ilki_pack){.kind = ILKI_PACK_CODES, .n_out = rows, .n_in = cols, .n_bytes = rows * cols};
        to[1] = (ilki_pack){.kind = ILKI_PACK_SCALES, .n_out = rows, .n_in = 1, .n_bytes = rows * sizeof(float)};
        to[0].data = job->codes;
        to[1].data = job->scales;
        return 2;
    }
    size_t n_bytes = 0;
    to[0] = (ilki_pack){.kind = ILKI_PACK_LINEAR, .form = job->form, .linear = job->to};
    for (size_t i = 0; i < job->n_parts; i++)
        to[0].n_out += job->weights[i]->shape[0];
    to[0].n_in = job->weights[0]->shape[1];
    if (ilki_tensor_packed_bytes(l->src->ops, job->form, (size_t)to[0].n_out, (size_t)to[0].n_in, &n_bytes))
        to[0].n_bytes = n_bytes; /* what was checked when the block was measured */
    to[0].data = l->block + job->at;
    return 1;
}

static ilk_status find_packs(loader *l, ilk_error *err)
{
    ilk_status s = ILK_OK;
    for (size_t i = 0; i < l->n_jobs && s == ILK_OK; i++) {
        pack_job *job = &l->jobs[i];
        ilki_pack wanted[2];
        unsigned n = describe_packs(l, job, wanted);
        s = ilki_tensor_packs_next(l->src->packs, &wanted[0], &job->ready, err);
        if (s == ILK_OK && n > 1)
            s = ilki_tensor_packs_next(l->src->packs, &wanted[1], &job->ready_scales, err);
    }
    return s;
}

static ilk_status add_packs(const loader *l, ilk_error *err)
{
    ilk_status s = ILK_OK;
    for (size_t i = 0; i < l->n_jobs && s == ILK_OK; i++) {
        ilki_pack made[2];
        unsigned n = describe_packs(l, &l->jobs[i], made);
        for (unsigned k = 0; k < n && s == ILK_OK; k++)
            s = ilki_tensor_packs_add(l->src->packs, &made[k], err);
    }
    return s;
}

/* ---- unused tensors */

static bool matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern), len = strlen(name);
    if (pattern[0] == '*')
        return len >= n - 1 && strcmp(name + len - (n - 1), pattern + 1) == 0;
    if (n && pattern[n - 1] == '*')
        return strncmp(name, pattern, n - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static bool is_ignored(const loader *l, const char *name)
{
    const ilki_weight_list *list = l->list;
    if (l->n_wrap && strncmp(name, l->wrap, l->n_wrap) == 0)
        name += l->n_wrap;
    for (const char *const *p = list->prefixes; *p; p++) {
        size_t n = strlen(*p);
        if (strncmp(name, *p, n) != 0)
            continue;
        for (const char *const *i = list->ignored; *i; i++)
            if (matches(*i, name + n))
                return true;
    }
    return false;
}

static void warn_unused(const loader *l)
{
    size_t n_unused = 0, n = ilki_format_count(l->src->weights);
    const char *file = NULL;
    ilki_buf names;
    ilki_base_buf_init(&names, 1 << 16);
    for (size_t i = 0; i < n; i++) {
        const ilki_tensor *t = ilki_format_view(l->src->weights, i);
        if (l->used[i] || is_ignored(l, t->name))
            continue;
        file = file ? file : t->file;
        if (n_unused++ < 4)
            ilki_base_buf_addf(&names, "%s%s", n_unused > 1 ? ", " : "", t->name);
    }
    if (n_unused)
        ilki_base_log(l->src->rt, ILK_LOG_WARN, "%s: %zu tensors are not used by %s: %s%s", file, n_unused,
                      l->list->family, ilki_base_buf_view(&names), n_unused > 4 ? ", ..." : "");
    ilki_base_buf_deinit(&names);
}

/* ---- the whole list */

/* What programs that save more than a model, or a model that runs inside another, put before its names; in any order and
 * number. */
static const char *const wrappers[] = {"state_dict.", "model_state_dict.", "module.",      "model.",
                                       "auto_model.", "0.auto_model.",     "transformer.", "_orig_mod."};

static bool is_wrap(const char *s, size_t n)
{
    size_t at = 0, len = 1;
    while (at < n && len) {
        len = 0;
        for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers && !len; i++)
            if (strlen(wrappers[i]) <= n - at && memcmp(s + at, wrappers[i], strlen(wrappers[i])) == 0)
                len = strlen(wrappers[i]);
        at += len;
    }
    return at == n;
}

/* Parts what stands before the list's first name: a wrap, and the longest prefix of the list. */
static bool part_stem(loader *l, const char *stem, size_t n)
{
    bool found = false;
    size_t longest = 0;
    for (const char *const *p = l->list->prefixes; *p; p++) {
        size_t len = strlen(*p);
        if (len > n || (found && len <= longest) || memcmp(stem + n - len, *p, len) != 0 || !is_wrap(stem, n - len))
            continue;
        found = true;
        longest = len;
        l->prefix = *p;
        l->wrap = stem;
        l->n_wrap = n - len;
    }
    return found;
}

/* Finds the list's first row: under which wrap and prefix. `*first` and `*second` are two tensors where there are two
 * such rows, `*other` one under an unknown prefix where there is none; false: none. */
static bool find_prefix(loader *l, const ilki_tensor **first, const ilki_tensor **second, const ilki_tensor **other)
{
    static const char *const suffixes[] = {"", ".weight", ".gamma"};
    const ilki_weight *row = &l->list->rows[0];
    *first = *second = *other = NULL;
    l->prefix = "";
    l->n_wrap = 0;
    for (size_t s = 0; s < sizeof suffixes / sizeof *suffixes; s++) {
        char name[MAX_NAME];
        loader bare = {.prefix = ""};
        make_name(&bare, row, 0, row->parts[0], suffixes[s], name);
        for (size_t i = 0; i < ilki_format_count(l->src->weights); i++) {
            const ilki_tensor *t = ilki_format_view(l->src->weights, i);
            size_t len = strlen(t->name), n = strlen(name);
            if (len < n || strcmp(t->name + len - n, name) != 0 || (len > n && t->name[len - n - 1] != '.'))
                continue;
            loader at = *l;
            if (!part_stem(&at, t->name, len - n))
                *other = t;
            else if (*first)
                *second = t;
            else {
                *first = t;
                l->prefix = at.prefix;
                l->wrap = at.wrap;
                l->n_wrap = at.n_wrap;
            }
        }
    }
    return *first != NULL;
}

bool ilki_models_list_fits(const ilki_weight_list *list, const ilki_model_source *src)
{
    const ilki_tensor *first, *second, *other;
    loader l = {.list = list, .src = src};
    return find_prefix(&l, &first, &second, &other);
}

static ilk_status choose_prefix(loader *l, ilk_error *err)
{
    const ilki_tensor *first, *second, *other;
    if (find_prefix(l, &first, &second, &other)) {
        if (!second)
            return ILK_OK;
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected one %s model, found two: tensors %s and %s",
                              first->file, l->list->family, first->name, second->name);
    }
    l->prefix = l->list->prefixes[0];
    l->n_wrap = 0;
    if (other)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected it behind a known prefix, found another",
                              other->file, other->name);
    return ILK_OK;
}

static ilk_status load_rows(loader *l, ilk_error *err)
{
    size_t n_jobs = 0;
    for (size_t i = 0; i < l->list->n_rows; i++)
        if (l->list->rows[i].kind == ILKI_WEIGHT_LINEAR || l->list->rows[i].kind == ILKI_WEIGHT_TABLE)
            n_jobs += n_instances(l->to, &l->list->rows[i]);
    l->used = ilki_base_zalloc(ilki_format_count(l->src->weights), sizeof *l->used);
    l->jobs = ilki_base_zalloc(n_jobs, sizeof *l->jobs);
    if (!l->used || !l->jobs)
        return ilki_base_fail_memory(err, n_jobs * sizeof *l->jobs, "the list of weights");
    ilk_status s = choose_prefix(l, err);
    if (s != ILK_OK)
        return s;
    for (size_t i = 0; i < l->list->n_rows; i++)
        for (uint32_t layer = 0; layer < n_instances(l->to, &l->list->rows[i]); layer++) {
            s = load_row(l, &l->list->rows[i], layer, err);
            if (s != ILK_OK)
                return s;
        }
    for (size_t i = 0; i < l->list->n_rows && s == ILK_OK; i++)
        for (uint32_t layer = 0; layer < n_instances(l->to, &l->list->rows[i]) && s == ILK_OK; layer++)
            if (l->list->rows[i].kind == ILKI_WEIGHT_TABLE)
                s = code_rows_of(l, &l->list->rows[i], layer, err);
    if (s != ILK_OK)
        return s;
    s = l->ready ? find_packs(l, err) : alloc_block(l, err);
    if (s == ILK_OK)
        s = pack_all(l, err);
    if (s == ILK_OK && l->src->packs && !l->ready)
        s = add_packs(l, err);
    if (s == ILK_OK)
        warn_unused(l);
    return s;
}

ilk_status ilki_models_load(const ilki_weight_list *list, const ilki_model_source *src, ilki_weight_target *to,
                            ilk_error *err)
{
    loader l = {.list = list, .src = src, .to = to, .ready = ilki_tensor_packs_mapped(src->packs)};
    to->n_parameters = to->memory_bytes = 0;
    if (pthread_mutex_init(&l.lock, NULL) != 0)
        return ilki_base_fail_memory(err, sizeof l.lock, "a lock");
    ilk_status s = load_rows(&l, err);
    pthread_mutex_destroy(&l.lock);
    free(l.used);
    free(l.jobs);
    return s;
}

void ilki_models_unload(const ilki_weight_list *list, const ilki_weight_target *to)
{
    loader l = {.list = list, .to = (ilki_weight_target[]){*to}};
    if (!to->net)
        return;
    for (size_t i = 0; i < list->n_rows; i++)
        for (uint32_t layer = 0; layer < n_instances(to, &list->rows[i]); layer++)
            if (list->rows[i].kind == ILKI_WEIGHT_LINEAR)
                ilki_tensor_linear_deinit(member(&l, &list->rows[i], layer));
    ilki_base_arena_deinit(to->arena);
}
