/* SPDX-License-Identifier: Apache-2.0
 * A pattern of a checkpoint that no matcher of pattern.c or replace.c knows, by PCRE2. It is untrusted, and so is the text:
 *   - the pattern's length, nesting and compiled size are limited, it is interpreted (no JIT), and what would mean
 *     something else to the reference's engine (Oniguruma, Ruby's syntax) is put in PCRE2's words or refused by name;
 *   - a match sees WINDOW bytes ahead, and more only where it asks for more, out of an allowance that grows with the text;
 *     its steps are limited likewise: few at first, many out of the same allowance. A pattern that runs wild is an error.
 * What still differs: the classes \p{…} are those of the Unicode that PCRE2 was built with, and case is folded character
 * by character ("ß" is not "ss"). Of a splitter an empty match makes a border but no piece. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum {
    MAX_PATTERN = 4096,  /* bytes */
    MAX_CODE = 1 << 18,  /* bytes of the compiled form */
    MAX_NESTING = 32,    /* parentheses */
    WINDOW = 1024,       /* bytes seen ahead at no charge */
    STEPS = 1000,        /* of a match at no charge */
    MAX_STEPS = 200000,  /* of any match */
    MAX_DEPTH = 20000,   /* backtracking points kept at once */
    MAX_HEAP = 8192,     /* KiB for these */
    ALLOWANCE = 1 << 22, /* bytes and steps at a charge, and so many more for each byte of text */
    ALLOWANCE_PER_BYTE = 128
};

struct ilki_regex {
    pcre2_code *code;
    pcre2_match_context *few, *many;
};

/* ------------------------------------------------------------------ the pattern */

/* What Oniguruma reads otherwise than PCRE2, wherever it stands. */
static const struct {
    const char *text, *why;
} foreign[] = {
    {"\\h", "a hexadecimal digit there"},
    {"\\H", "a hexadecimal digit there"},
    {"\\K", "not allowed there"},
    {"\\G", "another place there"},
    {"\\C", "a byte"},
    {"\\b", "a border of other words there"},
    {"\\B", "a border of other words there"},
    {"\\y", "a text segment there"},
    {"\\Y", "a text segment there"},
    {"\\X", "other clusters there"},
    {"\\g", "a call there"},
    {"\\Z", "another place there"},
    {"\\Q", "a letter there"},
    {"\\E", "a letter there"},
    {"&&", "an intersection there"},
    {"(*", "a verb"},
    {"{,", "a repetition there"},
    {"(?C", "a callout"},
    {"(?R", "a recursion"},
    {"(?P", "no group there"},
    {"(?|", "a reset of groups"},
};

/* s[at] closes a count ("{2,3}") and not the name of a class ("\\p{L}"); *exact: a count without a comma. */
static bool closes_count(const char *s, size_t at, bool *exact)
{
    size_t open = at;
    *exact = true;
    while (open > 0 && s[open] != '{')
        *exact &= s[open--] != ',';
    return open < 2 || s[open - 2] != '\\' || !strchr("pPx", s[open - 1]);
}

/* Why what begins at s[i] is no pattern of both engines; NULL: it is. `in_class`: between brackets. */
static const char *why_not(const char *s, size_t n, size_t i, bool in_class)
{
    bool exact;
    for (size_t k = 0; k < sizeof foreign / sizeof *foreign; k++)
        if (n - i >= strlen(foreign[k].text) && memcmp(s + i, foreign[k].text, strlen(foreign[k].text)) == 0)
            return foreign[k].why;
    if (s[i] == '}' && i + 1 < n && (s[i + 1] == '+' || s[i + 1] == '?') && closes_count(s, i, &exact) &&
        (exact || s[i + 1] == '+'))
        return "a repetition there";
    if (s[i] == '\\' && i + 1 < n && (s[i + 1] == 'p' || s[i + 1] == 'P') && (i + 2 == n || s[i + 2] != '{'))
        return "a letter there";
    if (s[i] == '[' && in_class && (i + 1 == n || s[i + 1] != ':'))
        return "a class inside a class there";
    if (i + 2 < n && memcmp(s + i, "(?", 2) == 0) {
        size_t len = strspn(s + i + 2, "imsxnaJU^-");
        if (len && (s[i + 2 + len] == ')' || s[i + 2 + len] == ':') && strspn(s + i + 2, "ix-") != len)
            return "another option there";
    }
    return NULL;
}

/* Sets *in_class as it is behind s[i], an unescaped character. */
static void step_class(const char *s, size_t i, size_t *opened, bool *in_class)
{
    if (s[i] == '[' && !*in_class) {
        *in_class = true;
        *opened = i + 1 + (s[i + 1] == '^');
    } else if (s[i] == ']' && i != *opened) { /* the first one stands for itself */
        *in_class = false;
    }
}

static ilk_status check_pattern(const char *s, size_t n, const ilki_text_reader *r)
{
    bool in_class = false;
    size_t opened = 0;
    if (n > MAX_PATTERN)
        return ilki_base_fail(r->err, ILK_LIMIT, "%s: a pattern of %zu bytes, at most %d are taken", r->name, n,
                              MAX_PATTERN);
    for (size_t i = 0; i < n; i++) {
        const char *why = why_not(s, n, i, in_class), *end = in_class && s[i] == '[' ? strstr(s + i, ":]") : NULL;
        if (why)
            return ilki_base_fail(r->err, ILK_UNSUPPORTED, "%s: the pattern %.200s is not built: \"%.*s\" is %s",
                                  r->name, s, (int)(n - i < 3 ? n - i : 3), s + i, why);
        if (end)
            i = (size_t)(end + 1 - s);
        else if (s[i] == '\\')
            i++;
        else
            step_class(s, i, &opened, &in_class);
    }
    return ILK_OK;
}

/* What Oniguruma means by names of classes, for use between brackets: in its \w alone also six numbers of Latin-1. */
#define WORD    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define NUMBERS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define SPACE   "\\p{Z}\\t-\\r\\x{85}"

static const struct {
    const char *name, *as;
} posix[] = {
    {"[:alpha:]", "\\p{Alphabetic}"},
    {"[:alnum:]", "\\p{Alphabetic}\\p{Nd}"},
    {"[:upper:]", "\\p{Uppercase}"},
    {"[:lower:]", "\\p{Lowercase}"},
    {"[:digit:]", "\\p{Nd}"},
    {"[:xdigit:]", "0-9A-Fa-f"},
    {"[:punct:]", "\\p{P}\\p{S}"},
    {"[:space:]", SPACE},
    {"[:blank:]", "\\p{Zs}\\t"},
    {"[:cntrl:]", "\\p{Cc}"},
    {"[:word:]", WORD},
};

/* How long the name at s[i] is of a class between brackets, put as both engines know it; 0: it is not built. */
static size_t put_posix(const char *s, size_t n, size_t i, ilki_buf *to)
{
    for (size_t k = 0; k < sizeof posix / sizeof *posix; k++) {
        size_t len = strlen(posix[k].name);
        if (n - i < len || memcmp(s + i, posix[k].name, len) != 0)
            continue;
        ilki_base_buf_addf(to, "%s", posix[k].as);
        return len;
    }
    return 0;
}

/* PCRE2 takes a script's name for all that is used with the script; "sc:" in front says the script alone. */
static bool is_script(const char *name, size_t n)
{
    char pattern[64];
    int code = 0;
    size_t at = 0;
    if (n < 3 || n > 32 || memchr(name, ':', n) || memchr(name, '=', n))
        return false;
    int len = snprintf(pattern, sizeof pattern, "\\p{sc:%.*s}", (int)n, name);
    pcre2_code *c = pcre2_compile((PCRE2_SPTR)pattern, (size_t)len, PCRE2_UTF, &code, &at, NULL);
    pcre2_code_free(c);
    return c != NULL;
}

/* \p{…} or \P{…} at s[i]: how long it is. */
static size_t put_property(const char *s, size_t n, size_t i, ilki_buf *to)
{
    size_t name = i + 3, end = name;
    while (end < n && s[end] != '}')
        end++;
    bool not_it = name < end && s[name] == '^';
    name += not_it;
    ilki_base_buf_add(to, s + i, 3);
    ilki_base_buf_addf(to, "%s%s", not_it ? "^" : "", end < n && is_script(s + name, end - name) ? "sc:" : "");
    end += end < n;
    ilki_base_buf_add(to, s + name, end - name);
    return end - i;
}

static bool is_hex(const char *s, size_t n)
{
    return n >= 4 && strspn(s, "0123456789abcdefABCDEF") >= 4;
}

/* An escape at s[i]: how long it is; 0: it is not built there. */
static size_t put_escape(const char *s, size_t n, size_t i, bool in_class, ilki_buf *to)
{
    switch (s[i + 1]) {
    case 'w':
        ilki_base_buf_addf(to, "%s", in_class ? WORD : "[" WORD NUMBERS "]");
        return 2;
    case 'W':
        ilki_base_buf_addf(to, "%s", in_class ? "" : "[^" WORD NUMBERS "]");
        return in_class ? 0 : 2;
    case 's':
        ilki_base_buf_addf(to, "%s", in_class ? SPACE : "[" SPACE "]");
        return 2;
    case 'S': /* PCRE2 has U+180E among spaces */
        ilki_base_buf_addf(to, "%s", in_class ? "\\S\\x{180e}" : "[^" SPACE "]");
        return 2;
    case 'p':
    case 'P':
        return put_property(s, n, i, to);
    case 'u':
        if (!is_hex(s + i + 2, n - i - 2))
            return 0;
        ilki_base_buf_addf(to, "\\x{%.4s}", s + i + 2);
        return 6;
    default:
        ilki_base_buf_add(to, s + i, 2);
        return 2;
    }
}

/* The pattern in PCRE2's words; *failed: at what it is not built. */
static bool translate(const char *s, size_t n, ilki_buf *to, size_t *failed)
{
    bool in_class = false;
    size_t opened = 0;
    for (size_t i = 0, len; i < n; i += len) {
        *failed = i;
        len = 1;
        if (s[i] == '\\' && i + 1 < n) {
            len = put_escape(s, n, i, in_class, to);
        } else if (s[i] == '[' && in_class) {
            len = put_posix(s, n, i, to);
        } else {
            ilki_base_buf_add(to, s + i, 1);
            step_class(s, i, &opened, &in_class);
        }
        if (len == 0)
            return false;
    }
    return true;
}

static ilk_status compile(ilki_regex *x, const ilki_buf *text, const char *pattern, const ilki_text_reader *r)
{
    int code = 0;
    size_t at = 0, size = 0;
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    if (!c)
        return ilki_base_fail_memory(r->err, text->len, "a pattern");
    pcre2_set_parens_nest_limit(c, MAX_NESTING);
    pcre2_set_newline(c, PCRE2_NEWLINE_LF);
    x->code = pcre2_compile((PCRE2_SPTR)ilki_base_buf_view(text), text->len,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &at, c);
    pcre2_compile_context_free(c);
    if (!x->code) {
        PCRE2_UCHAR why[128] = "";
        pcre2_get_error_message(code, why, sizeof why);
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: the pattern %.200s: %s, about byte %zu", r->name, pattern,
                              (const char *)why, at);
    }
    pcre2_pattern_info(x->code, PCRE2_INFO_SIZE, &size);
    if (size > MAX_CODE)
        return ilki_base_fail(r->err, ILK_LIMIT, "%s: the pattern %.200s: %zu bytes compiled, at most %d are taken",
                              r->name, pattern, size, MAX_CODE);
    return ILK_OK;
}

ilk_status ilki_text_regex_new(ilki_regex **out, const char *pattern, size_t n, const ilki_text_reader *r)
{
    ilki_buf text;
    size_t at = 0;
    *out = NULL;
    ilk_status status = check_pattern(pattern, n, r);
    ilki_regex *x = status ? NULL : ilki_base_zalloc(1, sizeof *x);
    if (!status && !x)
        status = ilki_base_fail_memory(r->err, sizeof *x, "a pattern");
    ilki_base_buf_init(&text, (size_t)MAX_PATTERN * 16);
    if (!status && !translate(pattern, n, &text, &at))
        status = ilki_base_fail(r->err, ILK_UNSUPPORTED, "%s: the pattern %.200s is not built: \"%.10s\" there",
                                r->name, pattern, pattern + at);
    if (!status)
        status = ilki_base_buf_check(&text, "a pattern", r->err);
    if (!status)
        status = compile(x, &text, pattern, r);
    if (!status) {
        x->few = pcre2_match_context_create(NULL);
        x->many = pcre2_match_context_create(NULL);
        if (!x->few || !x->many)
            status = ilki_base_fail_memory(r->err, n, "a pattern");
    }
    for (int i = 0; !status && i < 2; i++) {
        pcre2_match_context *m = i ? x->many : x->few;
        pcre2_set_match_limit(m, i ? MAX_STEPS : STEPS);
        pcre2_set_depth_limit(m, MAX_DEPTH);
        pcre2_set_heap_limit(m, MAX_HEAP);
    }
    ilki_base_buf_deinit(&text);
    if (status)
        ilki_text_regex_free(x);
    else
        *out = x;
    return status;
}

void ilki_text_regex_free(ilki_regex *x)
{
    if (!x)
        return;
    pcre2_code_free(x->code);
    pcre2_match_context_free(x->few);
    pcre2_match_context_free(x->many);
    free(x);
}

void ilki_text_regex_free_match(void *match)
{
    pcre2_match_data_free(match);
}

/* ------------------------------------------------------------------ matching */

bool ilki_text_regex_begin(ilki_regex_run *u, const ilki_regex *x, ilki_text_scratch *s, const ilki_text_char *c,
                           size_t n)
{
    *u = (ilki_regex_run){.x = x, .s = s, .last = SIZE_MAX};
    if (!s->match && !(s->match = pcre2_match_data_create(1, NULL)))
        return false;
    if (!ilki_text_work_reserve(s, n, 4))
        return false;
    char *to = s->work;
    for (size_t i = 0; i < n; i++)
        u->n += ilki_base_utf8_put(c[i].cp, to + u->n);
    u->text = to;
    u->allowance = u->n * ALLOWANCE_PER_BYTE + ALLOWANCE;
    return true;
}

static bool spend(ilki_regex_run *u, size_t n)
{
    bool ok = u->allowance >= n;
    u->allowance = ok ? u->allowance - n : 0;
    u->s->ran_wild |= !ok;
    return ok;
}

/* One attempt from byte `at` on: PCRE2's answer. The end of what is seen is no end of the text for it, so that a match is
 * one whatever stands behind; PCRE2_ERROR_PARTIAL, of a text that goes on: one may begin where the vector says. */
static int attempt(ilki_regex_run *u, size_t at)
{
    for (size_t see = WINDOW;; see *= 2) {
        bool all = see >= u->n - at;
        size_t end = all ? u->n : at + see;
        while (!all && ((unsigned char)u->text[end] & 0xc0) == 0x80)
            end--;
        uint32_t options = PCRE2_NO_UTF_CHECK | (all && !u->goes_on ? 0 : PCRE2_PARTIAL_HARD);
        int n = pcre2_match(u->x->code, (PCRE2_SPTR)u->text, end, at, options, u->s->match, u->x->few);
        if (n == PCRE2_ERROR_MATCHLIMIT) {
            if (!spend(u, MAX_STEPS))
                return n;
            n = pcre2_match(u->x->code, (PCRE2_SPTR)u->text, end, at, options, u->s->match, u->x->many);
        }
        if (all || (n != PCRE2_ERROR_PARTIAL && n != PCRE2_ERROR_NOMATCH))
            return n;
        if (n == PCRE2_ERROR_NOMATCH) { /* no match begins in sight */
            at = end;
            see = WINDOW / 2;
            continue;
        }
        if (!spend(u, see * 2))
            return PCRE2_ERROR_MATCHLIMIT;
    }
}

/* The character that byte `to` belongs to; bytes come in order. */
static size_t place_of(ilki_regex_run *u, size_t to)
{
    for (; u->byte < to; u->byte++)
        u->place += ((unsigned char)u->text[u->byte] & 0xc0) != 0x80;
    return u->place;
}

int ilki_text_regex_next(ilki_regex_run *u, size_t *start, size_t *end)
{
    while (u->at < u->n + !u->goes_on) {
        int n = attempt(u, u->at);
        if (n == PCRE2_ERROR_NOMATCH)
            break;
        if (n == PCRE2_ERROR_PARTIAL) {
            *start = place_of(u, pcre2_get_ovector_pointer(u->s->match)[0]);
            return 0;
        }
        if (n < 0) {
            u->s->ran_wild |= n != PCRE2_ERROR_NOMEMORY;
            return -1;
        }
        const size_t *found = pcre2_get_ovector_pointer(u->s->match);
        size_t from = found[0], to = found[1];
        u->at = to;
        if (from == to) /* the next search begins behind the next character */
            for (u->at++; u->at < u->n && ((unsigned char)u->text[u->at] & 0xc0) == 0x80;)
                u->at++;
        if (from == to && from == u->last)
            continue; /* an empty match right behind a match does not count */
        u->last = to;
        *start = place_of(u, from);
        *end = place_of(u, to);
        return 1;
    }
    *start = place_of(u, u->n);
    return 0;
}
