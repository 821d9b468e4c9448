/* SPDX-License-Identifier: Apache-2.0
 * What the two resamplers share: weights of one axis, and the passes over rows of bytes.
 *
 * An output at i looks at the inputs around c = (i + 1/2) n_in / n_out, as far as the filter's support, which grows with the
 * scale when a picture shrinks (antialias). Weights are computed in double in the references' order of operations, divided
 * by their sum, rounded away from zero to 2^-shift; a pass sums in int32 from one half, shifts and clips. Between the
 * passes stand bytes. A sum of weights' magnitudes stays under 2, so that 255 * 2^22 times it has room in int32.
 *
 * Not here: the choice of shift, order of passes and nearest, where the references differ (resize_*.c); alpha. */
#include "media/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PI 3.14159265358979323846
enum {
    BLOCK_ROWS = 32, /* between two looks at the job */
    SIDE_ROWS = 4    /* that go across side by side: kernels share the weights among them */
};

/* ------------------------------------------------------------------ filters */

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double hamming(double x)
{
    x = fabs(x);
    if (x == 0)
        return 1;
    if (x >= 1)
        return 0;
    x *= PI;
    return sin(x) / x * ((double)0.54f + (double)0.46f * cos(x)); /* the reference's constants are floats */
}

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x)
{
    x *= PI;
    return x == 0 ? 1 : sin(x) / x;
}

static double lanczos(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

typedef struct kernel {
    double (*weight)(double x);
    double support;
} kernel;

static const kernel kernels[] = {
    [ILKI_FILTER_LANCZOS] = {lanczos, 3}, [ILKI_FILTER_BILINEAR] = {bilinear, 1}, [ILKI_FILTER_BICUBIC] = {bicubic, 2},
    [ILKI_FILTER_BOX] = {box, 0.5},       [ILKI_FILTER_HAMMING] = {hamming, 1},
};

/* ------------------------------------------------------------------ weights */

typedef struct sampler {
    const kernel *k;
    double scale, inverse, support;
    uint32_t n_in, step;
} sampler;

static sampler make_sampler(uint32_t n_in, uint32_t n_out, ilki_image_filter filter)
{
    sampler s = {.k = &kernels[filter], .n_in = n_in, .scale = (double)n_in / n_out};
    double wide = s.scale < 1 ? 1 : s.scale;
    s.inverse = 1 / wide;
    s.support = s.k->support * wide;
    s.step = ((uint32_t)ceil(s.support) * 2 + 1 + 3) & ~3u; /* whole groups of four, for kernels */
    return s;
}

/* Weights of output i, their sum 1; returns how many, *first the input of the first. */
static uint32_t weigh(const sampler *s, uint32_t i, uint32_t *first, double *w)
{
    double center = (i + 0.5) * s->scale, sum = 0;
    int64_t lo = (int64_t)(center - s->support + 0.5), hi = (int64_t)(center + s->support + 0.5);
    lo = lo < 0 ? 0 : lo;
    hi = hi > s->n_in ? s->n_in : hi;
    uint32_t n = hi > lo ? (uint32_t)(hi - lo) : 0;
    n = n > s->step ? s->step : n;
    for (uint32_t k = 0; k < n; k++) {
        w[k] = s->k->weight(((double)(k + lo) - center + 0.5) * s->inverse);
        sum += w[k];
    }
    for (uint32_t k = 0; k < n && sum != 0; k++)
        w[k] /= sum;
    *first = (uint32_t)lo;
    return n;
}

ilk_status ilki_media_taps_peak(double *peak, uint32_t n_in, uint32_t n_out, ilki_image_filter filter, ilk_error *err)
{
    sampler s = make_sampler(n_in, n_out, filter);
    double *w = ilki_base_zalloc(s.step, sizeof *w);
    uint32_t first;
    *peak = 0;
    if (!w)
        return ilki_base_fail_memory(err, s.step * sizeof *w, "a picture's weights");
    for (uint32_t i = 0; i < n_out; i++)
        for (uint32_t n = weigh(&s, i, &first, w), k = 0; k < n; k++)
            *peak = w[k] > *peak ? w[k] : *peak;
    free(w);
    return ILK_OK;
}

ilk_status ilki_media_sums_init(ilki_sums *s, const ilki_axis *axis, ilki_image_filter filter, ilk_error *err)
{
    sampler sample = make_sampler(axis->n_in, axis->n_out, filter);
    size_t n_weights = 0;
    *s = (ilki_sums){.n = axis->n, .step = sample.step};
    if (!ilki_base_mul(axis->n, s->step, &n_weights) || n_weights > ILKI_MEDIA_MAX_WORK / sizeof(int32_t))
        return ilki_base_fail(err, ILK_LIMIT, "picture: expected a resize of %u to %u with up to %zu bytes of weights",
                              axis->n_in, axis->n_out, ILKI_MEDIA_MAX_WORK);
    s->first = ilki_base_zalloc(axis->n, sizeof *s->first);
    s->count = ilki_base_zalloc(axis->n, sizeof *s->count);
    s->weight = ilki_base_zalloc(n_weights, sizeof *s->weight);
    if (!s->first || !s->count || !s->weight) {
        ilki_media_sums_deinit(s);
        return ilki_base_fail_memory(err, n_weights * sizeof *s->weight, "a picture's weights");
    }
    for (uint32_t i = 0; i < axis->n; i++)
        s->count[i] = weigh(&sample, axis->from + i, &s->first[i], s->weight + (size_t)i * s->step);
    return ILK_OK;
}

void ilki_media_sums_deinit(ilki_sums *s)
{
    free(s->first);
    free(s->count);
    free(s->weight);
    *s = (ilki_sums){0};
}

ilk_status ilki_media_taps_init(ilki_taps *t, const ilki_axis *axis, ilki_image_filter filter, unsigned shift,
                                ilk_error *err)
{
    sampler s = make_sampler(axis->n_in, axis->n_out, filter);
    size_t n_weights = 0;
    *t = (ilki_taps){.from = axis->from, .n = axis->n, .step = s.step, .shift = shift};
    if (!ilki_base_mul(axis->n, s.step, &n_weights) || n_weights > ILKI_MEDIA_MAX_WORK / sizeof *t->weight)
        return ilki_base_fail(err, ILK_LIMIT, "picture: expected a resize of %u to %u with up to %zu bytes of weights",
                              axis->n_in, axis->n_out, ILKI_MEDIA_MAX_WORK);
    double *w = ilki_base_zalloc(s.step, sizeof *w);
    t->first = ilki_base_zalloc(axis->n, sizeof *t->first);
    t->count = ilki_base_zalloc(axis->n, sizeof *t->count);
    t->weight = ilki_base_zalloc(n_weights, sizeof *t->weight);
    t->parts = ilki_base_zalloc(n_weights, 3);
    if (!w || !t->first || !t->count || !t->weight || !t->parts) {
        free(w);
        ilki_media_taps_deinit(t);
        return ilki_base_fail_memory(err, n_weights * (sizeof *t->weight + 3), "a picture's weights");
    }
    for (uint32_t i = 0; i < axis->n; i++) {
        t->count[i] = weigh(&s, axis->from + i, &t->first[i], w);
        for (uint32_t k = 0; k < t->count[i]; k++) {
            double scaled = w[k] * (double)(1 << shift);
            t->weight[(size_t)i * s.step + k] = (int32_t)(w[k] < 0 ? scaled - 0.5 : scaled + 0.5);
        }
    }
    t->n_parts = ilki_kern_cut_weights(t->parts, t->weight, n_weights);
    free(w);
    return ILK_OK;
}

void ilki_media_taps_deinit(ilki_taps *t)
{
    free(t->first);
    free(t->count);
    free(t->weight);
    free(t->parts);
    *t = (ilki_taps){0};
}

/* ------------------------------------------------------------------ passes */

static uint8_t clip(int32_t sum, unsigned shift)
{
    int32_t v = sum >> shift;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void across_plain(const ilki_taps *t, const uint8_t *in, uint8_t *out, size_t n_channels)
{
    for (size_t i = 0; i < t->n * n_channels; i++) {
        size_t o = i / n_channels, c = i % n_channels;
        const int32_t *w = t->weight + o * t->step;
        const uint8_t *p = in + t->first[o] * n_channels + c;
        int32_t sum = 1 << (t->shift - 1);
        for (uint32_t k = 0; k < t->count[o]; k++)
            sum += w[k] * p[k * n_channels];
        out[i] = clip(sum, t->shift);
    }
}

static ilki_kern_taps view(const ilki_taps *t)
{
    return (ilki_kern_taps){t->first, t->count, t->weight, t->parts, t->n, t->step, t->shift, t->n_parts};
}

/* Up to SIDE_ROWS rows. */
static void across(const ilki_passes *p, const ilki_picture *in, const uint8_t *const *rows, uint8_t *const *out,
                   uint32_t n)
{
    ilki_kern_taps t = view(&p->across);
    if (in->n_channels == 3)
        p->ops->rgb_across(out, rows, n, in->width, &t);
    else
        for (uint32_t i = 0; i < n; i++)
            across_plain(&p->across, rows[i], out[i], in->n_channels);
}

/* ------------------------------------------------------------------ their order */

typedef struct work {
    const ilki_picture *in;
    const ilki_passes *p;
    const ilki_window *window;
    ilki_rows out;
    const ilk_job *job;
    const uint8_t **rows; /* that one row of outputs looks at */
    uint8_t *between;     /* [n_between][stride] */
    size_t stride;
    uint32_t n_between;
} work;

/* Output y, n bytes wide. Row r of the input is at r % n_rows: a whole picture, or what is kept of one. */
static void down(const work *w, uint32_t y, const uint8_t *in, size_t stride, uint32_t n_rows, uint8_t *out, size_t n)
{
    const ilki_taps *t = &w->p->down;
    ilki_kern_taps taps = view(t);
    for (uint32_t k = 0; k < t->count[y]; k++)
        w->rows[k] = in + (t->first[y] + k) % n_rows * stride;
    w->p->ops->bytes_down(out, w->rows, &taps, y, n);
}

static ilk_status look(const work *w, uint32_t row, ilk_error *err)
{
    return row % BLOCK_ROWS >= SIDE_ROWS ? ILK_OK : ilki_base_job_check(w->job, err);
}

static uint32_t side_by_side(uint32_t n)
{
    return n < SIDE_ROWS ? n : SIDE_ROWS;
}

/* n rows of the input from y, to where `to` is and every `step` bytes. */
static void across_from(const work *w, uint32_t y, uint32_t n, uint8_t *to, size_t step)
{
    const uint8_t *rows[SIDE_ROWS];
    uint8_t *out[SIDE_ROWS];
    size_t stride = (size_t)w->in->width * w->in->n_channels;
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = w->in->pixels + (y + i) * stride;
        out[i] = to + i * step;
    }
    across(w->p, w->in, rows, out, n);
}

static ilk_status only_across(const work *w, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (uint32_t y = 0, n; y < w->window->n_y && st == ILK_OK; y += n) {
        n = side_by_side(w->window->n_y - y);
        across_from(w, w->window->y + y, n, w->out.pixels + y * w->out.stride, w->out.stride);
        st = look(w, y, err);
    }
    return st;
}

static ilk_status only_down(const work *w, ilk_error *err)
{
    size_t c = w->in->n_channels;
    ilk_status st = ILK_OK;
    for (uint32_t y = 0; y < w->window->n_y && st == ILK_OK; y++) {
        down(w, y, w->in->pixels + w->window->x * c, w->in->width * c, w->in->height, w->out.pixels + y * w->out.stride,
             w->window->n_x * c);
        st = look(w, y, err);
    }
    return st;
}

/* Down, and those rows across at once. */
static ilk_status down_across(const work *w, ilk_error *err)
{
    size_t stride = (size_t)w->in->width * w->in->n_channels;
    const uint8_t *rows[SIDE_ROWS];
    uint8_t *out[SIDE_ROWS];
    ilk_status st = ILK_OK;
    for (uint32_t y = 0, n; y < w->window->n_y && st == ILK_OK; y += n) {
        n = side_by_side(w->window->n_y - y);
        for (uint32_t i = 0; i < n; i++) {
            uint8_t *to = w->between + i * w->stride;
            down(w, y + i, w->in->pixels, stride, w->in->height, to, stride);
            rows[i] = to;
            out[i] = w->out.pixels + (y + i) * w->out.stride;
        }
        across(w->p, w->in, rows, out, n);
        st = look(w, y, err);
    }
    return st;
}

/* Across, keeping as many rows as an output looks at and those that went beside them: what an output needs begins no
 * higher than what the last did. */
static ilk_status across_down(const work *w, ilk_error *err)
{
    const ilki_taps *t = &w->p->down;
    uint32_t next = t->first[0], last = w->window->n_y - 1, end = t->first[last] + t->count[last];
    ilk_status st = ILK_OK;
    for (uint32_t y = 0; y < w->window->n_y && st == ILK_OK; y++) {
        for (uint32_t n; next < t->first[y] + t->count[y] && st == ILK_OK; next += n) {
            n = side_by_side(end - next < w->n_between - next % w->n_between ? end - next
                                                                             : w->n_between - next % w->n_between);
            across_from(w, next, n, w->between + next % w->n_between * w->stride, w->stride);
            st = look(w, next, err);
        }
        down(w, y, w->between, w->stride, w->n_between, w->out.pixels + y * w->out.stride, w->stride);
        st = st == ILK_OK ? look(w, y, err) : st;
    }
    return st;
}

static ilk_status run(work *w, ilk_error *err)
{
    const ilki_passes *p = w->p;
    size_t n_bytes;
    if (!p->down.n)
        return only_across(w, err);
    bool both = p->across.n;
    w->stride = (both && !p->down_first ? p->across.n : w->in->width) * (size_t)w->in->n_channels;
    w->n_between = !both ? 1 : p->down_first ? SIDE_ROWS : p->down.step + SIDE_ROWS; /* a multiple of it */
    if (!ilki_base_mul(w->stride, w->n_between, &n_bytes) || n_bytes > ILKI_MEDIA_MAX_WORK)
        return ilki_base_fail(err, ILK_LIMIT, "picture: expected up to %zu bytes between two passes, found %u x %zu",
                              ILKI_MEDIA_MAX_WORK, w->n_between, w->stride);
    w->rows = ilki_base_zalloc(p->down.step, sizeof *w->rows);
    w->between = ilki_base_alloc_aligned(n_bytes, 1);
    if (!w->rows || !w->between)
        return ilki_base_fail_memory(err, n_bytes + p->down.step * sizeof *w->rows, "a picture between two passes");
    return !both ? only_down(w, err) : p->down_first ? down_across(w, err) : across_down(w, err);
}

ilk_status ilki_media_resample(const ilki_picture *in, const ilki_passes *p, const ilki_window *window, ilki_rows out,
                               const ilk_job *job, ilk_error *err)
{
    work w = {.in = in, .p = p, .window = window, .out = out, .job = job};
    size_t c = in->n_channels, stride = in->width * c;
    const uint8_t *from = in->pixels + window->y * stride + window->x * c;
    if (p->across.n || p->down.n) {
        ilk_status st = run(&w, err);
        free(w.rows);
        free(w.between);
        return st;
    }
    for (uint32_t y = 0; y < window->n_y; y++)
        memcpy(out.pixels + y * out.stride, from + y * stride, window->n_x * c);
    return ILK_OK;
}

static ilk_status copy_from(const ilki_picture *in, const uint32_t *column, const uint32_t *row,
                            const ilki_window *window, ilki_rows out, const ilk_job *job, ilk_error *err)
{
    size_t c = in->n_channels;
    for (uint32_t y = 0; y < window->n_y; y++) {
        ilk_status st = y % BLOCK_ROWS ? ILK_OK : ilki_base_job_check(job, err);
        if (st != ILK_OK)
            return st;
        memset(out.pixels + y * out.stride, 0, window->n_x * c);
        for (uint32_t x = 0; x < window->n_x && row[y] != UINT32_MAX; x++)
            if (column[x] != UINT32_MAX)
                memcpy(out.pixels + y * out.stride + x * c, in->pixels + ((size_t)row[y] * in->width + column[x]) * c,
                       c);
    }
    return ILK_OK;
}

ilk_status ilki_media_pick(const ilki_picture *in, ilki_nearest_fn *nearest, const ilki_window *w, ilki_rows out,
                           const ilk_job *job, ilk_error *err)
{
    size_t n = (size_t)w->n_x + w->n_y;
    uint32_t *column = ilki_base_zalloc(n, sizeof *column);
    if (!column)
        return ilki_base_fail_memory(err, n * sizeof *column, "a picture's columns");
    nearest(column, in->width, w->width, w->x, w->n_x);
    nearest(column + w->n_x, in->height, w->height, w->y, w->n_y);
    ilk_status st = copy_from(in, column, column + w->n_x, w, out, job, err);
    free(column);
    return st;
}

/* Weights of one axis in the wider of their forms, and pointers to the rows that they stand for. */
static uint64_t axis_bytes(uint32_t n_in, uint32_t n_out, uint32_t n, ilki_image_filter filter, uint64_t *step)
{
    *step = n_in == n_out ? 0 : make_sampler(n_in, n_out, filter).step;
    return *step ? n * (2 * sizeof(uint32_t) + *step * sizeof(double)) + *step * (sizeof(double) + sizeof(uint8_t *))
                 : 0;
}

uint64_t ilki_media_resize_bytes(const ilki_picture *in, ilki_image_filter filter, const ilki_window *w, bool stored)
{
    bool deep = stored && (in->kind == ILKI_PICTURE_GRAY16 || in->kind == ILKI_PICTURE_GRAY32);
    bool four = stored && (in->kind == ILKI_PICTURE_ALPHA || in->kind == ILKI_PICTURE_INK);
    filter = stored && in->kind == ILKI_PICTURE_PICKED ? ILKI_FILTER_NEAREST : filter;
    uint64_t across, down, c = deep ? sizeof(int32_t) : in->n_channels;
    uint64_t n = axis_bytes(in->width, w->width, w->n_x, filter, &across) +
                 axis_bytes(in->height, w->height, w->n_y, filter, &down);
    uint64_t wide = in->width * c, narrow = w->n_x * c;
    if (deep && across && down)
        n += wide * w->n_y > narrow * in->height ? wide * w->n_y : narrow * in->height;
    else if (down)
        n += wide * SIDE_ROWS + (across ? narrow * (down + SIDE_ROWS) : 0);
    if (four)
        n += (uint64_t)w->n_x * w->n_y * 4 +
             (in->kind == ILKI_PICTURE_ALPHA ? (uint64_t)in->width * in->height * 4 : 0);
    return n + ((uint64_t)w->n_x + w->n_y) * sizeof(uint32_t) + 4 * ILKI_ALIGN;
}

static bool fits(uint32_t at, uint32_t n, uint32_t whole)
{
    return n > 0 && at < whole && n <= whole - at;
}

ilk_status ilki_media_check_window(const ilki_picture *in, const ilki_window *w, ilk_error *err)
{
    if (in->n_channels < 1 || in->n_channels > 4)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "picture: expected 1 to 4 channels, found %u", in->n_channels);
    if (!in->width || !in->height || in->width > ILKI_MEDIA_MAX_SIDE || in->height > ILKI_MEDIA_MAX_SIDE)
        return ilki_base_fail(err, ILK_LIMIT, "picture: expected sides of 1 to %u, found %u x %u", ILKI_MEDIA_MAX_SIDE,
                              in->height, in->width);
    if (!w->width || !w->height || w->width > ILKI_MEDIA_MAX_TARGET || w->height > ILKI_MEDIA_MAX_TARGET)
        return ilki_base_fail(err, ILK_LIMIT, "picture: expected to be resized to sides of 1 to %u, found %u x %u",
                              ILKI_MEDIA_MAX_TARGET, w->height, w->width);
    if (!fits(w->x, w->n_x, w->width) || !fits(w->y, w->n_y, w->height))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "picture: expected a part of %u x %u, found %u x %u at %u, %u",
                              w->height, w->width, w->n_y, w->n_x, w->y, w->x);
    return ILK_OK;
}
