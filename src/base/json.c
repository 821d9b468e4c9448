/* SPDX-License-Identifier: Apache-2.0
 * JSON reader: one pass over a private copy of the text, in which strings are decoded in place (an escape is never
 * shorter than what it stands for, and the closing quote makes room for the NUL). Nodes lie in the order of the text;
 * open containers are on a stack of fixed size, so that depth costs no machine stack. Numbers stay text and are
 * converted when asked for; one that no double can hold is refused while parsing. */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/num.h"
#include "base/utf8.h"

enum { DEFAULT_DEPTH = 64, MAX_DEPTH = 1024, DEFAULT_BYTES = 256 << 20, DEFAULT_NODES = 16 << 20 };

typedef struct node {
    uint32_t key, key_len; /* offset into the text; key is NO_KEY for what is not a member */
    uint32_t value, n;     /* container: first child, count; string, number: offset, length */
    uint32_t next;         /* sibling, 0 at the end */
    uint8_t type;          /* ilki_json_type */
} node;
#define NO_KEY UINT32_MAX

struct ilki_json {
    char *text;
    node *nodes; /* [0] is the absent one */
    uint32_t n_nodes;
};

typedef struct level {
    uint32_t container, last; /* last: child added last, 0 if none */
} level;

typedef struct parser {
    ilki_json *j;
    char *text;
    size_t at, n; /* bytes */
    size_t cap, max_nodes;
    unsigned depth, max_depth;
    bool unique_keys;
    uint32_t key, key_len; /* of the member whose value comes next */
    const char *name;
    ilk_error *err;
    level stack[MAX_DEPTH];
} parser;

/* ---- errors and small steps */

/* "name: byte 17: expected ..., found ..."; bytes count from 0 */
static ilk_status fail_at(parser *p, size_t at, const char *expected)
{
    char found[32];
    unsigned char c = at < p->n ? (unsigned char)p->text[at] : 0;
    if (at >= p->n)
        snprintf(found, sizeof found, "the end");
    else if (c > 0x20 && c < 0x7f)
        snprintf(found, sizeof found, "'%c'", c);
    else
        snprintf(found, sizeof found, "byte 0x%02x", c);
    return ilki_base_fail(p->err, ILK_BAD_FORMAT, "%s: byte %zu: expected %s, found %s", p->name, at, expected, found);
}

static void skip_space(parser *p)
{
    while (p->at < p->n) {
        char c = p->text[p->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            break;
        p->at++;
    }
}

static bool at_char(const parser *p, char c)
{
    return p->at < p->n && p->text[p->at] == c;
}

static bool in_object(const parser *p)
{
    return p->j->nodes[p->stack[p->depth - 1].container].type == ILKI_JSON_OBJECT;
}

/* ---- nodes */

static ilk_status grow(parser *p)
{
    size_t cap = p->cap ? p->cap * 2 : 64;
    if (p->j->n_nodes > p->max_nodes) /* the absent one does not count */
        return ilki_base_fail(p->err, ILK_LIMIT, "%s: byte %zu: more than %zu values", p->name, p->at, p->max_nodes);
    if (p->j->n_nodes < p->cap)
        return ILK_OK;
    node *nodes = realloc(p->j->nodes, cap * sizeof *nodes);
    if (!nodes)
        return ilki_base_fail_memory(p->err, cap * sizeof *nodes, p->name);
    p->j->nodes = nodes;
    p->cap = cap;
    return ILK_OK;
}

/* Adds a node as the last child of the open container. */
static ilk_status add_node(parser *p, ilki_json_type type, size_t value, size_t n)
{
    ilk_status status = grow(p);
    if (status)
        return status;
    uint32_t i = p->j->n_nodes++;
    p->j->nodes[i] = (node){p->key, p->key_len, (uint32_t)value, (uint32_t)n, 0, (uint8_t)type};
    if (p->depth == 0)
        return ILK_OK;
    level *l = &p->stack[p->depth - 1];
    if (l->last)
        p->j->nodes[l->last].next = i;
    else
        p->j->nodes[l->container].value = i;
    p->j->nodes[l->container].n++;
    l->last = i;
    return ILK_OK;
}

static ilk_status open_container(parser *p)
{
    ilki_json_type type = p->text[p->at] == '{' ? ILKI_JSON_OBJECT : ILKI_JSON_ARRAY;
    if (p->depth == p->max_depth)
        return ilki_base_fail(p->err, ILK_LIMIT, "%s: byte %zu: deeper than %u levels", p->name, p->at, p->max_depth);
    ilk_status status = add_node(p, type, 0, 0);
    if (status)
        return status;
    p->stack[p->depth++] = (level){p->j->n_nodes - 1, 0};
    p->at++;
    return ILK_OK;
}

static ilk_status check_unique(parser *p, const node *object)
{
    ilk_status status = ILK_OK;
    ilki_map seen = {0};
    for (uint32_t i = object->value; i && !status; i = p->j->nodes[i].next) {
        const node *m = &p->j->nodes[i];
        uint32_t old;
        if (!ilki_base_map_put(&seen, p->text + m->key, m->key_len, i, &old))
            status = ilki_base_fail_memory(p->err, object->n * sizeof *object, p->name);
        else if (old != ILKI_MAP_NONE)
            status = ilki_base_fail(p->err, ILK_BAD_FORMAT,
                                    "%s: byte %zu: expected every key once, found '%.100s' twice", p->name, p->at,
                                    p->text + m->key);
    }
    ilki_base_map_deinit(&seen);
    return status;
}

static ilk_status close_container(parser *p)
{
    const node *c = &p->j->nodes[p->stack[p->depth - 1].container];
    ilk_status status = ILK_OK;
    if (p->unique_keys && c->type == ILKI_JSON_OBJECT && c->n > 1)
        status = check_unique(p, c);
    p->depth--;
    p->at++;
    return status;
}

/* ---- strings */

/* Four hex digits at `at`, or -1. */
static int hex4(const parser *p, size_t at)
{
    int v = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = i < p->n ? p->text[i] : 0;
        if (c >= '0' && c <= '9')
            v = v * 16 + (c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            v = v * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return v;
}

/* The escape whose backslash is at *src becomes bytes at *dst. A surrogate without its other half stands for nothing
 * that UTF-8 can hold. */
static ilk_status decode_escape(parser *p, size_t *src, size_t *dst)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    size_t at = *src + 1;
    char c = at < p->n ? p->text[at] : 0;
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        p->text[(*dst)++] = bytes[letter - letters];
        *src = at + 1;
        return ILK_OK;
    }
    if (c != 'u')
        return fail_at(p, at, "an escape");
    int32_t cp = hex4(p, at + 1), low;
    if (cp < 0)
        return fail_at(p, at, "four hexadecimal digits behind \\u");
    *src = at + 5;
    if (cp >= 0xdc00 && cp <= 0xdfff)
        return fail_at(p, at - 1, "no low surrogate without a high one");
    if (cp >= 0xd800 && cp <= 0xdbff) {
        bool escape = *src + 1 < p->n && p->text[*src] == '\\' && p->text[*src + 1] == 'u';
        low = escape ? hex4(p, *src + 2) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return fail_at(p, *src, "a low surrogate behind the high one");
        cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
        *src += 6;
    }
    *dst += ilki_base_utf8_put((uint32_t)cp, p->text + *dst);
    return ILK_OK;
}

/* The string whose quote is at p->at, decoded in place; p->at goes behind the closing quote. */
static ilk_status decode_string(parser *p, uint32_t *offset, uint32_t *len)
{
    size_t src = p->at + 1, dst = src;
    *offset = (uint32_t)dst;
    for (;;) {
        unsigned char c = src < p->n ? (unsigned char)p->text[src] : 0;
        size_t n = 1;
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            p->text[dst++] = (char)c;
            src++;
            continue;
        }
        if (c == '"')
            break;
        if (c == '\\') {
            ilk_status status = decode_escape(p, &src, &dst);
            if (status)
                return status;
            continue;
        }
        if (c < 0x20)
            return fail_at(p, src, src < p->n ? "no bare control character in a string" : "'\"'");
        uint32_t cp = ilki_base_utf8_get(p->text + src, p->n - src, &n);
        if (cp == 0xfffd && !ilki_base_utf8_valid(p->text + src, n))
            return fail_at(p, src, "UTF-8");
        for (; n > 0; n--)
            p->text[dst++] = p->text[src++];
    }
    *len = (uint32_t)(dst - *offset);
    p->text[dst] = '\0';
    p->at = src + 1;
    return ILK_OK;
}

/* ---- values */

static ilk_status parse_number(parser *p)
{
    size_t stop = 0, n = ilki_base_num_scan(p->text + p->at, p->n - p->at, &stop);
    double v;
    if (n == 0)
        return fail_at(p, p->at + stop, p->text[p->at + stop - 1] == '0' ? "no digit behind a leading 0" : "a digit");
    /* 300 bytes without an exponent stay below 1e300: only the rest can be too large */
    bool suspect = n > 300 || memchr(p->text + p->at, 'e', n) || memchr(p->text + p->at, 'E', n);
    if (suspect && !ilki_base_num_double(p->text + p->at, n, &v))
        return ilki_base_fail(p->err, ILK_BAD_FORMAT, "%s: byte %zu: expected a number below 1.8e308, found %.*s%s",
                              p->name, p->at, n < 40 ? (int)n : 40, p->text + p->at, n < 40 ? "" : "...");
    ilk_status status = add_node(p, ILKI_JSON_NUMBER, p->at, n);
    p->at += n;
    return status;
}

static ilk_status parse_value(parser *p)
{
    static const struct {
        const char *text;
        ilki_json_type type;
    } words[] = {{"null", ILKI_JSON_NULL}, {"false", ILKI_JSON_FALSE}, {"true", ILKI_JSON_TRUE}};
    char c = p->at < p->n ? p->text[p->at] : 0;
    if (c == '{' || c == '[')
        return open_container(p);
    if (c == '-' || (c >= '0' && c <= '9'))
        return parse_number(p);
    if (c == '"') {
        uint32_t offset, len;
        ilk_status status = decode_string(p, &offset, &len);
        return status ? status : add_node(p, ILKI_JSON_STRING, offset, len);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].text);
        if (p->n - p->at >= n && memcmp(p->text + p->at, words[i].text, n) == 0) {
            p->at += n;
            return add_node(p, words[i].type, 0, 0);
        }
    }
    return fail_at(p, p->at, "a value");
}

/* Within an open container: what stands before the next value, or its end (*closed). */
static ilk_status parse_between(parser *p, bool *closed)
{
    bool object = in_object(p), first = p->stack[p->depth - 1].last == 0;
    *closed = at_char(p, object ? '}' : ']');
    if (*closed)
        return close_container(p);
    if (!first) {
        if (!at_char(p, ','))
            return fail_at(p, p->at, object ? "',' or '}'" : "',' or ']'");
        p->at++;
        skip_space(p);
    }
    p->key = NO_KEY;
    if (!object)
        return ILK_OK;
    if (!at_char(p, '"'))
        return fail_at(p, p->at, first ? "a key or '}'" : "a key");
    ilk_status status = decode_string(p, &p->key, &p->key_len);
    if (status)
        return status;
    skip_space(p);
    if (!at_char(p, ':'))
        return fail_at(p, p->at, "':'");
    p->at++;
    skip_space(p);
    return ILK_OK;
}

static ilk_status parse_text(parser *p)
{
    static const char mark[3] = {'\xef', '\xbb', '\xbf'};
    if (p->n >= 3 && memcmp(p->text, mark, 3) == 0)
        return fail_at(p, 0, "JSON without a byte order mark");
    skip_space(p);
    p->key = NO_KEY;
    ilk_status status = parse_value(p);
    while (!status && p->depth > 0) {
        bool closed = false;
        skip_space(p);
        status = parse_between(p, &closed);
        if (!status && !closed)
            status = parse_value(p);
    }
    skip_space(p);
    if (!status && p->at < p->n)
        status = fail_at(p, p->at, "the end");
    return status;
}

ilk_status ilki_base_json_parse(ilki_json **out, const char *text, size_t n, const char *name,
                                const ilki_json_limits *limits, ilk_error *err)
{
    ilki_json_limits lim = limits ? *limits : (ilki_json_limits){0};
    size_t max_bytes = lim.max_bytes ? lim.max_bytes : DEFAULT_BYTES;
    unsigned depth = lim.max_depth ? lim.max_depth : DEFAULT_DEPTH;
    ilk_status status;
    parser p;
    *out = NULL;
    if (max_bytes >= UINT32_MAX)
        max_bytes = UINT32_MAX - 1; /* offsets are 32 bits wide */
    if (n > max_bytes)
        return ilki_base_fail(err, ILK_LIMIT, "%s: %zu bytes of JSON, at most %zu are read", name, n, max_bytes);
    memset(&p, 0, offsetof(parser, stack));
    p.max_nodes = lim.max_nodes ? lim.max_nodes : DEFAULT_NODES;
    if (p.max_nodes > UINT32_MAX - 2)
        p.max_nodes = UINT32_MAX - 2;
    p.max_depth = depth < MAX_DEPTH ? depth : MAX_DEPTH;
    p.unique_keys = lim.unique_keys;
    p.name = name;
    p.err = err;
    p.n = n;
    p.j = ilki_base_zalloc(1, sizeof *p.j);
    if (!p.j)
        return ilki_base_fail_memory(err, sizeof *p.j, name);
    p.text = p.j->text = ilki_base_strndup(text, n);
    if (!p.text) {
        status = ilki_base_fail_memory(err, n, name);
        goto fail;
    }
    status = grow(&p);
    if (status)
        goto fail;
    p.j->nodes[0] = (node){.key = NO_KEY};
    p.j->n_nodes = 1;
    status = parse_text(&p);
    if (status)
        goto fail;
    *out = p.j;
    return ILK_OK;

fail:
    ilki_base_json_free(p.j);
    return status;
}

void ilki_base_json_free(ilki_json *j)
{
    if (!j)
        return;
    free(j->text);
    free(j->nodes);
    free(j);
}

/* ---- access; node 0 and what lies past the end are absent */

static const node *get_node(const ilki_json *j, ilki_json_node i)
{
    return &j->nodes[i < j->n_nodes ? i : 0];
}

static bool is_container(const node *v)
{
    return v->type == ILKI_JSON_ARRAY || v->type == ILKI_JSON_OBJECT;
}

ilki_json_node ilki_base_json_root(const ilki_json *j)
{
    return j->n_nodes > 1 ? 1 : 0;
}

ilki_json_type ilki_base_json_type(const ilki_json *j, ilki_json_node i)
{
    return (ilki_json_type)get_node(j, i)->type;
}

size_t ilki_base_json_count(const ilki_json *j, ilki_json_node i)
{
    const node *v = get_node(j, i);
    return is_container(v) ? v->n : 0;
}

ilki_json_node ilki_base_json_first(const ilki_json *j, ilki_json_node i)
{
    const node *v = get_node(j, i);
    return is_container(v) ? v->value : 0;
}

ilki_json_node ilki_base_json_next(const ilki_json *j, ilki_json_node i)
{
    return get_node(j, i)->next;
}

const char *ilki_base_json_key(const ilki_json *j, ilki_json_node i, size_t *len)
{
    const node *v = get_node(j, i);
    bool member = v->key != NO_KEY;
    if (len)
        *len = member ? v->key_len : 0;
    return member ? j->text + v->key : NULL;
}

ilki_json_node ilki_base_json_get(const ilki_json *j, ilki_json_node object, const char *key)
{
    size_t len = strlen(key);
    ilki_json_node found = 0;
    if (get_node(j, object)->type != ILKI_JSON_OBJECT)
        return 0;
    for (ilki_json_node i = get_node(j, object)->value; i; i = j->nodes[i].next)
        if (j->nodes[i].key_len == len && memcmp(j->text + j->nodes[i].key, key, len) == 0)
            found = i; /* the last one wins */
    return found;
}

ilki_json_node ilki_base_json_at(const ilki_json *j, ilki_json_node array, size_t i)
{
    if (get_node(j, array)->type != ILKI_JSON_ARRAY)
        return 0;
    ilki_json_node v = get_node(j, array)->value;
    for (; v && i > 0; i--)
        v = j->nodes[v].next;
    return v;
}

const char *ilki_base_json_string(const ilki_json *j, ilki_json_node i, size_t *len)
{
    const node *v = get_node(j, i);
    bool string = v->type == ILKI_JSON_STRING;
    if (len)
        *len = string ? v->n : 0;
    return string ? j->text + v->value : NULL;
}

bool ilki_base_json_bool(const ilki_json *j, ilki_json_node i, bool otherwise)
{
    ilki_json_type type = ilki_base_json_type(j, i);
    return type == ILKI_JSON_TRUE || (type != ILKI_JSON_FALSE && otherwise);
}

double ilki_base_json_double(const ilki_json *j, ilki_json_node i, double otherwise)
{
    const node *v = get_node(j, i);
    double value = otherwise;
    if (v->type == ILKI_JSON_NUMBER)
        ilki_base_num_double(j->text + v->value, v->n, &value);
    return value;
}

bool ilki_base_json_int(const ilki_json *j, ilki_json_node i, int64_t min, int64_t max, int64_t *out)
{
    const node *v = get_node(j, i);
    int64_t value;
    if (v->type != ILKI_JSON_NUMBER || !ilki_base_num_int(j->text + v->value, v->n, &value) || value < min ||
        value > max)
        return false;
    *out = value;
    return true;
}
