/* SPDX-License-Identifier: Apache-2.0
 * The normalizer Replace: a string, or what a regular expression matches, becomes the content. Follows tokenizers 0.23,
 * `NormalizedString::replace`: what is put in takes the place of the last character taken out. Runs of white space have a
 * matcher of their own, since texts may be cut beside them; other patterns go through regex.c, under its limits. A text
 * may grow to s->max_chars. Content is taken by the letter: it has no references to groups. */
#include <string.h>

#include "text/regex.h"
#include "text/unicode.h"

/* The regular expressions that are known, a run of white space or of spaces: such a text may be cut at words. */
static const struct {
    const char *regex;
    size_t least;
    bool any_space, lines;
} runs[] = {{"\\s+", 1, true, false},
            {" {2,}", 2, false, false},
            {" +", 1, false, false},
            {"\\s{2,}", 2, true, false},
            {"\\s{2,}|[\\n\\r\\t]", 2, true, true}};

static ilk_status read_regex(ilki_normalizer *p, const ilki_text_reader *r, const char *regex, size_t n)
{
    static const uint32_t space[] = {' '};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        if (n == strlen(runs[i].regex) && memcmp(runs[i].regex, regex, n) == 0) {
            p->least = runs[i].least;
            p->lines = runs[i].lines;
            p->find = runs[i].any_space ? NULL : space;
            p->n_find = 1;
            p->local = true;
            return ILK_OK;
        }
    return ilki_text_regex_new(&p->regex, regex, n, r);
}

void ilki_text_replace_set(ilki_normalizer *p, uint32_t space, const uint32_t *put, size_t n_put)
{
    static const uint32_t one[] = {' '};
    *p = (ilki_normalizer){.row = &ilki_text_replace, .local = true, .put = put, .n_put = n_put, .n_find = 1};
    if (space == ' ')
        p->find = one;
    else
        p->least = 1;
}

static ilk_status replace_read(ilki_normalizer *p, const ilki_text_reader *r, ilki_json_node node)
{
    ilki_json_node pattern = ilki_base_json_get(r->json, node, "pattern");
    const char *find = NULL, *put = NULL, *regex = NULL;
    size_t n_find = 0, n_put = 0, n_regex = 0;
    ilk_status status = ilki_text_read_string(r, pattern, "Regex", NULL, &regex, &n_regex);
    if (!status)
        status = ilki_text_read_string(r, pattern, "String", NULL, &find, &n_find);
    if (!status)
        status = ilki_text_read_string(r, node, "content", NULL, &put, &n_put);
    if (!status && ((!regex && (!find || n_find == 0)) || !put))
        status = ilki_base_fail(
            r->err, ILK_BAD_FORMAT,
            "%s: normalizer Replace: expected pattern {\"Regex\": …} or {\"String\": …} of a character or more, and content",
            r->name);
    if (!status && n_find > ILKI_ADDED_MAX_BYTES)
        status = ilki_base_fail(r->err, ILK_LIMIT,
                                "%s: normalizer Replace: a pattern of %zu bytes, at most %d is taken", r->name, n_find,
                                ILKI_ADDED_MAX_BYTES);
    if (!status && regex)
        status = read_regex(p, r, regex, n_regex);
    else if (!status)
        status = ilki_text_read_chars(r, find, n_find, &p->find, &p->n_find);
    if (!status)
        status = ilki_text_read_chars(r, put, n_put, &p->put, &p->n_put);
    p->local |= p->n_find == 1 && p->find && p->find[0] == ' ';
    return status;
}

/* The end of the run of white space, or of spaces, that begins at i. */
static size_t run_end(const ilki_normalizer *p, const ilki_text_str *s, size_t i)
{
    while (i < s->n && (p->find ? s->c[i].cp == p->find[0] : (ilki_text_flags(s->c[i].cp) & ILKI_UNI_SPACE) != 0))
        i++;
    return i;
}

/* Whether what stands behind s->c[..n) may make more of what is at i: a run goes on, or `find` has only begun. */
static bool is_cut(const ilki_normalizer *p, const ilki_text_str *s, size_t i)
{
    size_t k = i;
    if (p->least)
        k = run_end(p, s, i);
    else if (s->n - i < p->n_find)
        while (k < s->n && s->c[k].cp == p->find[k - i])
            k++;
    return k == s->n;
}

/* The end of what is found at i, or i. */
static size_t found_at(const ilki_normalizer *p, const ilki_text_str *s, size_t i)
{
    if (p->least) {
        size_t end = run_end(p, s, i);
        uint32_t cp = s->c[i].cp;
        bool alone = p->lines && (cp == '\n' || cp == '\r' || cp == '\t');
        return end - i >= p->least || alone ? end : i;
    }
    if (s->n - i < p->n_find)
        return i;
    for (size_t k = 0; k < p->n_find; k++)
        if (s->c[i + k].cp != p->find[k])
            return i;
    return i + p->n_find;
}

/* The content, in the place of the character before c[end]: the last one taken out or, where the pattern matched nothing,
 * the one that stands before. */
static bool put_content(const ilki_normalizer *p, ilki_text_scratch *s, size_t end)
{
    ilki_span at = end ? s->str.c[end - 1].at : (ilki_span){s->base, s->base};
    s->too_long = s->spare.n + p->n_put > s->max_chars;
    for (size_t k = 0; !s->too_long && k < p->n_put; k++)
        if (!ilki_text_str_put(&s->spare, p->put[k], at))
            return false;
    return !s->too_long;
}

static bool put_chars(ilki_text_scratch *s, size_t first, size_t end)
{
    s->too_long = s->spare.n + (end - first) > s->max_chars;
    if (s->too_long || !ilki_text_str_reserve(&s->spare, s->spare.n + (end - first)))
        return false;
    if (end > first)
        memcpy(s->spare.c + s->spare.n, s->str.c + first, (end - first) * sizeof *s->str.c);
    s->spare.n += end - first;
    return true;
}

/* Every match, empty ones too, but for an empty text, in which nothing is found. */
static bool replace_matches(const ilki_normalizer *p, ilki_text_scratch *s)
{
    ilki_regex_run u;
    size_t at = 0, start, end;
    int found = 0;
    if (s->str.n == 0)
        return true;
    if (!ilki_text_regex_begin(&u, p->regex, s, s->str.c, s->str.n))
        return false;
    u.goes_on = s->goes_on;
    for (; (found = ilki_text_regex_next(&u, &start, &end)) > 0; at = end)
        if (!put_chars(s, at, start) || !put_content(p, s, end))
            return false;
    if (found < 0 || !put_chars(s, at, start))
        return false;
    ilki_text_swap_strs(s);
    return true;
}

static bool replace_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    const ilki_text_str *from = &s->str;
    s->spare.n = 0;
    if (p->regex)
        return replace_matches(p, s);
    if (p->n_find == 1 && p->n_put == 1 && !p->least) {
        for (size_t i = 0; i < from->n; i++)
            if (from->c[i].cp == p->find[0])
                from->c[i].cp = p->put[0];
        return true;
    }
    for (size_t i = 0; i < from->n;) {
        s->too_long = s->spare.n + p->n_put > s->max_chars;
        if (s->too_long)
            return false;
        size_t end = found_at(p, from, i);
        if (s->goes_on && (end == i || end == from->n) && is_cut(p, from, i))
            break;
        if (end == i) {
            if (!ilki_text_str_put(&s->spare, from->c[i].cp, from->c[i].at))
                return false;
            i++;
            continue;
        }
        i = end;
        if (!put_content(p, s, i))
            return false;
    }
    ilki_text_swap_strs(s);
    return true;
}
const ilki_normalizer_row ilki_text_replace = {.type = "Replace", .read = replace_read, .apply = replace_apply};
