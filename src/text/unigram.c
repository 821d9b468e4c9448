/* SPDX-License-Identifier: Apache-2.0
 * Unigram: of all ways to write a piece as tokens the one of the largest sum of scores, found from left to right (of
 * equal ones the one found first: earlier beginnings, then shorter tokens). A character that is no token alone may be
 * unknown, at ten below the least score; neighbours that are unknown are one token, or its bytes where the file says so.
 * Follows tokenizers 0.23, `models/unigram`. Linear: a token has at most MAX_TOKEN characters.
 *
 * A long piece goes window by window: whatever follows, the best way passes one of the last places of a window, as many as
 * the longest token has characters, and the ways to these have mostly one beginning, which is then that of the best. */
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "text/part.h"

enum { MAX_TOKEN = 512, WINDOW = 8192, UNSET = -1 };
static const double penalty = 10; /* of an unknown character */

typedef struct unigram {
    double *scores; /* by id */
    double unk_score;
    int32_t unk, bytes[256];
    bool byte_fallback;
    size_t longest; /* characters of a token, at most */
} unigram;

/* The best way to one place: its score, its last token and where that begins. Places count from the first one kept. */
typedef struct best {
    double score;
    int32_t id; /* UNSET: none yet */
    uint32_t start;
} best;

/* ------------------------------------------------------------------ encode */

static void offer(best *b, double score, int32_t id, size_t start)
{
    if (b->id == UNSET || score > b->score)
        *b = (best){score, id, (uint32_t)start};
}

/* Ways on from the places [from, to) of c[0..n). */
static void search(const unigram *u, const ilki_vocab *v, const ilki_text_char *c, size_t n, size_t from, size_t to,
                   best *b)
{
    for (size_t start = from; start < to; start++) {
        double here = b[start].score;
        bool alone = false;
        uint32_t node = 0;
        for (size_t i = start; i < n; i++) {
            const ilki_text_edge *e = ilki_text_trie_step(&v->trie, node, c[i].cp);
            if (!e)
                break;
            node = e->node;
            if (e->id < 0)
                continue;
            offer(&b[i + 1], here + u->scores[e->id], e->id, start);
            alone |= i == start;
        }
        if (!alone)
            offer(&b[start + 1], here + u->unk_score, u->unk, start);
    }
}

/* A run of unknown characters: a token of that very spelling, its bytes, or the unknown token. */
static bool put_unknown(const unigram *u, const ilki_vocab *v, const ilki_text_char *c, size_t n, ilki_text_tokens *out)
{
    const ilki_text_edge *e = NULL;
    ilki_span at = {c[0].at.start, c[n - 1].at.end};
    char bytes[4];
    bool known = u->byte_fallback;
    for (size_t i = 0; i < n && (i == 0 || e); i++)
        e = ilki_text_trie_step(&v->trie, e ? e->node : 0, c[i].cp);
    if (e && e->id >= 0)
        return ilki_text_tokens_put(out, e->id, at.start, at.end);
    for (size_t i = 0; i < n && known; i++)
        for (size_t k = ilki_base_utf8_put(c[i].cp, bytes); k-- > 0;)
            known &= u->bytes[(unsigned char)bytes[k]] >= 0;
    if (!known)
        return ilki_text_tokens_put(out, u->unk, at.start, at.end);
    for (size_t i = 0; i < n; i++) {
        size_t len = ilki_base_utf8_put(c[i].cp, bytes);
        for (size_t k = 0; k < len; k++)
            if (!ilki_text_tokens_put(out, u->bytes[(unsigned char)bytes[k]], at.start, at.end))
                return false;
    }
    return true;
}

/* The tokens of the way to place n. Unmakes b[1..n]. */
static bool put_way(const unigram *u, const ilki_vocab *v, const ilki_text_char *c, size_t n, best *b,
                    ilki_text_tokens *out)
{
    /* the path from its end to its beginning, turned round: each beginning learns where the next one is */
    uint32_t next = (uint32_t)n;
    for (uint32_t at = (uint32_t)n; at > 0;) {
        uint32_t start = b[at].start;
        b[at].start = next;
        next = at;
        at = start;
    }
    for (uint32_t from = 0, at = next; from < n;) {
        uint32_t end = at, after = b[at].start;
        bool unknown = b[at].id == u->unk;
        while (unknown && end < n && b[after].id == u->unk) {
            end = after;
            after = b[end].start;
        }
        if (unknown ? !put_unknown(u, v, c + from, end - from, out)
                    : !ilki_text_tokens_put(out, b[at].id, c[from].at.start, c[end - 1].at.end))
            return false;
        from = end;
        at = after;
    }
    return true;
}

/* The last place that the ways to all of (to - longest, to] pass, not behind an unknown character, which the next one may
 * join. `mark` has room for to + 1. 0: they have the beginning alone in common. */
static size_t meeting(const unigram *u, const best *b, size_t to, uint8_t *mark)
{
    size_t count = u->longest, at = to;
    memset(mark, 0, to + 1);
    memset(mark + to + 1 - count, 1, count);
    for (; at > 0 && count > 1; at--)
        if (mark[at]) {
            count -= mark[b[at].start];
            mark[b[at].start] = 1;
        }
    while (at > 0 && !mark[at])
        at--;
    while (at > 0 && b[at].id == u->unk)
        at = b[at].start;
    return at;
}

/* As much of a long piece as goes by windows: `*done` characters, `*score` of the way there. */
static bool encode_windows(const unigram *u, const ilki_vocab *v, ilki_text_scratch *s, const ilki_text_char *c,
                           size_t n, size_t *done, double *score, ilki_text_tokens *out)
{
    size_t places = WINDOW * 2 + u->longest, to = WINDOW, from = 0;
    if (!ilki_text_work_reserve(s, places + 1, sizeof(best) + 1))
        return false;
    best *b = s->work;
    uint8_t *mark = (uint8_t *)(b + places + 1);
    for (size_t i = 0; i <= places; i++)
        b[i].id = UNSET;
    b[0].score = 0;
    while (n - *done > to + u->longest && to <= 2 * WINDOW && out->n < s->stop) {
        search(u, v, c + *done, n - *done, from, to, b);
        size_t met = meeting(u, b, to, mark);
        if (!met)
            break;
        best kept = b[met];
        if (!put_way(u, v, c + *done, met, b, out))
            return false;
        b[met] = kept;
        for (size_t i = met; i <= places; i++) {
            b[i - met] = b[i];
            b[i - met].start -= (uint32_t)met;
        }
        for (size_t i = places + 1 - met; i <= places; i++)
            b[i].id = UNSET;
        *done += met;
        *score = kept.score;
        from = to - met;
        to = from + WINDOW;
    }
    return true;
}

static bool unigram_encode(const void *state, const ilki_vocab *v, ilki_text_scratch *s, const ilki_text_char *c,
                           size_t n, ilki_text_tokens *out)
{
    const unigram *u = state;
    size_t done = 0;
    double score = 0;
    if (n > 2 * WINDOW && !encode_windows(u, v, s, c, n, &done, &score, out))
        return false;
    if (s->open || (done && out->n >= s->stop)) {
        s->left_off = true;
        return true;
    }
    c += done;
    n -= done;
    if (!ilki_text_work_reserve(s, n + 1, sizeof(best)))
        return false;
    best *b = s->work;
    for (size_t i = 0; i <= n; i++)
        b[i].id = UNSET;
    b[0].score = score;
    search(u, v, c, n, 0, n, b);
    return put_way(u, v, c, n, b, out);
}

/* ------------------------------------------------------------------ set-up */

ilk_status ilki_text_unigram_new(void **state, ilki_vocab *v, size_t n, bool byte_fallback, const ilki_text_reader *r)
{
    unigram *u = ilki_base_arena_alloc(r->arena, 1, sizeof *u);
    if (!u)
        return ilki_base_fail_memory(r->err, sizeof *u, "Unigram");
    u->scores = ilki_base_arena_alloc(r->arena, n, sizeof *u->scores);
    if (!u->scores || !ilki_text_vocab_reserve(v, n))
        return ilki_base_fail_memory(r->err, n * sizeof *u->scores, "a vocabulary's scores");
    u->byte_fallback = byte_fallback;
    u->unk_score = INFINITY;
    u->longest = 1;
    *state = u;
    return ILK_OK;
}

ilk_status ilki_text_unigram_add(void *state, ilki_vocab *v, size_t id, const char *token, size_t n, double score,
                                 const ilki_text_reader *r)
{
    unigram *u = state;
    if (n > MAX_TOKEN)
        return ilki_base_fail(r->err, ILK_LIMIT, "%s: token %zu of %zu bytes, at most %d are taken", r->name, id, n,
                              MAX_TOKEN);
    if (!isfinite(score))
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: the score of token %zu is not finite", r->name, id);
    u->scores[id] = score;
    if (n > u->longest) /* bytes: a bound */
        u->longest = n;
    if (score < u->unk_score)
        u->unk_score = score;
    return ilki_text_vocab_add(v, token, n, (int64_t)id, r->name, r->err);
}

ilk_status ilki_text_unigram_end(void *state, const ilki_vocab *v, int64_t unk, const ilki_text_reader *r)
{
    static const char hex[] = "0123456789ABCDEF";
    unigram *u = state;
    if (unk < 0 || (uint64_t)unk >= v->n)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: unk_id %lld of a vocabulary of %zu tokens", r->name,
                              (long long)unk, v->n);
    u->unk = (int32_t)unk;
    u->unk_score -= penalty;
    for (unsigned i = 0; i < 256; i++) {
        char name[6] = {'<', '0', 'x', hex[i >> 4], hex[i & 15], '>'};
        u->bytes[i] = ilki_text_vocab_get(v, name, 6);
    }
    return ILK_OK;
}

ilk_status ilki_text_unigram_read_vocab(void *state, ilki_vocab *v, ilki_json_node list, const ilki_text_reader *r)
{
    const ilki_json *j = r->json;
    size_t id = 0;
    ilk_status status = ILK_OK;
    for (ilki_json_node i = ilki_base_json_first(j, list); i && !status; i = ilki_base_json_next(j, i), id++) {
        size_t n;
        ilki_json_node token = ilki_base_json_at(j, i, 0), score = ilki_base_json_at(j, i, 1);
        const char *s = ilki_base_json_string(j, token, &n);
        if (!s || ilki_base_json_type(j, score) != ILKI_JSON_NUMBER)
            return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: model.vocab: element %zu: expected [token, score]",
                                  r->name, id);
        status = ilki_text_unigram_add(state, v, id, s, n, ilki_base_json_double(j, score, 0), r);
    }
    return status;
}

static ilk_status unigram_read(void **state, ilki_vocab *v, const ilki_text_reader *r, ilki_json_node node)
{
    ilki_json_node list = ilki_base_json_get(r->json, node, "vocab"), unk = ilki_base_json_get(r->json, node, "unk_id");
    int64_t unk_id = -1;
    bool fallback;
    if (ilki_base_json_type(r->json, list) != ILKI_JSON_ARRAY)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: model.vocab: expected a list of tokens and scores", r->name);
    if (!ilki_base_json_int(r->json, unk, 0, ILKI_TEXT_MAX_ID, &unk_id))
        return ilki_base_fail(r->err, ILK_UNSUPPORTED, "%s: a Unigram model without unk_id is not built", r->name);
    ilk_status status = ilki_text_read_bool(r, node, "byte_fallback", false, &fallback);
    if (!status)
        status = ilki_text_unigram_new(state, v, ilki_base_json_count(r->json, list), fallback, r);
    if (!status)
        status = ilki_text_unigram_read_vocab(*state, v, list, r);
    return status ? status : ilki_text_unigram_end(*state, v, unk_id, r);
}

static int32_t unigram_get_unk(const void *state)
{
    return ((const unigram *)state)->unk;
}

const ilki_text_model_row ilki_text_unigram = {.type = "Unigram",
                                               .takes_open = true,
                                               .counts_places = true,
                                               .read = unigram_read,
                                               .encode = unigram_encode,
                                               .get_unk = unigram_get_unk};
