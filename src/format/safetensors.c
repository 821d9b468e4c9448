/* SPDX-License-Identifier: Apache-2.0
 * safetensors (huggingface/safetensors, safetensors/src/tensor.rs):
 *
 *   u64 N, little-endian, at most 100,000,000 | N bytes of JSON, first byte '{', spaces may follow it | data
 *   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {string: string}}
 *
 * Offsets count from the start of the data. Sorted by offset the tensors must begin at 0, leave no hole, never overlap
 * and end with the file; end - begin must be product(shape) * bytes of an element. Keys are unique. Data may be
 * unaligned. Whatever breaks a rule is one error that names file, tensor, expected and found. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "format/set.h"

#define MAX_HEADER 100000000 /* bytes, the reference's own bound */

typedef struct header {
    const char *path;
    const ilki_json *json;
    const unsigned char *data;
    uint64_t n_data;
} header;

typedef struct entry {
    ilki_tensor t;
    size_t n_name;
    uint64_t begin, end;
} entry;

static bool probe(const unsigned char *head, size_t n, const char *path)
{
    static const char ext[] = ".safetensors";
    size_t len = strlen(path);
    bool named = len >= sizeof ext - 1 && strcmp(path + len - (sizeof ext - 1), ext) == 0;
    /* a header under 16 MiB has zeros behind its length's third byte; nothing else begins so */
    static const unsigned char zeros[5];
    return named || (n >= 9 && head[8] == '{' && memcmp(head + 3, zeros, 5) == 0);
}

static ilk_status bad(const header *h, const char *name, ilk_error *err, const char *fmt, ...) ILKI_PRINTF(4, 5);
static ilk_status bad(const header *h, const char *name, ilk_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char text[512];
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: %s", h->path, name, text);
}

static ilk_status read_dtype(const header *h, ilki_json_node node, entry *e, ilk_error *err)
{
    size_t len = 0;
    const char *text = ilki_base_json_string(h->json, ilki_base_json_get(h->json, node, "dtype"), &len);
    if (!text)
        return bad(h, e->t.name, err, "expected a string \"dtype\", found none");
    e->t.dtype = ilki_tensor_dtype_find(text, len);
    if (e->t.dtype == ILKI_DTYPE_NONE)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "%s: tensor %s: expected dtype F32, F16, BF16, F64, I64, I32, I16, I8, "
                              "U8 or BOOL, found %.32s",
                              h->path, e->t.name, text);
    return ILK_OK;
}

static ilk_status read_shape(const header *h, ilki_json_node node, entry *e, ilk_error *err)
{
    ilki_json_node shape = ilki_base_json_get(h->json, node, "shape");
    if (ilki_base_json_type(h->json, shape) != ILKI_JSON_ARRAY)
        return bad(h, e->t.name, err, "expected an array \"shape\", found none");
    size_t rank = ilki_base_json_count(h->json, shape);
    if (rank > ILKI_MAX_RANK)
        return bad(h, e->t.name, err, "expected at most %d dimensions, found %zu", ILKI_MAX_RANK, rank);
    ilki_json_node dim = ilki_base_json_first(h->json, shape);
    for (; dim; dim = ilki_base_json_next(h->json, dim)) {
        int64_t v = 0;
        if (!ilki_base_json_int(h->json, dim, 0, INT64_MAX, &v))
            return bad(h, e->t.name, err, "dimension %u: expected an integer of 0 to 2^63 - 1, found another value",
                       e->t.rank);
        e->t.shape[e->t.rank++] = (uint64_t)v;
    }
    return ILK_OK;
}

static ilk_status read_offsets(const header *h, ilki_json_node node, entry *e, ilk_error *err)
{
    ilki_json_node pair = ilki_base_json_get(h->json, node, "data_offsets");
    int64_t begin = 0, end = 0;
    if (ilki_base_json_type(h->json, pair) != ILKI_JSON_ARRAY || ilki_base_json_count(h->json, pair) != 2 ||
        !ilki_base_json_int(h->json, ilki_base_json_at(h->json, pair, 0), 0, INT64_MAX, &begin) ||
        !ilki_base_json_int(h->json, ilki_base_json_at(h->json, pair, 1), 0, INT64_MAX, &end))
        return bad(h, e->t.name, err, "expected two integers \"data_offsets\", found none");
    e->begin = (uint64_t)begin;
    e->end = (uint64_t)end;
    if (begin > end)
        return bad(h, e->t.name, err, "expected data_offsets in ascending order, found [%" PRIu64 ", %" PRIu64 "]",
                   e->begin, e->end);
    if (e->end > h->n_data)
        return bad(h, e->t.name, err,
                   "expected data_offsets within the file's %" PRIu64 " data bytes, found an end of %" PRIu64
                   " (a file cut short?)",
                   h->n_data, e->end);
    size_t n = 0, n_bytes = 0;
    char shape[ILKI_SHAPE_TEXT];
    ilki_tensor_print_shape(&e->t, shape, sizeof shape);
    if (!ilki_tensor_count(&e->t, &n) || !ilki_base_mul(n, ilki_tensor_dtype_bits(e->t.dtype) / 8, &n_bytes))
        return bad(h, e->t.name, err, "expected a size below 2^64 bytes, found shape %s of %s", shape,
                   ilki_tensor_dtype_name(e->t.dtype));
    if (n_bytes != e->end - e->begin)
        return bad(h, e->t.name, err, "expected %zu bytes for shape %s of %s, found data_offsets of %" PRIu64, n_bytes,
                   shape, ilki_tensor_dtype_name(e->t.dtype), e->end - e->begin);
    e->t.n_bytes = n_bytes;
    e->t.data = h->data + e->begin;
    return ILK_OK;
}

static ilk_status read_entry(const header *h, ilki_json_node node, entry *e, ilk_error *err)
{
    *e = (entry){0};
    e->t.name = ilki_base_json_key(h->json, node, &e->n_name);
    if (e->n_name == 0 || memchr(e->t.name, 0, e->n_name))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected tensor names without NUL, found \"%s\" of %zu bytes",
                              h->path, e->t.name, e->n_name);
    if (ilki_base_json_type(h->json, node) != ILKI_JSON_OBJECT)
        return bad(h, e->t.name, err, "expected an object of dtype, shape and data_offsets, found another value");
    ilk_status s = read_dtype(h, node, e, err);
    if (s == ILK_OK)
        s = read_shape(h, node, e, err);
    return s == ILK_OK ? read_offsets(h, node, e, err) : s;
}

static ilk_status check_metadata(const header *h, ilki_json_node node, ilk_error *err)
{
    bool ok = ilki_base_json_type(h->json, node) == ILKI_JSON_OBJECT;
    ilki_json_node m = ilki_base_json_first(h->json, node);
    for (; ok && m; m = ilki_base_json_next(h->json, m))
        ok = ilki_base_json_type(h->json, m) == ILKI_JSON_STRING;
    if (!ok)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: __metadata__: expected an object of strings, found another value", h->path);
    return ILK_OK;
}

static int by_offset(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->t.name, y->t.name); /* empty tensors: an order that does not depend on qsort */
}

/* No hole, no overlap, no rest; `e` is sorted. */
static ilk_status check_layout(const header *h, const entry *e, size_t n, ilk_error *err)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; at = e[i++].end)
        if (e[i].begin != at)
            return bad(h, e[i].t.name, err, "expected data to begin at %" PRIu64 " behind %s, found %" PRIu64 " (%s)",
                       at, i ? e[i - 1].t.name : "the header", e[i].begin, e[i].begin < at ? "an overlap" : "a hole");
    if (at != h->n_data)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected %" PRIu64 " bytes of data, found %" PRIu64, h->path,
                              at, h->n_data);
    return ILK_OK;
}

static ilk_status read_entries(ilki_weights *w, const header *h, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(h->json), node = ilki_base_json_first(h->json, root);
    size_t n_max = ilki_base_json_count(h->json, root), n = 0;
    entry *entries = ilki_base_zalloc(n_max, sizeof *entries);
    if (!entries)
        return ilki_base_fail_memory(err, n_max, "tensor entries");
    ilk_status s = ilki_format_reserve(w, n_max, err);
    for (; s == ILK_OK && node; node = ilki_base_json_next(h->json, node)) {
        size_t len = 0;
        const char *key = ilki_base_json_key(h->json, node, &len);
        if (len == strlen("__metadata__") && memcmp(key, "__metadata__", len) == 0)
            s = check_metadata(h, node, err);
        else
            s = read_entry(h, node, &entries[n++], err);
    }
    if (s == ILK_OK) {
        qsort(entries, n, sizeof *entries, by_offset);
        s = check_layout(h, entries, n, err);
    }
    for (size_t i = 0; s == ILK_OK && i < n; i++)
        s = ilki_format_add(w, &entries[i].t, entries[i].n_name, err);
    free(entries);
    return s;
}

static ilk_status read_file(ilki_weights *w, ilk_error *err)
{
    const ilki_format_file *f = &w->files[w->n_files - 1];
    const ilki_mapped *m = &f->bytes;
    ilki_cur cur;
    ilki_base_cur_init(&cur, m->data, m->size);
    uint64_t n = ilki_base_cur_u64(&cur), left = ilki_base_cur_left(&cur);
    if (cur.bad)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected 8 bytes of header length, found a file of %zu",
                              f->path, m->size);
    if (n > MAX_HEADER)
        return ilki_base_fail(err, ILK_LIMIT, "%s: expected a header of at most %d bytes, found a length of %" PRIu64,
                              f->path, MAX_HEADER, n);
    if (n > left)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: expected a header of %" PRIu64 " bytes, found %" PRIu64 " (a file cut short?)",
                              f->path, n, left);
    const char *text = (const char *)cur.p;
    if (n < 2 || text[0] != '{')
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected a header that begins with '{', found none", f->path);
    header h = {.path = f->path, .data = cur.p + n, .n_data = left - n};
    ilki_json_limits limits = {.max_bytes = MAX_HEADER, .max_depth = 4, .unique_keys = true};
    ilki_json *json = NULL;
    ilk_status s = ilki_base_json_parse(&json, text, (size_t)n, f->path, &limits, err);
    h.json = json;
    if (s == ILK_OK)
        s = read_entries(w, &h, err);
    ilki_base_json_free(json);
    return s;
}

const ilki_format ilki_format_safetensors = {"safetensors", probe, read_file};
