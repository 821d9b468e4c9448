/* SPDX-License-Identifier: Apache-2.0
 * The pickle of torch.save (torch/serialization.py, torch/_utils.py, Python's Lib/pickletools.py), protocols 2 to 5, by
 * a stack machine that can do little: no import, no call, no class. What a pickle may name is the table `globals`: an
 * ordered dict, storages, dtypes, and the functions that make a tensor out of a storage. Any other name, any other
 * opcode and any REDUCE of something else is one error that says what was asked for.
 *
 *   tensor    = _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)   counts of elements
 *             | _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype)
 *             | _rebuild_parameter(tensor, requires_grad, hooks)
 *   storage   = persistent id ("storage", class, key, device, n elements); UntypedStorage counts bytes
 *
 * No recursion. Values of 16 bytes; strings point into the pickle; containers are chains of chunks in one arena that
 * dies at the end, so a cycle leaks nothing. The pickle has no loops: time is linear in its bytes. Stack, marks, memo,
 * objects, items, names and depth have the limits below, each with its message. BUILD is taken for dicts only, and its
 * state (torch's _metadata) is dropped. */
#include "format/pickle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

#define MAX_STACK   ((size_t)1 << 20) /* values; torch's batches are of 2,000 */
#define MAX_MARKS   ((size_t)1 << 10) /* tuples, lists and dicts open at once */
#define MAX_MEMO    ((size_t)1 << 20) /* torch takes about ten for a tensor */
#define MAX_OBJECTS ((size_t)1 << 20) /* tuples, lists, dicts */
#define MAX_TENSORS ((size_t)1 << 18) /* and storages */
#define MAX_ITEMS   ((size_t)1 << 22)
#define MAX_VISITS  ((size_t)1 << 22) /* entries of dicts seen while tensors are named */
#define MAX_DEPTH   16                /* dicts in dicts with tensors in them */
#define MAX_NAME    4096              /* bytes */
#define MAX_GLOBAL  256               /* bytes of a module's or global's name */

typedef enum kind { NONE, BOOL, INT, OPAQUE, STRING, GLOBAL, TUPLE, LIST, DICT, STORAGE, TENSOR } kind;

static const char *const kind_names[] = {"None",    "a bool", "an int", "bytes or a number", "a string", "a global",
                                         "a tuple", "a list", "a dict", "a storage",         "a tensor"};

typedef enum role { ORDERED_DICT, TENSOR_V2, TENSOR_V3, PARAMETER, STORAGE_CLASS, DTYPE } role;

typedef struct global {
    const char *module, *name;
    role role;
    ilki_dtype dtype; /* NONE: known, not read */
    uint32_t bytes;   /* of an element */
} global;

typedef struct value {
    uint32_t kind, n; /* n: bytes of a string */
    union {
        int64_t i;
        const char *s;
        const global *g;
        struct object *o;
        struct described *d;
    } u;
} value;

typedef struct chunk {
    struct chunk *next;
    size_t n;
    value items[];
} chunk;

/* A tuple (one chunk), list or dict. */
typedef struct object {
    chunk *first, *last;
    size_t n;  /* items; a dict has two for each entry */
    bool open; /* a dict whose entries are being named */
} object;

/* A storage (of `t` key and bytes only) or a tensor. */
typedef struct described {
    const global *type; /* the class or dtype that decides the elements */
    ilki_pickle_tensor t;
    uint64_t stride[ILKI_MAX_RANK];
} described;

typedef struct machine {
    ilki_cur cur;
    const unsigned char *begin;
    const char *path;
    value *stack, *memo;
    size_t n_stack, cap_stack, n_memo, cap_memo, n_objects, n_tensors, n_items;
    size_t marks[MAX_MARKS], n_marks; /* heights of the stack */
    ilki_arena arena;
} machine;

/* clang-format off */
#define STORAGE_OF(name, dtype, bytes) {"torch", name "Storage", STORAGE_CLASS, ILKI_DTYPE_##dtype, bytes}
#define DTYPE_OF(name, dtype, bytes)   {"torch", name, DTYPE, ILKI_DTYPE_##dtype, bytes}
static const global globals[] = {
    {"collections", "OrderedDict", ORDERED_DICT, ILKI_DTYPE_NONE, 0},
    {"torch._utils", "_rebuild_tensor_v2", TENSOR_V2, ILKI_DTYPE_NONE, 0},
    {"torch._utils", "_rebuild_tensor_v3", TENSOR_V3, ILKI_DTYPE_NONE, 0},
    {"torch._utils", "_rebuild_parameter", PARAMETER, ILKI_DTYPE_NONE, 0},
    STORAGE_OF("Float", F32, 4), STORAGE_OF("Half", F16, 2), STORAGE_OF("BFloat16", BF16, 2),
    STORAGE_OF("Double", F64, 8), STORAGE_OF("Long", I64, 8), STORAGE_OF("Int", I32, 4), STORAGE_OF("Short", I16, 2),
    STORAGE_OF("Char", I8, 1), STORAGE_OF("Byte", U8, 1), STORAGE_OF("Bool", BOOL, 1),
    STORAGE_OF("ComplexFloat", NONE, 8), STORAGE_OF("ComplexDouble", NONE, 16),
    {"torch.storage", "UntypedStorage", STORAGE_CLASS, ILKI_DTYPE_NONE, 1},
    DTYPE_OF("float32", F32, 4), DTYPE_OF("float16", F16, 2), DTYPE_OF("bfloat16", BF16, 2),
    DTYPE_OF("float64", F64, 8), DTYPE_OF("int64", I64, 8), DTYPE_OF("int32", I32, 4), DTYPE_OF("int16", I16, 2),
    DTYPE_OF("int8", I8, 1), DTYPE_OF("uint8", U8, 1), DTYPE_OF("bool", BOOL, 1),
    DTYPE_OF("uint16", NONE, 2), DTYPE_OF("uint32", NONE, 4), DTYPE_OF("uint64", NONE, 8),
    DTYPE_OF("complex64", NONE, 8), DTYPE_OF("complex128", NONE, 16),
    DTYPE_OF("float8_e4m3fn", NONE, 1), DTYPE_OF("float8_e5m2", NONE, 1),
};
/* clang-format on */

/* ------------------------------------------------------------------ failures, memory */

static size_t position(const machine *m)
{
    return (size_t)(m->cur.p - m->begin);
}

static ilk_status bad(const machine *m, ilk_error *err, const char *what)
{
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: pickle: byte %zu: %s", m->path, position(m), what);
}

static ilk_status cut_short(const machine *m, ilk_error *err)
{
    return bad(m, err, "expected more bytes, found the end (cut short?)");
}

static ilk_status limit(const machine *m, ilk_error *err, size_t most, const char *what)
{
    return ilki_base_fail(err, ILK_LIMIT, "%s: pickle: byte %zu: expected at most %zu %s, found more", m->path,
                          position(m), most, what);
}

static ilk_status grow(value **array, size_t *cap, size_t n, ilk_error *err)
{
    size_t want = *cap ? *cap : 64;
    while (want < n)
        want *= 2; /* n is limited */
    if (n <= *cap)
        return ILK_OK;
    value *p = realloc(*array, want * sizeof *p);
    if (!p)
        return ilki_base_fail_memory(err, want * sizeof *p, "values of a pickle");
    memset(p + *cap, 0xff, (want - *cap) * sizeof *p); /* kinds of no value: slots of the memo that were never put */
    *array = p;
    *cap = want;
    return ILK_OK;
}

static ilk_status push(machine *m, value v, ilk_error *err)
{
    if (m->n_stack == MAX_STACK)
        return limit(m, err, MAX_STACK, "values on the stack");
    ilk_status s = grow(&m->stack, &m->cap_stack, m->n_stack + 1, err);
    if (s == ILK_OK)
        m->stack[m->n_stack++] = v;
    return s;
}

static object *new_object(machine *m, ilk_status *s, ilk_error *err)
{
    object *o = NULL;
    if (m->n_objects == MAX_OBJECTS)
        *s = limit(m, err, MAX_OBJECTS, "objects");
    else if (!(o = ilki_base_arena_alloc(&m->arena, 1, sizeof *o)))
        *s = ilki_base_fail_memory(err, sizeof *o, "an object of a pickle");
    m->n_objects += o != NULL;
    return o;
}

static described *new_described(machine *m, ilk_status *s, ilk_error *err)
{
    described *d = NULL;
    if (m->n_tensors == MAX_TENSORS)
        *s = limit(m, err, MAX_TENSORS, "storages and tensors");
    else if (!(d = ilki_base_arena_alloc(&m->arena, 1, sizeof *d)))
        *s = ilki_base_fail_memory(err, sizeof *d, "a tensor of a pickle");
    m->n_tensors += d != NULL;
    return d;
}

/* Appends a copy of n values to a container. */
static ilk_status append(machine *m, object *o, const value *v, size_t n, ilk_error *err)
{
    if (n == 0)
        return ILK_OK;
    if (n > MAX_ITEMS - m->n_items)
        return limit(m, err, MAX_ITEMS, "items");
    size_t n_bytes = sizeof(chunk) + n * sizeof *v; /* n is limited */
    chunk *c = ilki_base_arena_alloc(&m->arena, 1, n_bytes);
    if (!c)
        return ilki_base_fail_memory(err, n_bytes, "items of a pickle");
    c->n = n;
    memcpy(c->items, v, n * sizeof *v);
    *(o->last ? &o->last->next : &o->first) = c;
    o->last = c;
    o->n += n;
    m->n_items += n;
    return ILK_OK;
}

/* ------------------------------------------------------------------ stack and marks */

/* The last n values above the topmost mark; NULL where there are fewer. */
static value *top(machine *m, size_t n)
{
    size_t floor = m->n_marks ? m->marks[m->n_marks - 1] : 0;
    return m->n_stack - floor >= n ? m->stack + m->n_stack - n : NULL;
}

static ilk_status underflow(const machine *m, ilk_error *err)
{
    return bad(m, err, "expected more values on the stack, found too few");
}

/* Takes the topmost mark away: *n values are above it. */
static ilk_status pop_mark(machine *m, value **v, size_t *n, ilk_error *err)
{
    if (m->n_marks == 0)
        return bad(m, err, "expected a mark on the stack, found none");
    size_t at = m->marks[--m->n_marks];
    *n = m->n_stack - at;
    *v = m->stack + at;
    return ILK_OK;
}

/* ------------------------------------------------------------------ opcodes; arg is what the table says */

typedef ilk_status (*op_fn)(machine *m, uint32_t arg, ilk_error *err);

static uint64_t read_uint(machine *m, uint32_t n_bytes)
{
    return n_bytes == 1   ? ilki_base_cur_u8(&m->cur)
           : n_bytes == 2 ? ilki_base_cur_u16(&m->cur)
           : n_bytes == 4 ? ilki_base_cur_u32(&m->cur)
                          : ilki_base_cur_u64(&m->cur);
}

static ilk_status op_proto(machine *m, uint32_t arg, ilk_error *err)
{
    unsigned v = ilki_base_cur_u8(&m->cur);
    (void)arg;
    if (m->cur.bad)
        return cut_short(m, err);
    if (v < 2 || v > 5)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: pickle: expected protocol 2 to 5, found %u", m->path, v);
    return ILK_OK;
}

/* Frames are advice to readers of streams. */
static ilk_status op_frame(machine *m, uint32_t arg, ilk_error *err)
{
    uint64_t n = ilki_base_cur_u64(&m->cur);
    (void)arg;
    return m->cur.bad || n > ilki_base_cur_left(&m->cur) ? cut_short(m, err) : ILK_OK;
}

static ilk_status op_mark(machine *m, uint32_t arg, ilk_error *err)
{
    (void)arg;
    if (m->n_marks == MAX_MARKS)
        return limit(m, err, MAX_MARKS, "open marks (nesting)");
    m->marks[m->n_marks++] = m->n_stack;
    return ILK_OK;
}

static ilk_status op_constant(machine *m, uint32_t arg, ilk_error *err)
{
    return push(m, arg == 2 ? (value){.kind = NONE} : (value){.kind = BOOL, .u.i = arg}, err);
}

static ilk_status op_int(machine *m, uint32_t arg, ilk_error *err)
{
    uint64_t v = read_uint(m, arg);
    if (m->cur.bad)
        return cut_short(m, err);
    return push(m, (value){.kind = INT, .u.i = arg == 4 ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v}, err);
}

/* Two's complement, little-endian, of any length; what needs more than 64 bits has no use here. */
static ilk_status op_long(machine *m, uint32_t arg, ilk_error *err)
{
    size_t n = (size_t)read_uint(m, arg);
    const unsigned char *p = ilki_base_cur_bytes(&m->cur, n);
    uint64_t v = 0;
    if (m->cur.bad || !p)
        return cut_short(m, err);
    if (n > 8)
        return push(m, (value){.kind = OPAQUE}, err);
    for (size_t i = 0; i < 8; i++)
        v |= (uint64_t)(i < n ? p[i] : n && p[n - 1] & 0x80 ? 0xff : 0) << 8 * i;
    return push(m, (value){.kind = INT, .u.i = (int64_t)v}, err);
}

static ilk_status op_float(machine *m, uint32_t arg, ilk_error *err)
{
    if (!ilki_base_cur_bytes(&m->cur, arg))
        return cut_short(m, err);
    return push(m, (value){.kind = OPAQUE}, err);
}

static ilk_status read_text(machine *m, uint32_t n_bytes, kind k, ilk_error *err)
{
    uint64_t n = read_uint(m, n_bytes);
    if (m->cur.bad || n > ilki_base_cur_left(&m->cur))
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: pickle: byte %zu: expected %s of %" PRIu64 " bytes, found %zu left (cut short?)",
                              m->path, position(m), kind_names[k], n, ilki_base_cur_left(&m->cur));
    if (n > UINT32_MAX)
        return limit(m, err, UINT32_MAX, "bytes of a string");
    const char *text = (const char *)ilki_base_cur_bytes(&m->cur, (size_t)n);
    return push(m, (value){.kind = k, .n = (uint32_t)n, .u.s = text}, err);
}

static ilk_status op_string(machine *m, uint32_t arg, ilk_error *err)
{
    return read_text(m, arg, STRING, err);
}

static ilk_status op_bytes(machine *m, uint32_t arg, ilk_error *err)
{
    return read_text(m, arg, OPAQUE, err);
}

static ilk_status op_empty(machine *m, uint32_t arg, ilk_error *err)
{
    ilk_status s = ILK_OK;
    object *o = new_object(m, &s, err);
    return o ? push(m, (value){.kind = arg, .u.o = o}, err) : s;
}

static ilk_status make_tuple(machine *m, const value *v, size_t n, ilk_error *err)
{
    ilk_status s = ILK_OK;
    object *o = new_object(m, &s, err);
    if (o)
        s = append(m, o, v, n, err);
    if (s != ILK_OK)
        return s;
    m->n_stack -= n;
    return push(m, (value){.kind = TUPLE, .u.o = o}, err);
}

/* arg: values of the tuple; 0: all above the mark */
static ilk_status op_tuple(machine *m, uint32_t arg, ilk_error *err)
{
    size_t n = arg;
    value *v = top(m, n);
    ilk_status s = arg ? ILK_OK : pop_mark(m, &v, &n, err);
    if (s != ILK_OK)
        return s;
    return v ? make_tuple(m, v, n, err) : underflow(m, err);
}

/* arg: what is appended to; the values are above the mark, or one (LIST) or two (DICT) where the opcode has none. */
static ilk_status add_items(machine *m, kind to, value *v, size_t n, ilk_error *err)
{
    m->n_stack -= n;
    value *o = top(m, 1);
    if (!o)
        return underflow(m, err);
    if (o->kind != to || (to == DICT && n % 2))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: pickle: byte %zu: expected items for %s, found %zu for %s",
                              m->path, position(m), kind_names[to], n, kind_names[o->kind]);
    return append(m, o->u.o, v, n, err);
}

static ilk_status op_items(machine *m, uint32_t arg, ilk_error *err)
{
    value *v = NULL;
    size_t n = 0;
    ilk_status s = pop_mark(m, &v, &n, err);
    return s == ILK_OK ? add_items(m, arg, v, n, err) : s;
}

static ilk_status op_item(machine *m, uint32_t arg, ilk_error *err)
{
    size_t n = arg == DICT ? 2 : 1;
    value *v = top(m, n);
    return v ? add_items(m, arg, v, n, err) : underflow(m, err);
}

/* arg: bytes of the index; 0: the next free one */
static ilk_status op_put(machine *m, uint32_t arg, ilk_error *err)
{
    size_t i = arg ? (size_t)read_uint(m, arg) : m->n_memo;
    value *v = top(m, 1);
    if (m->cur.bad)
        return cut_short(m, err);
    if (!v)
        return underflow(m, err);
    /* picklers number from 0 on, so an index past the pickle's own size only asks for memory */
    if (i >= MAX_MEMO || i >= (size_t)(m->cur.end - m->begin))
        return limit(m, err, MAX_MEMO, "values in the memo, in order");
    ilk_status s = grow(&m->memo, &m->cap_memo, i + 1, err);
    if (s == ILK_OK)
        m->memo[i] = *v;
    if (i >= m->n_memo)
        m->n_memo = i + 1;
    return s;
}

static ilk_status op_get(machine *m, uint32_t arg, ilk_error *err)
{
    size_t i = (size_t)read_uint(m, arg);
    if (m->cur.bad)
        return cut_short(m, err);
    if (i >= m->n_memo || m->memo[i].kind > TENSOR)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: pickle: byte %zu: expected a value in the memo at %zu, found none", m->path,
                              position(m), i);
    return push(m, m->memo[i], err);
}

/* ------------------------------------------------------------------ globals */

static bool is_text(const char *s, size_t n, const char *text)
{
    return n == strlen(text) && memcmp(s, text, n) == 0;
}

static ilk_status push_global(machine *m, const char *module, size_t n_module, const char *name, size_t n_name,
                              ilk_error *err)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (is_text(module, n_module, globals[i].module) && is_text(name, n_name, globals[i].name))
            return push(m, (value){.kind = GLOBAL, .u.g = &globals[i]}, err);
    n_module = n_module < MAX_GLOBAL ? n_module : MAX_GLOBAL;
    n_name = n_name < MAX_GLOBAL ? n_name : MAX_GLOBAL;
    return ilki_base_fail(err, ILK_UNSUPPORTED,
                          "%s: pickle: byte %zu: asks for %.*s.%.*s: only tensors are built from a pickle, nothing is "
                          "imported or called",
                          m->path, position(m), (int)n_module, module, (int)n_name, name);
}

static const char *read_line(machine *m, size_t *n)
{
    const unsigned char *p = m->cur.p, *end = memchr(p, '\n', ilki_base_cur_left(&m->cur));
    if (!end)
        return NULL;
    *n = (size_t)(end - p);
    m->cur.p = end + 1;
    return (const char *)p;
}

static ilk_status op_global(machine *m, uint32_t arg, ilk_error *err)
{
    size_t n_module = 0, n_name = 0;
    const char *module = read_line(m, &n_module), *name = module ? read_line(m, &n_name) : NULL;
    (void)arg;
    return name ? push_global(m, module, n_module, name, n_name, err) : cut_short(m, err);
}

static ilk_status op_stack_global(machine *m, uint32_t arg, ilk_error *err)
{
    const value *v = top(m, 2);
    (void)arg;
    if (!v)
        return underflow(m, err);
    if (v[0].kind != STRING || v[1].kind != STRING)
        return bad(m, err, "expected two strings as a global's name, found others");
    m->n_stack -= 2;
    return push_global(m, v[0].u.s, v[0].n, v[1].u.s, v[1].n, err);
}

/* ------------------------------------------------------------------ storages and tensors */

/* The values of a tuple, which lie in one chunk; NULL of an empty one. */
static const value *items_of(const value *tuple)
{
    return tuple->u.o->first ? tuple->u.o->first->items : NULL;
}

static ilk_status op_persistent(machine *m, uint32_t arg, ilk_error *err)
{
    value *v = top(m, 1);
    ilk_status s = ILK_OK;
    size_t n_bytes = 0;
    (void)arg;
    if (!v)
        return underflow(m, err);
    const value *id = v->kind == TUPLE && v->u.o->n == 5 ? items_of(v) : NULL;
    if (!id || id[0].kind != STRING || !is_text(id[0].u.s, id[0].n, "storage") || id[1].kind != GLOBAL ||
        id[1].u.g->role != STORAGE_CLASS || id[2].kind != STRING || id[3].kind != STRING || id[4].kind != INT ||
        id[4].u.i < 0 || !ilki_base_mul((size_t)id[4].u.i, id[1].u.g->bytes, &n_bytes))
        return bad(m, err, "expected a persistent id (\"storage\", class, key, device, count), found another");
    described *d = new_described(m, &s, err);
    if (!d)
        return s;
    d->type = id[1].u.g;
    d->t = (ilki_pickle_tensor){.key = id[2].u.s, .n_key = id[2].n, .storage_bytes = n_bytes};
    *v = (value){.kind = STORAGE, .u.d = d};
    return ILK_OK;
}

static bool read_sizes(const value *tuple, uint64_t *to)
{
    const value *v = items_of(tuple);
    for (size_t i = 0; i < tuple->u.o->n; i++) {
        if (v[i].kind != INT || v[i].u.i < 0)
            return false;
        to[i] = (uint64_t)v[i].u.i;
    }
    return true;
}

static bool is_nothing(const value *v)
{
    return v->kind == NONE || (v->kind == DICT && v->u.o->n == 0);
}

/* arguments of _rebuild_tensor_v2 and v3; metadata, a last one, turns signs and is taken only where empty */
static ilk_status make_tensor(machine *m, const global *fn, const value *args, value *to, ilk_error *err)
{
    const size_t n = args->u.o->n, want = fn->role == TENSOR_V3 ? 7 : 6;
    const value *a = items_of(args);
    ilk_status s = ILK_OK;
    if (n < want || n > want + 1 || a[0].kind != STORAGE || a[1].kind != INT || a[1].u.i < 0 || a[2].kind != TUPLE ||
        a[3].kind != TUPLE || a[4].kind != BOOL || (a[5].kind != DICT && a[5].kind != NONE) ||
        (want == 7 && (a[6].kind != GLOBAL || a[6].u.g->role != DTYPE)))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: pickle: byte %zu: expected the arguments of %s, found others",
                              m->path, position(m), fn->name);
    if (n > want && !is_nothing(&a[want]))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: pickle: byte %zu: %s with metadata is not read", m->path,
                              position(m), fn->name);
    const size_t rank = a[2].u.o->n;
    if (rank > ILKI_MAX_RANK)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: pickle: byte %zu: expected at most %d dimensions, found %zu",
                              m->path, position(m), ILKI_MAX_RANK, rank);
    described *d = new_described(m, &s, err);
    if (!d)
        return s;
    d->t = a[0].u.d->t;
    d->type = want == 7 ? a[6].u.g : a[0].u.d->type;
    d->t.dtype = d->type->dtype;
    d->t.offset = (uint64_t)a[1].u.i;
    d->t.rank = (uint32_t)rank;
    if (a[3].u.o->n != rank || !read_sizes(&a[2], d->t.shape) || !read_sizes(&a[3], d->stride))
        return bad(m, err, "expected a size and a stride for each dimension, none negative, found others");
    *to = (value){.kind = TENSOR, .u.d = d};
    return ILK_OK;
}

static ilk_status op_reduce(machine *m, uint32_t arg, ilk_error *err)
{
    value *v = top(m, 2), result = {0};
    ilk_status s = ILK_OK;
    (void)arg;
    if (!v)
        return underflow(m, err);
    if (v[0].kind != GLOBAL || v[1].kind != TUPLE)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: pickle: byte %zu: REDUCE: expected a global and a tuple, found %s and %s", m->path,
                              position(m), kind_names[v[0].kind], kind_names[v[1].kind]);
    const global *g = v[0].u.g;
    const value *a = items_of(&v[1]);
    size_t n = v[1].u.o->n;
    m->n_stack -= 2;
    if (g->role == ORDERED_DICT && n == 0)
        return op_empty(m, DICT, err);
    if (g->role == PARAMETER && n == 3 && a[0].kind == TENSOR)
        result = a[0];
    else if (g->role == TENSOR_V2 || g->role == TENSOR_V3)
        s = make_tensor(m, g, &v[1], &result, err);
    else
        s = ilki_base_fail(err, ILK_UNSUPPORTED, "%s: pickle: byte %zu: REDUCE: %s.%s of %zu arguments is not built",
                           m->path, position(m), g->module, g->name, n);
    return s == ILK_OK ? push(m, result, err) : s;
}

static ilk_status op_build(machine *m, uint32_t arg, ilk_error *err)
{
    const value *v = top(m, 2);
    (void)arg;
    if (!v)
        return underflow(m, err);
    if (v[0].kind != DICT || v[1].kind != DICT)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "%s: pickle: byte %zu: BUILD: expected a dict and its state, found %s and %s", m->path,
                              position(m), kind_names[v[0].kind], kind_names[v[1].kind]);
    m->n_stack--;
    return ILK_OK;
}

/* ------------------------------------------------------------------ the table, the run */

typedef struct op {
    const char *name;
    op_fn run; /* NULL: known, refused */
    uint32_t arg;
} op;

static const op ops[256] = {
    [0x80] = {"PROTO", op_proto, 0},
    [0x95] = {"FRAME", op_frame, 0},
    ['('] = {"MARK", op_mark, 0},
    ['N'] = {"NONE", op_constant, 2},
    [0x88] = {"NEWTRUE", op_constant, 1},
    [0x89] = {"NEWFALSE", op_constant, 0},
    ['J'] = {"BININT", op_int, 4},
    ['K'] = {"BININT1", op_int, 1},
    ['M'] = {"BININT2", op_int, 2},
    [0x8a] = {"LONG1", op_long, 1},
    [0x8b] = {"LONG4", op_long, 4},
    ['G'] = {"BINFLOAT", op_float, 8},
    ['X'] = {"BINUNICODE", op_string, 4},
    [0x8c] = {"SHORT_BINUNICODE", op_string, 1},
    [0x8d] = {"BINUNICODE8", op_string, 8},
    ['B'] = {"BINBYTES", op_bytes, 4},
    ['C'] = {"SHORT_BINBYTES", op_bytes, 1},
    [0x8e] = {"BINBYTES8", op_bytes, 8},
    [0x96] = {"BYTEARRAY8", op_bytes, 8},
    [')'] = {"EMPTY_TUPLE", op_empty, TUPLE},
    [']'] = {"EMPTY_LIST", op_empty, LIST},
    ['}'] = {"EMPTY_DICT", op_empty, DICT},
    ['t'] = {"TUPLE", op_tuple, 0},
    [0x85] = {"TUPLE1", op_tuple, 1},
    [0x86] = {"TUPLE2", op_tuple, 2},
    [0x87] = {"TUPLE3", op_tuple, 3},
    ['a'] = {"APPEND", op_item, LIST},
    ['e'] = {"APPENDS", op_items, LIST},
    ['s'] = {"SETITEM", op_item, DICT},
    ['u'] = {"SETITEMS", op_items, DICT},
    ['q'] = {"BINPUT", op_put, 1},
    ['r'] = {"LONG_BINPUT", op_put, 4},
    [0x94] = {"MEMOIZE", op_put, 0},
    ['h'] = {"BINGET", op_get, 1},
    ['j'] = {"LONG_BINGET", op_get, 4},
    ['c'] = {"GLOBAL", op_global, 0},
    [0x93] = {"STACK_GLOBAL", op_stack_global, 0},
    ['Q'] = {"BINPERSID", op_persistent, 0},
    ['R'] = {"REDUCE", op_reduce, 0},
    ['b'] = {"BUILD", op_build, 0},
    ['i'] = {"INST", NULL, 0},
    ['o'] = {"OBJ", NULL, 0},
    [0x81] = {"NEWOBJ", NULL, 0},
    [0x92] = {"NEWOBJ_EX", NULL, 0},
    [0x82] = {"EXT1", NULL, 0},
    [0x83] = {"EXT2", NULL, 0},
    [0x84] = {"EXT4", NULL, 0},
    ['P'] = {"PERSID", NULL, 0},
    [0x97] = {"NEXT_BUFFER", NULL, 0},
};

/* Up to STOP, which must be the last byte and leave one value. */
static ilk_status run(machine *m, value *result, ilk_error *err)
{
    for (;;) {
        unsigned code = ilki_base_cur_u8(&m->cur);
        if (m->cur.bad)
            return bad(m, err, "expected STOP, found the end (cut short?)");
        if (code == '.')
            break;
        if (!ops[code].run)
            return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: pickle: byte %zu: opcode 0x%02x (%s) is not run", m->path,
                                  position(m), code, ops[code].name ? ops[code].name : "unknown");
        ilk_status s = ops[code].run(m, ops[code].arg, err);
        if (s != ILK_OK)
            return s;
    }
    if (m->n_stack != 1 || m->n_marks)
        return bad(m, err, "expected one value at STOP, found another number");
    if (ilki_base_cur_left(&m->cur))
        return bad(m, err, "expected nothing behind STOP, found bytes");
    *result = m->stack[0];
    return ILK_OK;
}

/* ------------------------------------------------------------------ names */

typedef struct level {
    object *dict;
    const chunk *at;
    size_t i;      /* next item of the chunk */
    size_t n_name; /* bytes of the name before this dict's keys */
} level;

typedef struct walk {
    const machine *m;
    ilki_pickle_fn fn;
    void *user;
    level levels[MAX_DEPTH];
    size_t n_levels, n_visits;
    char name[MAX_NAME];
} walk;

static ilk_status emit(walk *w, size_t n, const described *d, ilk_error *err)
{
    const ilki_pickle_tensor *t = &d->t;
    uint64_t stride = 1;
    bool empty = false, contiguous = true;
    if (!ilki_base_utf8_valid(w->name, n) || memchr(w->name, 0, n) || n == 0)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: pickle: expected tensor names of UTF-8 without NUL, found \"%.*s\" of %zu bytes",
                              w->m->path, (int)n, w->name, n);
    if (t->dtype == ILKI_DTYPE_NONE)
        return ilki_base_fail(
            err, ILK_UNSUPPORTED,
            "%s: tensor %.*s: expected dtype F32, F16, BF16, F64, I64, I32, I16, I8, U8 or BOOL, found "
            "%s.%s",
            w->m->path, (int)n, w->name, d->type->module, d->type->name);
    for (uint32_t i = 0; i < t->rank; i++)
        empty |= t->shape[i] == 0;
    for (uint32_t i = t->rank; i-- > 0 && !empty;) {
        contiguous &= t->shape[i] == 1 || d->stride[i] == stride;
        if (__builtin_mul_overflow(stride, t->shape[i], &stride))
            return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %.*s: expected a size below 2^64, found more",
                                  w->m->path, (int)n, w->name);
    }
    if (!contiguous)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "%s: tensor %.*s: expected row-major strides, found others (a view that was not made "
                              "contiguous before it was saved)",
                              w->m->path, (int)n, w->name);
    return w->fn(w->user, w->name, n, t, err);
}

/* Writes a key behind the first `at` bytes of the name; *n is 0 for a key that is no name. */
static ilk_status put_key(walk *w, size_t at, const value *key, size_t *n, ilk_error *err)
{
    char number[32];
    const char *s = key->u.s;
    *n = key->kind == STRING ? key->n : 0;
    if (key->kind == INT) {
        *n = (size_t)snprintf(number, sizeof number, "%" PRId64, key->u.i);
        s = number;
    }
    if (*n > MAX_NAME - at)
        return limit(w->m, err, MAX_NAME, "bytes of a tensor's name");
    if (*n)
        memcpy(w->name + at, s, *n);
    return ILK_OK;
}

static ilk_status enter(walk *w, object *dict, size_t n_name, ilk_error *err)
{
    if (dict->open)
        return bad(w->m, err, "expected a dict of tensors, found a dict that contains itself");
    if (w->n_levels == MAX_DEPTH)
        return limit(w->m, err, MAX_DEPTH, "dicts in one another");
    dict->open = true;
    w->levels[w->n_levels++] = (level){.dict = dict, .at = dict->first, .n_name = n_name};
    return ILK_OK;
}

/* One entry of the innermost dict: a tensor, a dict, or something of no interest. */
static ilk_status visit(walk *w, const value *key, const value *v, size_t at, ilk_error *err)
{
    size_t n = 0;
    if (++w->n_visits > MAX_VISITS)
        return limit(w->m, err, MAX_VISITS, "entries of dicts");
    if (v->kind != TENSOR && v->kind != DICT)
        return ILK_OK;
    if (key->kind != STRING && key->kind != INT)
        return ILK_OK;
    ilk_status s = put_key(w, at, key, &n, err);
    if (s != ILK_OK)
        return s;
    n += at;
    if (v->kind == TENSOR)
        return emit(w, n, v->u.d, err);
    if (n == MAX_NAME)
        return limit(w->m, err, MAX_NAME, "bytes of a tensor's name");
    w->name[n++] = '.';
    return enter(w, v->u.o, n, err);
}

static ilk_status name_tensors(walk *w, const value *root, ilk_error *err)
{
    if (root->kind != DICT)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: pickle: expected a dict of tensors, found %s", w->m->path,
                              kind_names[root->kind]);
    ilk_status s = enter(w, root->u.o, 0, err);
    while (s == ILK_OK && w->n_levels) {
        level *l = &w->levels[w->n_levels - 1];
        if (!l->at) {
            l->dict->open = false;
            w->n_levels--;
        } else if (l->i == l->at->n) {
            l->at = l->at->next;
            l->i = 0;
        } else {
            l->i += 2;
            s = visit(w, &l->at->items[l->i - 2], &l->at->items[l->i - 1], l->n_name, err);
        }
    }
    return s;
}

ilk_status ilki_format_read_pickle(const unsigned char *data, size_t n, const char *path, ilki_pickle_fn fn, void *user,
                                   ilk_error *err)
{
    value result = {0};
    machine *m = ilki_base_zalloc(1, sizeof *m);
    walk *w = ilki_base_zalloc(1, sizeof *w);
    ilk_status s = m && w ? ILK_OK : ilki_base_fail_memory(err, sizeof *m + sizeof *w, "reading a pickle");
    if (s == ILK_OK) {
        ilki_base_cur_init(&m->cur, data, n);
        m->begin = data;
        m->path = path;
        *w = (walk){.m = m, .fn = fn, .user = user};
        s = grow(&m->stack, &m->cap_stack, 1, err); /* never NULL from here on */
    }
    if (s == ILK_OK)
        s = run(m, &result, err);
    if (s == ILK_OK)
        s = name_tensors(w, &result, err);
    if (m) {
        free(m->stack);
        free(m->memo);
        ilki_base_arena_deinit(&m->arena);
    }
    free(m);
    free(w);
    return s;
}
