/* SPDX-License-Identifier: Apache-2.0
 * The one ilki_loader of weights. It walks the list twice: first every tensor is found and checked and the small ones are
 * read, so that a broken checkpoint fails before any work is done; then the linears are packed and the large tables coded
 * (weight_packs.c, weight_tables.c). Of names weight_names.c knows all. */
#include "models/weights.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "models/loader.h"

#define PACKED_ALIGN ((size_t)ILKI_ALIGN)

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

static const char *any_file(const ilki_loader *l)
{
    const ilki_tensor *t = ilki_format_view(l->src->weights, 0);
    return t ? t->file : l->src->dir;
}

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
static ilk_status get(const ilki_loader *l, const want *w, const ilki_tensor **out, ilk_error *err)
{
    char name[ILKI_WEIGHT_NAME], expected[ILKI_SHAPE_TEXT], found[ILKI_SHAPE_TEXT];
    ilki_tensor model = {.rank = w->rank, .shape = {w->shape[0], w->shape[1]}};
    const ilki_tensor *t = NULL;
    if (w->old_suffix)
        t = ilki_models_weight_find(l, w->row, w->layer, w->part, w->old_suffix);
    if (!t)
        t = ilki_models_weight_find(l, w->row, w->layer, w->part, w->suffix);
    *out = t;
    if (!t && w->optional)
        return ILK_OK;
    ilki_models_weight_name(l, w->row, w->layer, w->part, w->suffix, name);
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

void *ilki_models_weight_member(const ilki_loader *l, const ilki_weight *row, uint32_t layer)
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
static ilk_status view_matrix(const ilki_loader *l, const ilki_weight *row, const ilki_tensor **t, ilk_error *err)
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

/* Room in the block, once the job has all its parts. */
static ilk_status measure_linear(ilki_loader *l, const ilki_weight *row, ilki_pack_job *job, size_t n_out,
                                 ilk_error *err)
{
    size_t n_in = (size_t)l->to->dims[row->cols], n_bytes = 0;
    job->at = l->n_bytes;
    /* heads are small, and what they give is the result itself */
    job->form = strstr(row->name, "%u") ? ilki_tensor_form_for(l->src->form, n_in) : ILKI_FORM_F32;
    job->streamed = l->src->streamed && strstr(row->name, "%u") && job->form == ILKI_FORM_F32;
    if (job->streamed)
        return ILK_OK;
    if (!ilki_tensor_packed_bytes(l->src->ops, job->form, n_out, n_in, &n_bytes) ||
        !ilki_base_add(n_bytes, PACKED_ALIGN - 1, &n_bytes) ||
        !ilki_base_add(l->n_bytes, n_bytes / PACKED_ALIGN * PACKED_ALIGN, &l->n_bytes))
        return ilki_base_fail(err, ILK_LIMIT, "%s: tensor %s: too many weights", job->weights[0]->file,
                              job->weights[0]->name);
    l->to->memory_bytes += n_bytes / PACKED_ALIGN * PACKED_ALIGN + n_out * sizeof(float);
    return ILK_OK;
}

static ilk_status find_linear(ilki_loader *l, const ilki_weight *row, uint32_t layer, ilk_error *err)
{
    const uint64_t *dims = l->to->dims;
    ilki_pack_job *job = &l->jobs[l->n_jobs];
    *job = (ilki_pack_job){.to = ilki_models_weight_member(l, row, layer), .n_parts = count_parts(row)};
    size_t n_found = 0, n_bias = 0, n_out = 0;
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
    ilk_status s = measure_linear(l, row, job, n_out, err);
    if (s == ILK_OK)
        s = ilki_models_find_packs(l, job, err);
    l->n_jobs += s == ILK_OK;
    return s;
}

static ilk_status read_vector(ilki_loader *l, const want *w, const float **out, ilk_error *err)
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

static ilk_status read_norm(ilki_loader *l, const ilki_weight *row, uint32_t layer, ilk_error *err)
{
    ilki_norm *norm = ilki_models_weight_member(l, row, layer);
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

static ilk_status load_row(ilki_loader *l, const ilki_weight *row, uint32_t layer, ilk_error *err)
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
        return read_vector(l, &w, ilki_models_weight_member(l, row, layer), err);
    case ILKI_WEIGHT_TABLE:
        w.rank = 2;
        w.shape[0] = dims[row->rows[0]];
        w.shape[1] = dims[row->cols];
        return get(l, &w, ilki_models_weight_member(l, row, layer), err);
    }
    return ILK_OK;
}

static uint32_t n_instances(const ilki_weight_target *to, const ilki_weight *row)
{
    return strstr(row->name, "%u") ? to->n_layers : 1;
}

/* ---- the whole list */

static ilk_status load_rows(ilki_loader *l, ilk_error *err)
{
    size_t n_jobs = 0;
    for (size_t i = 0; i < l->list->n_rows; i++)
        if (l->list->rows[i].kind == ILKI_WEIGHT_LINEAR || l->list->rows[i].kind == ILKI_WEIGHT_TABLE)
            n_jobs += n_instances(l->to, &l->list->rows[i]);
    l->used = ilki_base_zalloc(ilki_format_count(l->src->weights), sizeof *l->used);
    l->jobs = ilki_base_zalloc(n_jobs, sizeof *l->jobs);
    if (!l->used || !l->jobs)
        return ilki_base_fail_memory(err, n_jobs * sizeof *l->jobs, "the list of weights");
    ilk_status s = ilki_models_choose_prefix(l, err);
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
                s = ilki_models_code_rows(l, &l->list->rows[i], layer, err);
    if (s != ILK_OK)
        return s;
    s = ilki_models_pack(l, err);
    if (s == ILK_OK)
        ilki_models_warn_unused(l);
    return s;
}

ilk_status ilki_models_load(const ilki_weight_list *list, const ilki_model_source *src, ilki_weight_target *to,
                            ilk_error *err)
{
    ilki_loader l = {.list = list, .src = src, .to = to, .ready = ilki_tensor_packs_mapped(src->packs)};
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
    ilki_loader l = {.list = list, .to = (ilki_weight_target[]){*to}};
    if (!to->net)
        return;
    for (size_t i = 0; i < list->n_rows; i++)
        for (uint32_t layer = 0; layer < n_instances(to, &list->rows[i]); layer++)
            if (list->rows[i].kind == ILKI_WEIGHT_LINEAR)
                ilki_tensor_linear_deinit(ilki_models_weight_member(&l, &list->rows[i], layer));
    ilki_base_arena_deinit(to->arena);
}
