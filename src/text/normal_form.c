/* SPDX-License-Identifier: Apache-2.0
 * NFD, NFC, NFKD, NFKC as crate unicode-normalization-alignments 0.1 computes them, with the place that it gives to
 * every character: the characters are decomposed and put in canonical order (stable within a class), composed where the
 * form says so, and then take their places in output order, one source character per output character that was not
 * added. After a reordering a mark may thus bear the place of its neighbour, here as there.
 * Linear: a run of marks is sorted by counting. */
#include "text/normal_form.h"

#include <string.h>

#include "text/unicode.h"

enum { FEW_MARKS = 24 };

/* Stable sort of m[first..] by class, in time linear in their number. */
static bool sort_marks(ilki_text_marks *m, size_t first, ilki_text_marks *spare)
{
    size_t n = m->n - first, count[257] = {0};
    ilki_text_mark *mark = m->m + first;
    if (n <= FEW_MARKS) {
        for (size_t i = 1; i < n; i++) {
            ilki_text_mark x = mark[i];
            size_t j = i;
            for (; j > 0 && mark[j - 1].ccc > x.ccc; j--)
                mark[j] = mark[j - 1];
            mark[j] = x;
        }
        return true;
    }
    spare->n = 0;
    if (!ilki_text_marks_reserve(spare, n))
        return false;
    for (size_t i = 0; i < n; i++)
        count[mark[i].ccc + 1]++;
    for (size_t i = 1; i < 257; i++)
        count[i] += count[i - 1];
    for (size_t i = 0; i < n; i++)
        spare->m[count[mark[i].ccc]++] = mark[i];
    memcpy(mark, spare->m, n * sizeof *mark);
    return true;
}

/* Appends one source character's decomposition; `*pending` is where the run of marks not yet sorted begins. */
static bool push(ilki_text_scratch *s, const uint32_t *cps, size_t n, size_t *pending)
{
    ilki_text_marks *m = &s->marks;
    if (!ilki_text_marks_reserve(m, m->n + n))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint32_t ccc = ilki_text_class_get(cps[i]).ccc;
        if (ccc == 0) {
            if (m->n - *pending > 1 && !sort_marks(m, *pending, &s->spare_marks))
                return false;
            *pending = m->n + 1;
        }
        m->m[m->n++] = (ilki_text_mark){.cp = cps[i], .change = i > 0, .ccc = ccc};
    }
    return true;
}

static bool decompose(ilki_text_scratch *s, bool compat)
{
    size_t pending = 0;
    s->marks.n = 0;
    if (!ilki_text_marks_reserve(&s->marks, s->str.n))
        return false;
    for (size_t i = 0; i < s->str.n; i++) {
        uint32_t cp = s->str.c[i].cp, jamo[3];
        const uint32_t *to = &cp;
        size_t n = 1;
        if (ilki_text_flags(cp) & ILKI_UNI_NORM) {
            size_t n_jamo = ilki_text_decompose_hangul(cp, jamo), n_to = 0;
            const uint32_t *parts = n_jamo ? jamo : ilki_text_decompose(cp, compat, &n_to);
            if (parts) {
                to = parts;
                n = n_jamo ? n_jamo : n_to;
            }
        }
        if (!push(s, to, n, &pending))
            return false;
    }
    return s->marks.n - pending <= 1 || sort_marks(&s->marks, pending, &s->spare_marks);
}

/* In place: each starter takes what composes with it and is not blocked (Unicode, section 3.11, D117). */
static void compose(ilki_text_marks *m)
{
    size_t out = 0, starter = SIZE_MAX;
    uint32_t last = 0; /* class of the mark kept last behind the starter; 0: none */
    for (size_t i = 0; i < m->n; i++) {
        ilki_text_mark x = m->m[i];
        if (starter != SIZE_MAX && (last == 0 || last < x.ccc)) {
            uint32_t to = ilki_text_compose(m->m[starter].cp, x.cp);
            if (to) {
                m->m[starter].cp = to;
                m->m[starter].change += x.change - 1;
                continue;
            }
        }
        if (x.ccc == 0) {
            starter = out;
            last = 0;
        } else if (starter != SIZE_MAX) {
            last = x.ccc;
        }
        m->m[out++] = x;
    }
    m->n = out;
}

bool ilki_text_take_places(ilki_text_scratch *s)
{
    const ilki_text_str *from = &s->str;
    ilki_text_str *to = &s->spare;
    size_t next = 0;
    to->n = 0;
    if (!ilki_text_str_reserve(to, s->marks.n))
        return false;
    for (size_t i = 0; i < s->marks.n; i++) {
        const ilki_text_mark *x = &s->marks.m[i];
        size_t source = next;
        if (x->change > 0)
            source = next ? next - 1 : 0;
        else
            next += (size_t)(1 - x->change);
        to->c[i] = (ilki_text_char){x->cp, from->c[source < from->n ? source : from->n - 1].at};
    }
    to->n = s->marks.n;
    ilki_text_str t = s->str;
    s->str = s->spare;
    s->spare = t;
    return true;
}

/* Whether a normal form keeps what stands before cp and what begins with it apart. */
static bool begins_apart(uint32_t cp, bool compat)
{
    size_t n;
    const uint32_t *to;
    uint32_t jamo[3];
    if (!(ilki_text_flags(cp) & ILKI_UNI_NORM) || ilki_text_decompose_hangul(cp, jamo))
        return true;
    to = ilki_text_decompose(cp, compat, &n);
    return to && !(ilki_text_flags(to[0]) & ILKI_UNI_NORM);
}

/* A run of marks without end is read to its end: a mark of a lower class there comes first of all. */
static void hold_back(ilki_text_str *str, bool compat)
{
    while (str->n > 0 && !begins_apart(str->c[str->n - 1].cp, compat))
        str->n--;
    str->n -= str->n > 0;
}

bool ilki_text_normal_form(ilki_text_scratch *s, bool compat, bool composed)
{
    size_t i = 0;
    if (s->goes_on)
        hold_back(&s->str, compat);
    while (i < s->str.n && !(ilki_text_flags(s->str.c[i].cp) & ILKI_UNI_NORM))
        i++;
    if (i == s->str.n)
        return true;
    if (!decompose(s, compat))
        return false;
    if (composed)
        compose(&s->marks);
    return ilki_text_take_places(s);
}
