/* SPDX-License-Identifier: Apache-2.0
 * One file of ignore patterns, decided as git 2.39 decides (`git check-ignore`).
 *
 * A line becomes a pattern: "#" comments, "!" negates, spaces at the end go unless escaped, a slash at the end wants a
 * directory, a slash anywhere else anchors to the file's directory; without one the last component is matched. The last
 * pattern that matches wins. `?`, classes and `*` stop at slashes; `**` crosses them between slashes only, and "**" + "/"
 * also stands for nothing. Bytes count, not characters; classes are ASCII.
 *
 * git compares the part before the first special character first and matches the rest alone. That shows: in "a/b**" the
 * rest "**" stands at the start of what is matched, so it crosses slashes. The same is done here.
 *
 * The rest is compiled to tokens and run as a set of states over the path: the time is at most tokens times bytes
 * whatever the pattern. Non-goal: case folding (core.ignoreCase). */
#include "engine/ignore.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { NEGATED = 1, DIR_ONLY = 2, BASENAME = 4, NEVER = 8, SUFFIX = 16 };

typedef enum token_kind {
    LITERAL, /* the byte `value` */
    ANY,     /* a byte, not a slash */
    SET,     /* a byte of sets[value], not a slash */
    STAR,    /* any bytes, no slash */
    GLOB,    /* any bytes */
    SKIP     /* nothing: here, or behind the GLOB and the slash that follow */
} token_kind;

typedef struct token {
    uint8_t kind;
    uint32_t value;
} token;

typedef struct byte_set {
    uint64_t bits[4];
} byte_set;

typedef struct pattern {
    unsigned flags;
    const char *literal; /* what the text begins with; for SUFFIX, what it ends with */
    size_t n_literal;
    const token *tokens; /* of the rest; none: the rest is empty */
    size_t n_tokens;
} pattern;

struct ilki_ignore {
    ilki_arena arena;
    pattern *patterns;
    size_t n, cap;
    byte_set *sets;
    size_t n_sets, cap_sets;
    unsigned char *states; /* two sets of the longest pattern */
    size_t max_states;
};

/* ---- classes */

static bool in_class(const char *name, size_t n, unsigned c, bool *known)
{
    bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    bool print = c >= 0x20 && c <= 0x7e, alpha = upper || lower, space = c == ' ' || (c >= 9 && c <= 13);
    const struct {
        const char *name;
        bool in;
    } rows[] = {
        {"alnum", alpha || digit},
        {"alpha", alpha},
        {"blank", c == ' ' || c == '\t'},
        {"cntrl", c < 0x20 || c == 0x7f},
        {"digit", digit},
        {"graph", print && c != ' '},
        {"lower", lower},
        {"print", print},
        {"punct", print && c != ' ' && !alpha && !digit},
        {"space", space && c != '\v' && c != '\f'}, /* git's own table has no vertical tab and form feed */
        {"upper", upper},
        {"xdigit", digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
            return *known = true, rows[i].in;
    return *known = false;
}

static void set_add(byte_set *s, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to; c++)
        s->bits[c / 64] |= (uint64_t)1 << c % 64;
}

/* "[:name:]" at p[i], which is the bracket: true with *i at the last bracket, or false where it is no such thing. A name
 * that is unknown makes the pattern malformed. */
static bool set_named(byte_set *s, const unsigned char *p, size_t n, size_t *i, bool *bad)
{
    size_t end = *i + 2;
    while (end < n && p[end] != ']')
        end++;
    if (end >= n)
        return *bad = true;
    if (end < *i + 3 || p[end - 1] != ':')
        return false;
    const char *name = (const char *)p + *i + 2;
    size_t n_name = end - 1 - (*i + 2);
    bool known = false;
    for (unsigned c = 0; c < 256; c++)
        if (in_class(name, n_name, c, &known))
            set_add(s, c, c);
    *bad = !known;
    *i = end;
    return true;
}

/* The class whose bracket is at p[*at]; *at goes behind it. False: malformed. */
static bool parse_set(const unsigned char *p, size_t n, size_t *at, byte_set *s)
{
    size_t i = *at + 1;
    bool negated = i < n && (p[i] == '!' || p[i] == '^'), bad = false;
    unsigned before = 0; /* start of a possible range; 0: none */
    i += negated;
    for (bool first = true; i < n && (first || p[i] != ']'); first = false, i++) {
        unsigned c = p[i];
        if (c == '\\') {
            if (++i >= n)
                return false;
            before = p[i];
            set_add(s, before, before);
        } else if (c == '-' && before && i + 1 < n && p[i + 1] != ']') {
            if (p[++i] == '\\' && ++i >= n)
                return false;
            if (before <= p[i])
                set_add(s, before, p[i]);
            before = 0;
        } else if (c == '[' && i + 1 < n && p[i + 1] == ':' && set_named(s, p, n, &i, &bad)) {
            before = 0;
        } else {
            set_add(s, c, c);
            before = c;
        }
        if (bad)
            return false;
    }
    if (i >= n)
        return false;
    for (int w = 0; negated && w < 4; w++)
        s->bits[w] = ~s->bits[w];
    *at = i + 1;
    return true;
}

/* ---- compiling */

static bool new_set(ilki_ignore *l, const byte_set *s, uint32_t *index)
{
    if (l->n_sets == l->cap_sets) {
        size_t cap = l->cap_sets ? l->cap_sets * 2 : 8;
        byte_set *more = realloc(l->sets, cap * sizeof *more);
        if (!more)
            return false;
        l->sets = more;
        l->cap_sets = cap;
    }
    *index = (uint32_t)l->n_sets;
    l->sets[l->n_sets++] = *s;
    return true;
}

/* The run of stars at p[*at]: STAR, or GLOB between slashes. */
static size_t compile_stars(const unsigned char *p, size_t n, size_t *at, token *out)
{
    size_t i = *at, n_out = 0;
    bool at_border = i == 0 || p[i - 1] == '/', two = i + 1 < n && p[i + 1] == '*';
    while (i < n && p[i] == '*')
        i++;
    *at = i;
    bool slash = i < n && p[i] == '/', escaped = i + 1 < n && p[i] == '\\' && p[i + 1] == '/';
    if (!two || !at_border || (i < n && !slash && !escaped)) {
        out[n_out++] = (token){STAR, 0};
        return n_out;
    }
    if (slash)
        out[n_out++] = (token){SKIP, 0};
    out[n_out++] = (token){GLOB, 0};
    return n_out;
}

/* The n bytes behind the literal part. One byte gives at most one token. */
static bool compile(ilki_ignore *l, pattern *out, const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    if (n == 0)
        return true;
    token *t = ilki_base_arena_alloc(&l->arena, n, sizeof *t);
    if (!t)
        return false;
    size_t i = 0, k = 0;
    while (i < n) {
        if (p[i] == '*') {
            k += compile_stars(p, n, &i, t + k);
        } else if (p[i] == '?') {
            t[k++] = (token){ANY, 0};
            i++;
        } else if (p[i] == '[') {
            byte_set s = {{0}};
            if (!parse_set(p, n, &i, &s)) {
                out->flags |= NEVER;
                return true;
            }
            t[k] = (token){SET, 0};
            if (!new_set(l, &s, &t[k++].value))
                return false;
        } else {
            if (p[i] == '\\' && ++i == n) {
                out->flags |= NEVER;
                return true;
            }
            t[k++] = (token){LITERAL, p[i++]};
        }
    }
    out->tokens = t;
    out->n_tokens = k;
    if (k + 1 > l->max_states)
        l->max_states = k + 1;
    return true;
}

static bool is_special(char c)
{
    return c == '*' || c == '?' || c == '[' || c == '\\';
}

static bool add_pattern(ilki_ignore *l, const char *p, size_t n)
{
    pattern out = {0};
    if (n && *p == '!') {
        out.flags |= NEGATED;
        p++;
        n--;
    }
    if (n && p[n - 1] == '/') {
        out.flags |= DIR_ONLY;
        n--;
    }
    if (!memchr(p, '/', n))
        out.flags |= BASENAME;
    if (n && *p == '/') {
        p++;
        n--;
    }
    if (n == 0) /* it could only match an empty name */
        return true;
    while (out.n_literal < n && !is_special(p[out.n_literal]))
        out.n_literal++;
    size_t skip = out.n_literal;
    if (out.flags & BASENAME && out.n_literal < n) {
        /* the whole pattern is matched at once, but for "*.c" */
        size_t rest = 1;
        while (*p == '*' && rest < n && !is_special(p[rest]))
            rest++;
        skip = 0;
        out.n_literal = 0;
        if (*p == '*' && rest == n) {
            out.flags |= SUFFIX;
            p++;
            skip = out.n_literal = --n;
        }
    }
    out.literal = ilki_base_arena_strndup(&l->arena, p, out.n_literal);
    if (!out.literal || !compile(l, &out, p + skip, n - skip))
        return false;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        pattern *more = realloc(l->patterns, cap * sizeof *more);
        if (!more)
            return false;
        l->patterns = more;
        l->cap = cap;
    }
    l->patterns[l->n++] = out;
    return true;
}

/* Length without the spaces at the end that no backslash protects. */
static size_t trimmed(const char *p, size_t n)
{
    size_t keep = 0;
    for (size_t i = 0; i < n; i++) {
        bool escapes = p[i] == '\\';
        i += escapes;
        if (escapes || p[i] != ' ')
            keep = i + 1;
    }
    return keep < n ? keep : n;
}

ilk_status ilki_engine_ignore_parse(ilki_ignore **out, const char *text, size_t n, ilk_error *err)
{
    *out = NULL;
    ilki_ignore *l = ilki_base_zalloc(1, sizeof *l);
    if (!l)
        return ilki_base_fail_memory(err, sizeof *l, "ignore patterns");
    size_t at = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < n) {
        const char *line = text + at, *end = memchr(line, '\n', n - at);
        size_t len = end ? (size_t)(end - line) : n - at;
        at += len + 1;
        if (len == 0 || *line == '#')
            continue;
        if (line[len - 1] == '\r')
            len--;
        const char *nul = len ? memchr(line, '\0', len) : NULL; /* git's lines are C strings */
        if (nul)
            len = (size_t)(nul - line);
        if (!add_pattern(l, line, trimmed(line, len)))
            goto fail;
    }
    l->max_states += l->max_states == 0;
    l->states = malloc(2 * l->max_states);
    if (!l->states)
        goto fail;
    *out = l;
    return ILK_OK;

fail:
    ilki_engine_ignore_free(l);
    return ilki_base_fail_memory(err, n, "ignore patterns");
}

void ilki_engine_ignore_free(ilki_ignore *l)
{
    if (!l)
        return;
    ilki_base_arena_deinit(&l->arena);
    free(l->patterns);
    free(l->sets);
    free(l->states);
    free(l);
}

/* ---- matching */

/* Tokens that match nothing pass on what they were reached with. They only lead forward: one pass is enough. */
static void close_states(const pattern *p, unsigned char *s)
{
    for (size_t i = 0; i < p->n_tokens; i++) {
        if (!s[i] || p->tokens[i].kind < STAR)
            continue;
        s[i + 1] = 1;
        if (p->tokens[i].kind == SKIP)
            s[i + 3] = 1; /* a SKIP is always followed by GLOB and the slash */
    }
}

static bool match_tokens(ilki_ignore *l, const pattern *p, const char *text, size_t n)
{
    unsigned char *cur = l->states, *next = l->states + l->max_states;
    size_t n_states = p->n_tokens + 1;
    memset(cur, 0, n_states);
    cur[0] = 1;
    close_states(p, cur);
    for (size_t at = 0; at < n; at++) {
        unsigned c = (unsigned char)text[at];
        bool any = false;
        memset(next, 0, n_states);
        for (size_t i = 0; i < p->n_tokens; i++) {
            if (!cur[i])
                continue;
            const token *t = &p->tokens[i];
            bool stays = t->kind == GLOB || (t->kind == STAR && c != '/');
            bool goes = t->kind == LITERAL ? c == t->value
                        : t->kind == ANY   ? c != '/'
                                           : t->kind == SET && c != '/' && l->sets[t->value].bits[c / 64] >> c % 64 & 1;
            next[i] |= stays;
            next[i + 1] |= goes;
            any |= stays || goes;
        }
        if (!any)
            return false;
        close_states(p, next);
        unsigned char *swap = cur;
        cur = next;
        next = swap;
    }
    return cur[p->n_tokens];
}

static bool match_pattern(ilki_ignore *l, const pattern *p, const char *text, size_t n)
{
    if (n < p->n_literal)
        return false;
    if (p->flags & SUFFIX)
        return memcmp(text + n - p->n_literal, p->literal, p->n_literal) == 0;
    if (memcmp(text, p->literal, p->n_literal) != 0)
        return false;
    return match_tokens(l, p, text + p->n_literal, n - p->n_literal);
}

ilki_verdict ilki_engine_ignore_match(ilki_ignore *l, const char *path, size_t n, bool is_dir)
{
    size_t name = n;
    while (name > 0 && path[name - 1] != '/')
        name--;
    for (size_t i = l->n; i-- > 0;) {
        const pattern *p = &l->patterns[i];
        if (p->flags & NEVER || (p->flags & DIR_ONLY && !is_dir))
            continue;
        size_t from = p->flags & BASENAME ? name : 0;
        if (match_pattern(l, p, path + from, n - from))
            return p->flags & NEGATED ? ILKI_VERDICT_IN : ILKI_VERDICT_OUT;
    }
    return ILKI_VERDICT_NONE;
}
