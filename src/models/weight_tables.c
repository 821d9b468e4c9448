/* SPDX-License-Identifier: Apache-2.0
 * Large tables as codes with a scale per row: with layers of 8 bits a table of words (not of positions) is laid out so,
 * since a run over many texts would touch most of its pages; else it is read where it lies in the file. Not where codes
 * would cost the vectors something: a sample of its rows, and the norm that reads them, tell. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/loader.h"

enum { CODED_ROWS = 4096, SAMPLES = 16, SAMPLED_ROWS = 16, UNEVEN = 8 };

/* ---- whether */

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
static const ilki_norm *norm_behind(const ilki_loader *l, const ilki_weight *row)
{
    const ilki_weight *end = l->list->rows + l->list->n_rows;
    do
        row++;
    while (row < end && (row->kind == ILKI_WEIGHT_TABLE || row->kind == ILKI_WEIGHT_VECTOR));
    return row < end && row->kind == ILKI_WEIGHT_NORM && !strstr(row->name, "%u") ? ilki_models_weight_member(l, row, 0)
                                                                                  : NULL;
}

/* Whether codes with a scale per row would do: not where some channels are far larger than the rest, which would be left
 * few steps, nor where the norm behind makes some far larger, which would be made of the errors of few steps. */
static ilk_status may_be_coded(const ilki_loader *l, const ilki_weight *row, const ilki_tensor *t, bool *may,
                               ilk_error *err)
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

/* Whether the table is to be coded: what an earlier start found out, or a look at it. */
static ilk_status decide(const ilki_loader *l, const ilki_weight *row, const ilki_tensor *t, bool *may, ilk_error *err)
{
    if (!l->ready)
        return may_be_coded(l, row, t, may, err);
    *may = ilki_tensor_packs_peek(l->src->packs) != ILKI_PACK_PLAIN;
    return ILK_OK;
}

ilk_status ilki_models_code_rows(ilki_loader *l, const ilki_weight *row, uint32_t layer, ilk_error *err)
{
    const ilki_tensor **to = ilki_models_weight_member(l, row, layer), *from = *to;
    bool may = false;
    if (!from || l->src->form < ILKI_FORM_I8 || from->shape[0] < CODED_ROWS)
        return ILK_OK;
    ilk_status s = decide(l, row, from, &may, err);
    if (s != ILK_OK)
        return s;
    ilki_pack_job *job = &l->jobs[l->n_jobs++];
    *job = (ilki_pack_job){.weights = {from}, .n_parts = 1};
    if (!may)
        return ilki_models_find_packs(l, job, err);
    size_t rows = (size_t)from->shape[0], n = rows * (size_t)from->shape[1]; /* it is in the file */
    job->table = ilki_base_arena_alloc(l->to->arena, 1, sizeof *job->table);
    job->codes = l->ready ? NULL : ilki_base_arena_alloc(l->to->arena, n, 1);
    job->scales = l->ready ? NULL : ilki_base_arena_alloc(l->to->arena, rows, sizeof *job->scales);
    if (!job->table || (!l->ready && (!job->codes || !job->scales)))
        return ilki_base_fail_memory(err, n + rows * sizeof *job->scales, from->name);
    *job->table = *from;
    job->table->data = (const unsigned char *)job->codes;
    job->table->n_bytes = n;
    job->table->dtype = ILKI_DTYPE_I8;
    job->table->row_scales = job->scales;
    l->to->memory_bytes += n + rows * sizeof *job->scales;
    *to = job->table;
    return ilki_models_find_packs(l, job, err);
}

/* ---- coding */

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
ilk_status ilki_models_code_table(const ilki_loader *l, const ilki_pack_job *job, ilk_error *err)
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
