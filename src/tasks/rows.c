/* SPDX-License-Identifier: Apache-2.0
 * CSV is RFC 4180's: fields between commas, in quotes where they hold commas, quotes (doubled) or line ends. TSV has no
 * quotes: a tab ends a field, a line a row. */
#include "tasks/rows.h"

const char *ilki_tasks_row_field(const ilki_row *r, size_t i, size_t *n)
{
    *n = r->at[i + 1] - r->at[i];
    return ilki_base_buf_view(&r->text) + r->at[i];
}

static void end_field(ilki_row *r)
{
    if (r->n == ILKI_ROW_FIELDS)
        r->broken = true;
    else
        r->at[++r->n] = r->text.len;
}

/* One quoted field from its first quote; returns what is behind its last. */
static const char *quoted_field(ilki_row *r, const char *s, const char *end, uint64_t *line)
{
    for (s++; s < end; s++) {
        if (*s == '"' && (s + 1 == end || s[1] != '"'))
            return s + 1;
        s += *s == '"';
        *line += *s == '\n';
        ilki_base_buf_addc(&r->text, *s);
    }
    r->broken = true;
    return s;
}

const char *ilki_tasks_read_row(ilki_row *r, const char *s, const char *end, char separator, uint64_t *line)
{
    bool quotes = separator == ',';
    ilki_base_buf_reset(&r->text);
    r->n = 0;
    r->at[0] = 0;
    r->broken = false;
    for (;;) {
        if (quotes && s < end && *s == '"')
            s = quoted_field(r, s, end, line);
        const char *from = s;
        while (s < end && *s != separator && *s != '\n')
            s++;
        size_t n = (size_t)(s - from);
        if (n && (s == end || *s == '\n') && from[n - 1] == '\r')
            n--;
        ilki_base_buf_add(&r->text, from, n);
        end_field(r);
        if (s == end || *s == '\n') {
            ++*line;
            return s < end ? s + 1 : s;
        }
        s++;
    }
}

bool ilki_tasks_same_name(const char *s, size_t n, const char *word)
{
    size_t i = 0;
    for (; i < n && word[i]; i++) {
        char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i] == '-' || s[i] == ' ' ? '_' : s[i];
        if (c != word[i])
            return false;
    }
    return i == n && word[i] == 0;
}
