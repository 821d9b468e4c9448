/* SPDX-License-Identifier: Apache-2.0
 * Added tokens: strings that are found in the text before anything else and become their id whole. Those that are not
 * `normalized` are searched in the raw text, the others, themselves normalised, in the normalised text of what lies
 * between. At each place the longest wins; a match that does not count (a single word inside a word, a special token in
 * untrusted text) is stepped over as a whole, as the reference does. Follows tokenizers 0.23, `added_vocabulary.rs`.
 * The search costs at most the longest pattern per character, and patterns are bounded. */
#include <string.h>

#include "base/utf8.h"
#include "text/part.h"
#include "text/unicode.h"

/* ------------------------------------------------------------------ build */

static bool enter(ilki_tokenizer *t, size_t index)
{
    const ilki_added *a = &t->added[index];
    ilki_added_set *set = a->normalized ? &t->normalized : &t->raw;
    int32_t old;
    if (a->n_cps == 0)
        return true; /* its normalised form is empty: never found */
    if (!ilki_text_trie_add(&set->trie, a->cps, a->n_cps, (int32_t)index, &old))
        return false;
    set->n++;
    if (a->n_cps > set->longest)
        set->longest = a->n_cps;
    if (a->cps[0] < 128)
        set->first[a->cps[0]] = true;
    else
        set->beyond_ascii = true;
    set->has_space |= a->lstrip;
    for (size_t i = 0; i < a->n_cps; i++)
        set->has_space |= (ilki_text_flags(a->cps[i]) & ILKI_UNI_SPACE) != 0;
    return true;
}

static ilk_status set_pattern(ilki_tokenizer *t, ilki_added *a, ilki_text_scratch *s, ilk_error *err)
{
    if (!ilki_text_load(s, a->content, a->n, 0) || (a->normalized && !ilki_text_normalise(t, s))) {
        if (s->too_long)
            return ilki_base_fail(err, ILK_LIMIT, "the normalizers make more than %zu characters of added token \"%s\"",
                                  s->max_chars, a->content);
        if (s->ran_wild)
            return ilki_base_fail(err, ILK_LIMIT,
                                  "the normalizers' pattern needs more steps for added token \"%s\" than are allowed",
                                  a->content);
        return ilki_base_fail_memory(err, a->n, "an added token");
    }
    uint32_t *cps = ilki_base_arena_alloc(&t->arena, s->str.n, sizeof *cps);
    if (!cps)
        return ilki_base_fail_memory(err, s->str.n * sizeof *cps, "an added token");
    for (size_t i = 0; i < s->str.n; i++)
        cps[i] = s->str.c[i].cp;
    a->cps = cps;
    a->n_cps = s->str.n;
    return ILK_OK;
}

ilk_status ilki_text_added_build(ilki_tokenizer *t, ilk_error *err)
{
    ilk_status status = ILK_OK;
    ilki_text_scratch *s = ilki_text_scratch_new();
    if (!s)
        return ilki_base_fail_memory(err, sizeof *s, "a scratch");
    for (size_t i = 0; i < t->n_added && !status; i++) {
        status = set_pattern(t, &t->added[i], s, err);
        if (!status && !enter(t, i))
            status = ilki_base_fail_memory(err, t->raw.trie.cap * sizeof(ilki_text_edge), "the trie of added tokens");
    }
    ilki_text_scratch_free(s);
    return status;
}

/* ------------------------------------------------------------------ raw text */

/* The longest pattern at text[at..n), its length in bytes; NULL where none begins. */
static const ilki_added *longest_bytes(const ilki_tokenizer *t, const char *text, size_t n, size_t at, size_t *len)
{
    const ilki_added *found = NULL;
    uint32_t node = 0;
    for (size_t i = at, step; i < n; i += step) {
        const ilki_text_edge *e = ilki_text_trie_step(&t->raw.trie, node, ilki_base_utf8_get(text + i, n - i, &step));
        if (!e)
            break;
        node = e->node;
        if (e->id >= 0) {
            found = &t->added[e->id];
            *len = i + step - at;
        }
    }
    return found;
}

static unsigned flags_before(const char *text, size_t at, size_t *start)
{
    size_t len;
    *start = at - 1;
    while (*start > 0 && at - *start < 4 && ((unsigned char)text[*start] & 0xc0) == 0x80)
        (*start)--;
    uint32_t cp = ilki_base_utf8_get(text + *start, at - *start, &len);
    if (*start + len != at) { /* not one character: the byte stands alone, as U+FFFD */
        *start = at - 1;
        return ilki_text_flags(0xfffd);
    }
    return ilki_text_flags(cp);
}

static unsigned flags_behind(const char *text, size_t n, size_t at, size_t *end)
{
    size_t len;
    uint32_t cp = ilki_base_utf8_get(text + at, n - at, &len);
    *end = at + len;
    return ilki_text_flags(cp);
}

static bool counts_in_bytes(const ilki_added *a, const char *text, size_t n, size_t start, size_t end,
                            bool skip_special)
{
    size_t unused;
    if (a->special && skip_special)
        return false;
    return !a->single_word || ((start == 0 || !(flags_before(text, start, &unused) & ILKI_UNI_WORD)) &&
                               (end == n || !(flags_behind(text, n, end, &unused) & ILKI_UNI_WORD)));
}

void ilki_text_added_find_bytes(const ilki_tokenizer *t, const char *text, size_t n, size_t from, size_t search,
                                size_t stop, bool skip_special, ilki_added_match *m)
{
    const ilki_added_set *set = &t->raw;
    *m = (ilki_added_match){.start = stop, .end = stop, .resume = stop};
    if (!set->n)
        return;
    for (size_t i = search, len; i < stop; i += len) {
        unsigned char b = (unsigned char)text[i];
        len = 1;
        /* a continuation byte begins no pattern, and one that is invalid is U+FFFD, which may begin one */
        if (b < 128 ? !set->first[b] : !set->beyond_ascii)
            continue;
        if (b >= 128)
            ilki_base_utf8_get(text + i, n - i, &len);
        const ilki_added *a = longest_bytes(t, text, n, i, &len);
        if (!a || !counts_in_bytes(a, text, n, i, i + len, skip_special))
            continue;
        *m = (ilki_added_match){.token = a, .start = i, .end = i + len, .resume = i + len};
        for (size_t p = i; a->lstrip && p > from && flags_before(text, p, &p) & ILKI_UNI_SPACE;)
            m->start = p;
        for (size_t p = m->end; a->rstrip && p < n && flags_behind(text, n, p, &p) & ILKI_UNI_SPACE;)
            m->end = p;
        return;
    }
}

/* ------------------------------------------------------------------ normalised text */

static bool is(const ilki_text_char *c, unsigned flag)
{
    return (ilki_text_flags(c->cp) & flag) != 0;
}

/* The longest pattern at c[at..n), its length; NULL where none begins. `*seen`: where the walk ended. */
static const ilki_added *longest_chars(const ilki_tokenizer *t, const ilki_text_char *c, size_t n, size_t at,
                                       size_t *len, size_t *seen)
{
    const ilki_added *found = NULL;
    uint32_t node = 0;
    *len = 1;
    for (*seen = at; *seen < n; ++*seen) {
        const ilki_text_edge *e = ilki_text_trie_step(&t->normalized.trie, node, c[*seen].cp);
        if (!e)
            break;
        node = e->node;
        if (e->id >= 0) {
            found = &t->added[e->id];
            *len = *seen + 1 - at;
        }
    }
    return found;
}

/* Nothing sure is found from `at` on; what stands before it may be taken by a token's lstrip. */
static void end_search(const ilki_added_set *set, const ilki_text_char *c, size_t from, size_t at, ilki_added_match *m)
{
    while (m->goes_on && set->has_space && at > from && is(&c[at - 1], ILKI_UNI_SPACE))
        at--;
    *m = (ilki_added_match){.start = at, .end = at, .resume = at, .goes_on = m->goes_on};
}

void ilki_text_added_find_chars(const ilki_tokenizer *t, const ilki_text_char *c, size_t n, size_t from, size_t search,
                                bool skip_special, ilki_added_match *m)
{
    const ilki_added_set *set = &t->normalized;
    size_t i = search, len, seen;
    for (; set->n && i < n; i += len) {
        len = 1;
        if (c[i].cp < 128 ? !set->first[c[i].cp] : !set->beyond_ascii)
            continue;
        const ilki_added *a = longest_chars(t, c, n, i, &len, &seen);
        size_t end = i + len;
        if (m->goes_on && (seen == n || (a && a->single_word && end == n)))
            break;
        if (!a || (a->special && skip_special))
            continue;
        if (a->single_word && ((i > 0 && is(&c[i - 1], ILKI_UNI_WORD)) || (end < n && is(&c[end], ILKI_UNI_WORD))))
            continue;
        ilki_added_match found = {.token = a, .start = i, .end = end, .resume = end, .goes_on = m->goes_on};
        while (a->lstrip && found.start > from && is(&c[found.start - 1], ILKI_UNI_SPACE))
            found.start--;
        while (a->rstrip && found.end < n && is(&c[found.end], ILKI_UNI_SPACE))
            found.end++;
        if (m->goes_on && a->rstrip && found.end == n)
            break;
        *m = found;
        return;
    }
    end_search(set, c, from, i < n ? i : n, m);
}
