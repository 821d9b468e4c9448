/* SPDX-License-Identifier: Apache-2.0
 * What of a passage is shown. The sentence nearest to the question is found with the model itself; that takes as long as
 * a few passages do, so it has a deadline, after which words shared with the question decide. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "show_hits.h"

#define SCORE_SECONDS 0.4
#define MARGIN        4

void cli_excerpt_clean(ilki_buf *b, const char *text, bool code)
{
    bool blank = true;
    ilki_buf one;
    ilki_base_buf_init(&one, (size_t)1 << 30);
    for (const char *s = text; *s; s++) {
        if (code) {
            if (*s == '\t')
                ilki_base_buf_adds(&one, "    ");
            else if (*s != '\r')
                ilki_base_buf_addc(&one, *s);
        } else if (*s == ' ' || (*s >= '\t' && *s <= '\r')) {
            if (!blank)
                ilki_base_buf_addc(&one, ' ');
            blank = true;
        } else {
            ilki_base_buf_addc(&one, *s);
            blank = false;
        }
    }
    cli_escape(b, ilki_base_buf_view(&one), one.len, code ? "\n" : "");
    ilki_base_buf_deinit(&one);
}

/* Does a sentence end behind byte i? */
static size_t end_of_sentence(const char *s, size_t n, size_t i)
{
    if (s[i] == '\n')
        return i + 1;
    if (strchr(".!?", s[i]) && i + 1 < n && s[i + 1] == ' ')
        return i + 1;
    if (n - i >= 3) {
        static const char full[][4] = {"\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f", "\xef\xbd\xa1"};
        for (size_t k = 0; k < sizeof full / sizeof *full; k++)
            if (memcmp(s + i, full[k], 3) == 0)
                return i + 3;
    }
    return 0;
}

size_t cli_excerpt_split(const char *s, size_t n, uint32_t text, cli_sentence *out, size_t max)
{
    size_t k = 0, start = 0;
    for (size_t i = 0; i <= n && k < max; i++) {
        size_t end = i == n ? n : s[i] ? end_of_sentence(s, n, i) : 0;
        if (end == 0 && i < n)
            continue;
        if (end - start < 20 && i < n && s[i] != '\n')
            continue; /* an abbreviation, a number */
        if (end > start)
            out[k++] = (cli_sentence){(uint32_t)start, (uint32_t)end, text, 0};
        start = end;
        while (start < n && s[start] == ' ')
            start++;
        i = i < n && start > i ? start - 1 : i;
    }
    return k;
}

/* Share of the query's words (of three letters and more, or not ASCII) that the sentence has. */
static float shared_words(const char *query, const char *s, size_t n)
{
    unsigned words = 0, found = 0;
    for (const char *w = query; *w;) {
        size_t len = 0;
        while (w[len] && (isalnum((unsigned char)w[len]) || (unsigned char)w[len] >= 0x80))
            len++;
        if (len >= 3) {
            words++;
            size_t stem = len > 5 ? len - 2 : len, hit = 0; /* plural and the like */
            for (size_t i = 0; !hit && i + stem <= n; i++)
                hit = strncasecmp(s + i, w, stem) == 0;
            found += (unsigned)hit;
        }
        w += len ? len : 1;
    }
    return words ? (float)found / (float)words : 0;
}

static bool score_by_meaning(cli *c, ilk_model *m, const char *query, const char *const *texts, cli_sentence *s,
                             size_t n)
{
    ilk_job_options o;
    ilk_vectors *v = NULL;
    size_t dim;
    ilk_job_options_init(&o);
    o.deadline_seconds = SCORE_SECONDS;
    ilk_job *job = ilk_job_new(&o);
    ilk_input *in = ilki_base_zalloc(n + 1, sizeof *in);
    ilk_part *parts = ilki_base_zalloc(n + 1, sizeof *parts);
    bool ok = job && in && parts;
    for (size_t i = 0; ok && i <= n; i++) {
        ilk_part_init(&parts[i]);
        ilk_input_init(&in[i]);
        parts[i].kind = ILK_PART_TEXT;
        parts[i].data = i == n ? query : texts[s[i].text] + s[i].start;
        parts[i].n_bytes = i == n ? strlen(query) : s[i].end - s[i].start;
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
        in[i].role = i == n ? ILK_ROLE_QUERY : ILK_ROLE_DOCUMENT;
    }
    cli_signals_watch(job);
    ok = ok && ilk_embed(m, in, n + 1, NULL, job, &v, NULL) == ILK_OK;
    cli_signals_watch(c->job);
    const float *q = ok ? ilk_vectors_get_dense(v, n, &dim) : NULL;
    for (size_t i = 0; q && i < n; i++) {
        const float *one = ilk_vectors_get_dense(v, i, &dim);
        if (!one || ilk_model_get_similarity(m, q, one, dim, &s[i].score, NULL) != ILK_OK)
            s[i].score = -2;
    }
    ilk_vectors_free(v);
    ilk_job_free(job);
    free(in);
    free(parts);
    return q != NULL;
}

void cli_excerpt_score(cli *c, ilk_model *m, const char *query, const char *const *texts, cli_sentence *s, size_t n)
{
    if (n == 0 || (m && score_by_meaning(c, m, query, texts, s, n)))
        return;
    for (size_t i = 0; i < n; i++)
        s[i].score = shared_words(query, texts[s[i].text] + s[i].start, s[i].end - s[i].start);
}

/* One line, with [from, to) of it set off. */
static void put_line(cli *c, const char *s, size_t n, size_t from, size_t to)
{
    from = from < n ? from : n;
    to = to < from ? from : to < n ? to : n;
    cli_put(c, s, from);
    if (to > from) {
        cli_color(c, "1");
        cli_put(c, s + from, to - from);
        cli_color(c, "0");
    }
    cli_put(c, s + to, n - to);
}

/* Where the lines begin: at the sentence, and earlier where the end would leave lines empty. Code begins with a line. */
static size_t first_shown(const char *s, size_t n, size_t at, size_t cells, unsigned lines, bool code)
{
    if (code) {
        unsigned have = 0;
        for (size_t i = at; i < n; i++)
            have += s[i] == '\n';
        while (at > 0 && (s[at - 1] != '\n' || have++ + 1 < lines))
            at--;
        return at;
    }
    while (at > 0 && cli_cells(s + at, n - at) < cells * (lines - 1)) {
        do
            at--;
        while (at > 0 && s[at - 1] != ' ');
    }
    return at;
}

void cli_excerpt_put(cli *c, const char *s, size_t n, const cli_sentence *best, unsigned lines)
{
    const char *more = c->out.utf8 ? "\xe2\x80\xa6" : "...";
    size_t columns = (size_t)cli_columns(1), cells = columns > 4 * MARGIN ? columns - MARGIN : 3 * MARGIN, next;
    bool code = memchr(s, '\n', n) != NULL;
    size_t at = first_shown(s, n, best ? best->start : 0, cells, lines, code);
    bool cut_start = at > 0 && !code;
    for (unsigned line = 0; line < lines && at < n; line++) {
        bool last = line + 1 == lines, tail = last;
        size_t width = cells - (line == 0 && cut_start ? 3 : 0) - (last || code ? 3 : 0), len;
        if (code) { /* a line of code is cut, not wrapped */
            size_t stop = strcspn(s + at, "\n");
            len = cli_fit(s + at, stop, width);
            tail = len < stop;
            next = stop + 1;
        } else {
            len = cli_wrap(s + at, n - at, width, &next);
        }
        cli_putf(c, "%*s%s", MARGIN, "", line == 0 && cut_start ? more : "");
        put_line(c, s + at, len, best && best->start > at ? best->start - at : 0,
                 best && best->end > at ? best->end - at : 0);
        at += next > 0 ? next : 1;
        cli_puts(c, tail && (code || at < n) ? more : "");
        cli_puts(c, "\n");
    }
}
