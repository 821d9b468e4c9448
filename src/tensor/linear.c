/* SPDX-License-Identifier: Apache-2.0
 * Packs the weights of linear layers. Sources that are no f32 are converted in bands of rows, so that a mapped f16 matrix
 * never stands in memory as a whole beside its packed form; a band is a multiple of every kernel's panel. */
#include "tensor/linear.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BAND_ROWS = 64 }; /* at least */

static bool is_i8(ilki_form form)
{
    return form == ILKI_FORM_I8 || form == ILKI_FORM_I8W;
}

ilki_form ilki_tensor_form_for(ilki_form wanted, size_t n_in)
{
    return is_i8(wanted) && n_in > ILKI_I8_MAX_K ? ILKI_FORM_F32 : wanted;
}

/* Of products of 8 bits: room for as many exact channels as there may be. */
bool ilki_tensor_packed_bytes(const ilki_kern_ops *ops, ilki_form form, size_t n_out, size_t n_in, size_t *n)
{
    size_t rows, cols, most;
    if (!ilki_base_add(n_out, 255, &rows) || !ilki_base_add(n_in, 127, &cols) || !ilki_base_mul(rows, cols, &most) ||
        !ilki_base_mul(most, 8, &most)) /* what kern/ops.h promises to stay under */
        return false;
    *n = is_i8(form)              ? ops->packed_bytes_i8(n_out, n_in, ILKI_I8_EXACT)
         : form == ILKI_FORM_BF16 ? ops->packed_bytes_bf16(n_out, n_in)
                                  : ops->packed_bytes_f32(n_out, n_in);
    return true;
}

/* ---- sizes */

static ilk_status check_weight(const ilki_tensor *w, uint64_t n_in, ilk_error *err)
{
    char shape[128];
    ilki_tensor_print_shape(w, shape, sizeof shape);
    if (w->rank != 2 || w->shape[0] == 0 || w->shape[1] == 0 || (n_in && w->shape[1] != n_in))
        return ilki_base_fail(err, ILK_MISMATCH, "tensor %s: expected a matrix%s, found %s", w->name,
                              n_in ? " as wide as its neighbours" : "", shape);
    return ILK_OK;
}

static ilk_status check_bias(const ilki_tensor *b, const ilki_tensor *w, ilk_error *err)
{
    char shape[128];
    if (b->rank == 1 && b->shape[0] == w->shape[0])
        return ILK_OK;
    ilki_tensor_print_shape(b, shape, sizeof shape);
    return ilki_base_fail(err, ILK_MISMATCH, "tensor %s: expected [%llu], found %s", b->name,
                          (unsigned long long)w->shape[0], shape);
}

/* n_in, n_out and whether any part has a bias; the parts' shapes agree */
static ilk_status check_parts(ilki_linear *l, const ilki_tensor *const *weights, const ilki_tensor *const *biases,
                              size_t n_parts, bool *biased, ilk_error *err)
{
    *biased = false;
    for (size_t i = 0; i < n_parts; i++) {
        ilk_status status = check_weight(weights[i], l->n_in, err);
        const ilki_tensor *b = biases ? biases[i] : NULL;
        if (status == ILK_OK && b)
            status = check_bias(b, weights[i], err);
        if (status != ILK_OK)
            return status;
        *biased |= b != NULL;
        l->n_in = (size_t)weights[i]->shape[1];
        if (!ilki_base_add(l->n_out, (size_t)weights[i]->shape[0], &l->n_out))
            return ilki_base_fail(err, ILK_LIMIT, "tensor %s: too many rows", weights[i]->name);
    }
    return ILK_OK;
}

static float *alloc_floats(size_t n, size_t k, ilk_error *err)
{
    size_t count = 0;
    float *p = ilki_base_mul(n, k, &count) ? ilki_base_alloc_aligned(count, sizeof *p) : NULL;
    if (!p)
        ilki_base_fail_memory(err, count * sizeof *p, "weights of a linear layer");
    return p;
}

static void *alloc_packed(const ilki_kern_ops *ops, ilki_form form, size_t n_out, size_t n_in, ilk_error *err)
{
    size_t n_bytes = SIZE_MAX;
    void *p = ilki_tensor_packed_bytes(ops, form, n_out, n_in, &n_bytes) ? ilki_base_alloc_aligned(n_bytes, 1) : NULL;
    if (!p)
        ilki_base_fail_memory(err, n_bytes, "packed weights of a linear layer");
    return p;
}

/* ---- init */

/* Rows of all parts as one matrix: `n` rows from `first` into `to`. */
static ilk_status read_rows(const ilki_tensor *const *weights, size_t n_in, size_t first, size_t n, float *to,
                            ilk_error *err)
{
    ilk_status status = ILK_OK;
    for (size_t part = 0; n > 0 && status == ILK_OK; part++) {
        size_t rows = (size_t)weights[part]->shape[0];
        if (first >= rows) {
            first -= rows;
            continue;
        }
        size_t take = rows - first < n ? rows - first : n;
        status = ilki_tensor_read_f32(weights[part], first * n_in, take * n_in, to, err);
        to += take * n_in;
        n -= take;
        first = 0;
    }
    return status;
}

/* `n` rows from `first` where they lie, if they are finite f32 at an address for f32 and in one part; else NULL. */
static const float *view_rows(const ilki_tensor *const *weights, size_t n_in, size_t first, size_t n)
{
    size_t part = 0;
    for (; first >= weights[part]->shape[0]; part++)
        first -= (size_t)weights[part]->shape[0];
    const ilki_tensor *w = weights[part];
    if (w->dtype != ILKI_DTYPE_F32 || n > w->shape[0] - first || (uintptr_t)w->data % _Alignof(float) != 0)
        return NULL;
    const void *rows = w->data + first * n_in * sizeof(float);
    return ilki_tensor_finite(rows, n * n_in) ? rows : NULL;
}

/* Rows from j on, which begin a panel. */
static void pack_rows(const ilki_linear *l, const ilki_kern_ops *ops, unsigned char *to, size_t j, const float *rows,
                      size_t n)
{
    if (is_i8(l->form)) {
        const ilki_i8_channels *c = &l->i8->channels;
        ops->pack_i8(to + ops->packed_bytes_i8(j, l->n_in, c->n_exact), rows, l->n_in, n, l->n_in, c);
    } else if (l->form == ILKI_FORM_BF16) {
        ops->pack_bf16(to + ops->packed_bytes_bf16(j, l->n_in), rows, l->n_in, n, l->n_in);
    } else {
        ops->pack_f32(to + ops->packed_bytes_f32(j, l->n_in), rows, l->n_in, n, l->n_in);
    }
}

static size_t band_rows(const ilki_linear *l, const ilki_kern_ops *ops)
{
    size_t nr = is_i8(l->form) ? ops->gemm_i8_nr : l->form == ILKI_FORM_BF16 ? ops->gemm_bf16_nr : ops->gemm_f32_nr;
    return (BAND_ROWS + nr - 1) / nr * nr;
}

/* Rows of band i into `room`; *band is memory for those that are not f32 in the file, made where it is first needed. */
static ilk_status pack_band(const ilki_linear *l, const ilki_kern_ops *ops, void *room, size_t i, float **band,
                            ilk_error *err)
{
    size_t most = band_rows(l, ops), j = i * most, n = l->n_out - j < most ? l->n_out - j : most;
    const float *rows = view_rows(l->parts, l->n_in, j, n);
    ilk_status status = ILK_OK;
    if (!rows && !*band && !(*band = alloc_floats(most, l->n_in, err)))
        return ILK_NO_MEMORY;
    if (!rows) {
        status = read_rows(l->parts, l->n_in, j, n, *band, err);
        rows = *band;
    }
    if (status == ILK_OK)
        pack_rows(l, ops, room, j, rows, n);
    return status;
}

size_t ilki_tensor_linear_bands(const ilki_linear *l, const ilki_kern_ops *ops)
{
    size_t most = band_rows(l, ops);
    return (l->n_out + most - 1) / most;
}

ilk_status ilki_tensor_linear_pack_band(const ilki_linear *l, const ilki_kern_ops *ops, void *room, size_t i,
                                        ilk_error *err)
{
    float *band = NULL;
    ilk_status status = pack_band(l, ops, room, i, &band, err);
    free(band);
    return status;
}

static ilk_status pack_parts(const ilki_linear *l, const ilki_kern_ops *ops, ilk_error *err)
{
    float *band = NULL;
    ilk_status status = ILK_OK;
    for (size_t i = 0, n = ilki_tensor_linear_bands(l, ops); i < n && status == ILK_OK; i++)
        status = pack_band(l, ops, l->packed, i, &band, err);
    free(band);
    return status;
}

static ilk_status read_biases(ilki_linear *l, const ilki_tensor *const *weights, const ilki_tensor *const *biases,
                              size_t n_parts, ilk_error *err)
{
    ilk_status status = ILK_OK;
    for (size_t i = 0, at = 0; i < n_parts && status == ILK_OK; i++) {
        size_t rows = (size_t)weights[i]->shape[0];
        if (biases[i])
            status = ilki_tensor_read_f32(biases[i], 0, rows, l->bias + at, err);
        else
            memset(l->bias + at, 0, rows * sizeof *l->bias);
        at += rows;
    }
    return status;
}

static ilk_status alloc_i8(ilki_linear *l, ilk_error *err)
{
    size_t n_bytes = sizeof *l->i8 + l->n_in * sizeof *l->i8->keep; /* n_in has an end here */
    l->i8 = ilki_base_zalloc(n_bytes, 1);
    return l->i8 ? ILK_OK : ilki_base_fail_memory(err, n_bytes, "the channels of a linear layer");
}

/* n > 0 channels in any order */
static void set_exact(const ilki_linear *l, const uint32_t *which, size_t n)
{
    ilki_linear_i8 *i8 = l->i8;
    for (size_t i = 0; i < l->n_in; i++)
        i8->keep[i] = 1.0f;
    for (size_t i = 0; i < n; i++)
        i8->keep[which[i]] = 0.0f;
    for (size_t i = 0, at = 0; i < l->n_in; i++)
        if (i8->keep[i] == 0.0f)
            i8->exact[at++] = (uint32_t)i;
    i8->channels = (ilki_i8_channels){i8->exact, n, i8->keep};
}

ilk_status ilki_tensor_linear_init_at(ilki_linear *l, const ilki_packing *how, const ilki_kern_ops *ops,
                                      const ilki_tensor *const *weights, const ilki_tensor *const *biases,
                                      size_t n_parts, ilk_error *err)
{
    bool biased;
    *l = (ilki_linear){.n_parts = n_parts};
    assert(n_parts <= ILKI_LINEAR_PARTS);
    ilk_status status = check_parts(l, weights, biases, n_parts, &biased, err);
    if (status != ILK_OK)
        goto fail;
    memcpy(l->parts, weights, n_parts * sizeof *weights);
    l->form = ilki_tensor_form_for(how->form, l->n_in);
    if (is_i8(l->form) && (status = alloc_i8(l, err)) != ILK_OK)
        goto fail;
    status = ILK_NO_MEMORY;
    l->borrowed = how->room != NULL;
    if (!how->streamed)
        l->packed = how->room ? how->room : alloc_packed(ops, l->form, l->n_out, l->n_in, err);
    if ((!l->packed && !how->streamed) || (biased && !(l->bias = alloc_floats(l->n_out, 1, err))))
        goto fail;
    if (how->n_exact && l->i8)
        set_exact(l, how->exact, how->n_exact);
    status = how->ready || how->streamed ? ILK_OK : pack_parts(l, ops, err);
    if (status == ILK_OK && biased)
        status = read_biases(l, weights, biases, n_parts, err);
    if (status != ILK_OK)
        goto fail;
    if (n_parts == 1)
        l->source = weights[0];
    return ILK_OK;

fail:
    ilki_tensor_linear_deinit(l);
    return status;
}

ilk_status ilki_tensor_linear_init(ilki_linear *l, const ilki_kern_ops *ops, const ilki_tensor *const *weights,
                                   const ilki_tensor *const *biases, size_t n_parts, ilk_error *err)
{
    return ilki_tensor_linear_init_at(l, &(ilki_packing){.form = ILKI_FORM_F32}, ops, weights, biases, n_parts, err);
}

ilk_status ilki_tensor_linear_init_master(ilki_linear *l, const ilki_kern_ops *ops, size_t n_out, size_t n_in,
                                          bool bias, ilk_error *err)
{
    *l = (ilki_linear){.n_in = n_in, .n_out = n_out};
    if (!(l->master = alloc_floats(n_out, n_in, err)) ||
        !(l->packed = alloc_packed(ops, ILKI_FORM_F32, n_out, n_in, err)) ||
        (bias && !(l->bias = alloc_floats(n_out, 1, err)))) {
        ilki_tensor_linear_deinit(l);
        return ILK_NO_MEMORY;
    }
    memset(l->master, 0, n_out * n_in * sizeof *l->master);
    if (bias)
        memset(l->bias, 0, n_out * sizeof *l->bias);
    ilki_tensor_linear_repack(l, ops);
    return ILK_OK;
}

/* ---- exact channels */

/* The index of the greatest that is not among the first n of `taken`; the lowest of equals. */
static uint32_t next_greatest(const float *seen, size_t n_in, const uint32_t *taken, size_t n)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < n_in; i++) {
        bool free_ = true;
        for (size_t t = 0; t < n; t++)
            free_ &= taken[t] != i;
        if (free_ && (best == UINT32_MAX || seen[i] > seen[best]))
            best = i;
    }
    return best;
}

ilk_status ilki_tensor_linear_settle(const ilki_linear *l, const ilki_kern_ops *ops, ilk_error *err)
{
    ilki_linear_i8 *i8 = l->i8;
    uint32_t order[ILKI_I8_EXACT + 1];
    if (!i8 || !i8->seen || l->n_in < 4 * ILKI_I8_EXACT)
        return ILK_OK;
    for (size_t i = 0; i <= ILKI_I8_EXACT; i++)
        order[i] = next_greatest(i8->seen, l->n_in, order, i);
    size_t n = i8->seen[order[4]] > 2.0f * i8->seen[order[ILKI_I8_EXACT]] ? ILKI_I8_EXACT : 4;
    set_exact(l, order, n);
    return pack_parts(l, ops, err);
}

/* ---- delta */

static void free_delta(ilki_lowrank *d)
{
    if (!d)
        return;
    free(d->a);
    free(d->b);
    free(d->packed_a);
    free(d->packed_b);
    free(d);
}

static void repack_delta(ilki_linear *l, const ilki_kern_ops *ops)
{
    ilki_lowrank *d = l->delta;
    ops->pack_f32(d->packed_a, d->a, l->n_in, d->rank, l->n_in);
    ops->pack_f32(d->packed_b, d->b, d->rank, l->n_out, d->rank);
    d->stale = false;
}

ilk_status ilki_tensor_linear_set_delta(ilki_linear *l, const ilki_kern_ops *ops, size_t rank, float scale,
                                        const float *a, const float *b, ilk_error *err)
{
    ilki_lowrank *d = NULL;
    if (rank > 0) {
        d = ilki_base_zalloc(1, sizeof *d);
        if (!d)
            return ilki_base_fail_memory(err, sizeof *d, "a low-rank delta");
        d->rank = rank;
        d->scale = scale;
        if (!(d->a = alloc_floats(rank, l->n_in, err)) || !(d->b = alloc_floats(l->n_out, rank, err)) ||
            !(d->packed_a = alloc_packed(ops, ILKI_FORM_F32, rank, l->n_in, err)) ||
            !(d->packed_b = alloc_packed(ops, ILKI_FORM_F32, l->n_out, rank, err))) {
            free_delta(d);
            return ILK_NO_MEMORY;
        }
        memcpy(d->a, a, rank * l->n_in * sizeof *a);
        memcpy(d->b, b, l->n_out * rank * sizeof *b);
    }
    free_delta(l->delta);
    l->delta = d;
    if (d)
        repack_delta(l, ops);
    return ILK_OK;
}

void ilki_tensor_linear_repack(ilki_linear *l, const ilki_kern_ops *ops)
{
    if (l->master)
        ops->pack_f32(l->packed, l->master, l->n_in, l->n_out, l->n_in);
    l->stale = false;
    if (l->delta)
        repack_delta(l, ops);
}

void ilki_tensor_linear_deinit(ilki_linear *l)
{
    if (!l)
        return;
    free(l->master);
    if (!l->borrowed)
        free(l->packed);
    free(l->bias);
    free(l->i8);
    free_delta(l->delta);
    *l = (ilki_linear){0};
}
