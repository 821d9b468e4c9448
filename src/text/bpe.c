/* SPDX-License-Identifier: Apache-2.0
 * Byte-pair encoding: a piece begins as one symbol per character, and of all pairs of neighbours that the merges know
 * the one of lowest rank (leftmost on ties) becomes one symbol, until none is left. A character without a symbol becomes
 * its bytes ("<0xE5>"), the unknown token, or nothing. Follows tokenizers 0.23, `models/bpe`.
 *
 * Pairs stand in one open-addressed table. A short piece is merged by scanning its ranks, a longer one through a heap.
 *
 * A word of megabytes goes window by window, so that it costs no more per byte than any other and is not looked at past
 * the limit. That is exact for any list of merges: (1) tokens of a text that stand side by side are the encoding of what
 * they spell, since in its run no merge crosses their borders and the others come in the same order; (2) two encodings
 * side by side are the encoding of the whole if the last token of the one and the first of the other are that of what
 * those two spell, since a merge that crossed the border would do so there, too. The encoding of a text, however it goes
 * on, has a border among the last `longest` places of a window: where the encodings up to each of these have one border
 * further back in common, it is a border of the whole. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/part.h"

enum {
    SHORT = 40,      /* symbols; up to here scanning beats the heap */
    MAX_AFFIX = 64,  /* bytes of prefix and suffix each */
    MAX_JOINED = 64, /* characters that end a word inside a token */
    MARK = 0x2581,   /* a space, as SentencePiece writes it */
    WINDOW = 8192,   /* characters of a long word at a time */
    LONGEST = 512,   /* symbols in a token, for that to be done */
    NONE = -1
};

/* A merge: the pair, and what it becomes. Ranks and ids fit 32 bits; the key is never 0 (the left id counts from 1). */
typedef struct merge {
    uint64_t key;
    uint32_t rank;
    int32_t id;
} merge;

typedef struct bpe {
    merge *merges;
    size_t cap; /* a power of two */
    unsigned shift;
    ilki_text_trie chars, last_chars; /* characters that are a token alone; with the suffix behind */
    int32_t unk, bytes[256];          /* bytes[0] NONE: no byte fallback for what holds that byte */
    bool has_unk, fuse_unk, byte_fallback, ignore_merges;
    char prefix[MAX_AFFIX], suffix[MAX_AFFIX];
    size_t n_prefix, n_suffix;
    uint32_t joined[MAX_JOINED]; /* characters that some merge joins with a space behind them */
    size_t n_joined;
    bool joins_any; /* more than those */
    size_t longest; /* characters of a token that merges make, at most: more than it has symbols */
    bool by_words;  /* words, each with the space before it, may be encoded apart, but for joined[] */
} bpe;

/* ------------------------------------------------------------------ merges */

static uint64_t key_of(int32_t a, int32_t b)
{
    return ((uint64_t)(uint32_t)a + 1) << 32 | (uint32_t)b;
}

static size_t slot_of(const bpe *b, uint64_t key)
{
    return (size_t)(key * 0x9e3779b97f4a7c15U >> b->shift);
}

static const merge *find_pair(const bpe *b, int32_t left, int32_t right)
{
    uint64_t key = key_of(left, right);
    for (size_t i = slot_of(b, key); b->merges[i].key; i = (i + 1) & (b->cap - 1))
        if (b->merges[i].key == key)
            return &b->merges[i];
    return NULL;
}

/* A pair that comes twice has its last rank. */
static void put_merge(bpe *b, const merge *m)
{
    size_t i = slot_of(b, m->key);
    while (b->merges[i].key && b->merges[i].key != m->key)
        i = (i + 1) & (b->cap - 1);
    b->merges[i] = *m;
}

static bool make_table(bpe *b, size_t n, ilki_arena *arena)
{
    unsigned log2 = 4;
    while (((size_t)1 << log2) / 3 * 2 < n)
        log2++;
    b->cap = (size_t)1 << log2;
    b->shift = 64 - log2;
    b->merges = ilki_base_arena_alloc(arena, b->cap, sizeof *b->merges);
    return b->merges != NULL;
}

static bool starts_with_mark(const char *s, size_t n)
{
    return n >= 3 && memcmp(s, "\xe2\x96\x81", 3) == 0;
}

/* The last character of a left part whose right part begins with a space (U+2581): where a word does not end a token. */
static void note_joint(bpe *b, const char *left, size_t n_left, const char *right, size_t n_right)
{
    size_t at = n_left, len;
    if (!starts_with_mark(right, n_right) || n_left == 0 || b->joins_any)
        return;
    do
        at--;
    while (at > 0 && ((unsigned char)left[at] & 0xc0) == 0x80);
    uint32_t cp = ilki_base_utf8_get(left + at, n_left - at, &len);
    if (cp == MARK)
        return;
    for (size_t i = 0; i < b->n_joined; i++)
        if (b->joined[i] == cp)
            return;
    if (b->n_joined == MAX_JOINED)
        b->joins_any = true;
    else
        b->joined[b->n_joined++] = cp;
}

static void note_length(bpe *b, const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    if (count > b->longest)
        b->longest = count;
}

static ilk_status add_merge(bpe *b, const ilki_vocab *v, const char *s[2], const size_t n[2], uint32_t rank,
                            const ilki_text_reader *r)
{
    char small[256], *joined = small;
    int32_t ids[3];
    size_t skip = n[1] >= b->n_prefix ? b->n_prefix : n[1], total = n[0] + n[1] - skip;
    if (total > sizeof small && !(joined = malloc(total)))
        return ilki_base_fail_memory(r->err, total, "a merge");
    memcpy(joined, s[0], n[0]);
    memcpy(joined + n[0], s[1] + skip, n[1] - skip);
    note_length(b, joined, total);
    ids[0] = ilki_text_vocab_get(v, s[0], n[0]);
    ids[1] = ilki_text_vocab_get(v, s[1], n[1]);
    ids[2] = ilki_text_vocab_get(v, joined, total);
    if (joined != small)
        free(joined);
    if (ids[0] < 0 || ids[1] < 0 || ids[2] < 0)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT,
                              "%s: merge %u: \"%.*s\" and \"%.*s\": %s is not in the vocabulary", r->name, rank,
                              (int)(n[0] < 64 ? n[0] : 64), s[0], (int)(n[1] < 64 ? n[1] : 64), s[1],
                              ids[0] < 0   ? "the first"
                              : ids[1] < 0 ? "the second"
                                           : "what they make");
    note_joint(b, s[0], n[0], s[1], n[1]);
    put_merge(b, &(merge){key_of(ids[0], ids[1]), rank, ids[2]});
    return ILK_OK;
}

/* "a b", with one space. */
static ilk_status add_line(bpe *b, const ilki_vocab *v, const char *line, size_t n, uint32_t rank,
                           const ilki_text_reader *r)
{
    const char *space = memchr(line, ' ', n);
    size_t left = space ? (size_t)(space - line) : n;
    if (!space || memchr(space + 1, ' ', n - left - 1))
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: merge %u: expected two tokens with a space between", r->name,
                              rank);
    return add_merge(b, v, (const char *[]){line, space + 1}, (size_t[]){left, n - left - 1}, rank, r);
}

static ilk_status read_lines(bpe *b, const ilki_vocab *v, const ilki_bpe_settings *o, const ilki_text_reader *r)
{
    size_t count = 1, at = 0;
    uint32_t rank = 0;
    for (size_t i = 0; i < o->n_lines; i++)
        count += o->lines[i] == '\n';
    if (count > ILKI_TEXT_MAX_ID)
        return ilki_base_fail(r->err, ILK_LIMIT, "%s: %zu lines, at most %d are taken", r->name, count,
                              ILKI_TEXT_MAX_ID);
    if (!ilki_base_utf8_valid(o->lines, o->n_lines))
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: not valid UTF-8", r->name);
    if (!make_table(b, count, r->arena))
        return ilki_base_fail_memory(r->err, count * sizeof(merge), "merges");
    while (at < o->n_lines) {
        const char *line = o->lines + at, *end = memchr(line, '\n', o->n_lines - at);
        size_t n = end ? (size_t)(end - line) : o->n_lines - at;
        at += n + (end != NULL);
        if (n && end && line[n - 1] == '\r')
            n--;
        if (n >= 8 && memcmp(line, "#version", 8) == 0)
            continue;
        ilk_status status = add_line(b, v, line, n, rank++, r);
        if (status)
            return status;
    }
    return ILK_OK;
}

static ilk_status read_list(bpe *b, const ilki_vocab *v, ilki_json_node list, const ilki_text_reader *r)
{
    const ilki_json *j = r->json;
    size_t count = ilki_base_json_count(j, list);
    uint32_t rank = 0;
    if (ilki_base_json_type(j, list) != ILKI_JSON_ARRAY)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: model.merges: expected a list", r->name);
    if (!make_table(b, count, r->arena))
        return ilki_base_fail_memory(r->err, count * sizeof(merge), "merges");
    for (ilki_json_node i = ilki_base_json_first(j, list); i; i = ilki_base_json_next(j, i)) {
        size_t n[2] = {0, 0};
        const char *s[2], *line = ilki_base_json_string(j, i, &n[0]);
        ilk_status status;
        if (line) {
            if (n[0] >= 8 && memcmp(line, "#version", 8) == 0)
                continue;
            status = add_line(b, v, line, n[0], rank, r);
        } else {
            s[0] = ilki_base_json_string(j, ilki_base_json_at(j, i, 0), &n[0]);
            s[1] = ilki_base_json_string(j, ilki_base_json_at(j, i, 1), &n[1]);
            status = s[0] && s[1] && ilki_base_json_count(j, i) == 2
                         ? add_merge(b, v, s, n, rank, r)
                         : ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: merge %u: expected a pair of tokens", r->name,
                                          rank);
        }
        if (status)
            return status;
        rank++;
    }
    return ILK_OK;
}

/* Every way to part a token into two others, in the order of ids and then of the length of the left part: what the
 * reference takes for the merges of a model of SentencePiece, which lists none. */
static ilk_status generate(bpe *b, const ilki_vocab *v, const ilki_text_reader *r)
{
    merge *all = NULL;
    size_t n = 0, cap = 0;
    for (size_t id = 0; id < v->n; id++) {
        const char *s = v->strings[id];
        for (size_t i = 1; s && i < v->lengths[id]; i++) {
            if (((unsigned char)s[i] & 0xc0) == 0x80)
                continue;
            int32_t left = ilki_text_vocab_get(v, s, i);
            int32_t right = left < 0 ? NONE : ilki_text_vocab_get(v, s + i, v->lengths[id] - i);
            if (right < 0)
                continue;
            if (n == cap) {
                cap = cap ? cap * 2 : 4096;
                merge *more = realloc(all, cap * sizeof *all);
                if (!more)
                    goto fail;
                all = more;
            }
            note_joint(b, s, i, s + i, v->lengths[id] - i);
            note_length(b, s, v->lengths[id]);
            all[n] = (merge){key_of(left, right), (uint32_t)n, (int32_t)id};
            n++;
        }
    }
    if (n > UINT32_MAX - 1 || !make_table(b, n, r->arena))
        goto fail;
    for (size_t i = 0; i < n; i++)
        put_merge(b, &all[i]);
    free(all);
    return ILK_OK;
fail:
    free(all);
    return ilki_base_fail_memory(r->err, cap * sizeof(merge), "merges");
}

/* ------------------------------------------------------------------ set-up */

static ilk_status read_affix(char to[MAX_AFFIX], size_t *n, const char *from, const ilki_text_reader *r)
{
    *n = from ? strlen(from) : 0;
    if (*n > MAX_AFFIX)
        return ilki_base_fail(r->err, ILK_LIMIT, "%s: model: a prefix or suffix of %zu bytes, at most %d are taken",
                              r->name, *n, MAX_AFFIX);
    if (*n)
        memcpy(to, from, *n);
    return ILK_OK;
}

/* The tokens of one character, and of one character with the suffix, by character. */
static bool index_chars(bpe *b, const ilki_vocab *v, ilki_arena *arena)
{
    ilki_text_trie *tries[2] = {&b->chars, &b->last_chars};
    size_t tail[2] = {0, b->n_suffix}, count[2] = {0, 0};
    for (int pass = 0; pass < 2; pass++) {
        for (size_t id = 0; id < v->n; id++)
            for (int k = 0; v->strings[id] && k < (b->n_suffix ? 2 : 1); k++) {
                size_t n = v->lengths[id], len;
                const char *s = v->strings[id];
                if (n <= tail[k] || n > tail[k] + 4 || memcmp(s + n - tail[k], b->suffix, tail[k]) != 0)
                    continue;
                uint32_t cp = ilki_base_utf8_get(s, n - tail[k], &len);
                if (len != n - tail[k])
                    continue;
                count[k]++;
                int32_t old;
                if (pass == 1 && !ilki_text_trie_add(tries[k], &cp, 1, (int32_t)id, &old))
                    return false;
            }
        for (int k = 0; pass == 0 && k < 2; k++)
            if (!ilki_text_trie_place(tries[k], count[k], arena))
                return false;
    }
    return true;
}

static void index_bytes(bpe *b, const ilki_vocab *v)
{
    static const char hex[] = "0123456789ABCDEF";
    for (unsigned i = 0; i < 256; i++) {
        char name[6] = {'<', '0', 'x', hex[i >> 4], hex[i & 15], '>'};
        b->bytes[i] = ilki_text_vocab_get(v, name, 6);
    }
}

/* An unknown token that the vocabulary does not hold: the reference fails at the first text that needs it. None does
 * where every byte has a token, as ByteLevel writes it or for the fallback. */
static ilk_status check_unk(bpe *b, const char *unk, const ilki_text_reader *r)
{
    bool fallback = b->byte_fallback, byte_level = true;
    if (!b->has_unk || b->unk >= 0)
        return ILK_OK;
    for (unsigned i = 0; i < 256; i++) {
        fallback &= b->bytes[i] >= 0;
        byte_level &= ilki_text_trie_step(&b->chars, 0, ilki_text_byte_char((unsigned char)i)) != NULL;
    }
    b->has_unk = false;
    if (fallback || byte_level)
        return ILK_OK;
    return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: the vocabulary does not hold its unknown token \"%s\"", r->name,
                          unk);
}

ilk_status ilki_text_bpe_new(void **state, const ilki_vocab *v, const ilki_bpe_settings *o, const ilki_text_reader *r)
{
    bpe *b = ilki_base_arena_alloc(r->arena, 1, sizeof *b);
    if (!b)
        return ilki_base_fail_memory(r->err, sizeof *b, "BPE");
    *state = b;
    b->fuse_unk = o->fuse_unk;
    b->byte_fallback = o->byte_fallback;
    b->ignore_merges = o->ignore_merges;
    b->has_unk = o->unk != NULL;
    b->unk = o->unk ? ilki_text_vocab_get(v, o->unk, strlen(o->unk)) : NONE;
    ilk_status status = read_affix(b->prefix, &b->n_prefix, o->prefix, r);
    if (!status)
        status = read_affix(b->suffix, &b->n_suffix, o->suffix, r);
    if (!status)
        status = o->generate ? generate(b, v, r) : o->lines ? read_lines(b, v, o, r) : read_list(b, v, o->merges, r);
    if (!status && !index_chars(b, v, r->arena))
        status = ilki_base_fail_memory(r->err, v->n, "the characters of a vocabulary");
    if (status)
        return status;
    index_bytes(b, v);
    status = check_unk(b, o->unk, r);
    bool keeps = b->has_unk;
    if (!keeps && b->byte_fallback) {
        keeps = true;
        for (int i = 0; i < 256; i++)
            keeps &= b->bytes[i] >= 0;
    }
    b->by_words = keeps && !b->joins_any && !b->ignore_merges && !b->n_suffix && !b->n_prefix &&
                  ilki_text_trie_step(&b->chars, 0, MARK) != NULL;
    return status;
}

static ilk_status bpe_read(void **state, ilki_vocab *v, const ilki_text_reader *r, ilki_json_node node)
{
    ilki_bpe_settings o = {.merges = ilki_base_json_get(r->json, node, "merges")};
    ilki_json_node dropout = ilki_base_json_get(r->json, node, "dropout");
    v->hashed = true;
    ilk_status status = ilki_text_read_vocab(v, r, ilki_base_json_get(r->json, node, "vocab"));
    if (!status)
        status = ilki_text_read_string(r, node, "unk_token", NULL, &o.unk, NULL);
    if (!status)
        status = ilki_text_read_string(r, node, "continuing_subword_prefix", NULL, &o.prefix, NULL);
    if (!status)
        status = ilki_text_read_string(r, node, "end_of_word_suffix", NULL, &o.suffix, NULL);
    if (!status)
        status = ilki_text_read_bool(r, node, "fuse_unk", false, &o.fuse_unk);
    if (!status)
        status = ilki_text_read_bool(r, node, "byte_fallback", false, &o.byte_fallback);
    if (!status)
        status = ilki_text_read_bool(r, node, "ignore_merges", false, &o.ignore_merges);
    if (!status && ilki_base_json_double(r->json, dropout, 0) != 0)
        status = ilki_base_fail(r->err, ILK_UNSUPPORTED, "%s: model.dropout is not built", r->name);
    return status ? status : ilki_text_bpe_new(state, v, &o, r);
}

/* ------------------------------------------------------------------ symbols */

/* One symbol of a piece. `bytes` counts in the piece as UTF-8: the reference gives places by adding these up, and so a
 * character that was dropped shifts what follows it. 0: merged into its left neighbour. */
typedef struct symbol {
    int32_t id;
    uint32_t bytes, prev, next;
} symbol;

static uint32_t utf8_bytes(uint32_t cp)
{
    return cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
}

/* A character with its affixes written out, `text` of at most 2 * MAX_AFFIX + 4 bytes; the length. */
static size_t write_out(const bpe *b, uint32_t cp, bool first, bool last, char *text)
{
    size_t n = first ? 0 : b->n_prefix;
    memcpy(text, b->prefix, n);
    n += ilki_base_utf8_put(cp, text + n);
    if (last) {
        memcpy(text + n, b->suffix, b->n_suffix);
        n += b->n_suffix;
    }
    return n;
}

static int32_t id_of(const bpe *b, const ilki_vocab *v, uint32_t cp, bool first, bool last)
{
    char text[2 * MAX_AFFIX + 4];
    if (!first && b->n_prefix)
        return ilki_text_vocab_get(v, text, write_out(b, cp, first, last, text));
    const ilki_text_edge *e = ilki_text_trie_step(last && b->n_suffix ? &b->last_chars : &b->chars, 0, cp);
    return e ? e->id : NONE;
}

/* The bytes of a character that has no token: how many symbols were put, 0 where a byte has no token either. */
static size_t fall_back(const bpe *b, uint32_t cp, bool first, bool last, symbol *to)
{
    char text[2 * MAX_AFFIX + 4];
    size_t n = write_out(b, cp, first, last, text);
    for (size_t i = 0; i < n; i++)
        if (b->bytes[(unsigned char)text[i]] < 0)
            return 0;
    for (size_t i = 0; i < n; i++)
        to[i] = (symbol){.id = b->bytes[(unsigned char)text[i]], .bytes = 1};
    return n;
}

/* A piece, or the beginning of one. */
typedef struct word {
    const bpe *b;
    const ilki_vocab *v;
    const ilki_text_char *c;
    size_t n;
    bool open; /* it goes on behind c[n - 1] */
} word;

static int32_t id_at(const word *w, size_t i)
{
    return id_of(w->b, w->v, w->c[i].cp, i == 0, i + 1 == w->n && !w->open);
}

/* The symbols of w->c[from .. end) at `to`, which has room for room_for(b, end - from). */
static size_t make_symbols(const word *w, size_t from, size_t end, symbol *to)
{
    const bpe *b = w->b;
    const ilki_text_char *c = w->c;
    size_t count = 0;
    uint32_t unknown = 0; /* bytes of an unknown token under way */
    for (size_t i = from; i < end; i++) {
        int32_t id = id_at(w, i);
        if (id >= 0) {
            if (unknown)
                to[count++] = (symbol){.id = b->unk, .bytes = unknown};
            unknown = 0;
            to[count++] = (symbol){.id = id, .bytes = utf8_bytes(c[i].cp)};
            continue;
        }
        size_t put = b->byte_fallback ? fall_back(b, c[i].cp, i == 0, i + 1 == w->n && !w->open, to + count) : 0;
        count += put; /* an unknown token under way stays so: the reference puts it behind these */
        if (put || !b->has_unk)
            continue;
        if (unknown && !b->fuse_unk) {
            to[count++] = (symbol){.id = b->unk, .bytes = unknown};
            unknown = 0;
        }
        unknown += utf8_bytes(c[i].cp);
    }
    if (unknown)
        to[count++] = (symbol){.id = b->unk, .bytes = unknown};
    return count;
}

static size_t room_for(const bpe *b, size_t n)
{
    return b->byte_fallback ? n * 4 + b->n_prefix * n + b->n_suffix : n + 1;
}

/* ------------------------------------------------------------------ merging */

/* Up to SHORT symbols: ranks kept beside them, the least found by scanning. The number of symbols left. */
static size_t merge_short(const bpe *b, symbol *s, size_t n)
{
    uint32_t rank[SHORT];
    int32_t to[SHORT];
    rank[n - (n > 0)] = UINT32_MAX;
    to[n - (n > 0)] = NONE;
    for (size_t i = 0; i + 1 < n; i++) {
        const merge *m = find_pair(b, s[i].id, s[i + 1].id);
        rank[i] = m ? m->rank : UINT32_MAX;
        to[i] = m ? m->id : NONE;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == UINT32_MAX)
            break;
        s[best].id = to[best];
        s[best].bytes += s[best + 1].bytes;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            s[i] = s[i + 1];
            rank[i] = rank[i + 1];
            to[i] = to[i + 1];
        }
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            const merge *m = find_pair(b, s[i].id, s[i + 1].id);
            rank[i] = m ? m->rank : UINT32_MAX;
            to[i] = m ? m->id : NONE;
        }
    }
    return n;
}

/* A binary heap of (rank, place of the left symbol). */
typedef struct heap {
    uint64_t *e;
    size_t n;
} heap;

static void sift_down(heap *h, size_t i)
{
    uint64_t x = h->e[i];
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->e[child + 1] < h->e[child])
            child++;
        if (h->e[child] >= x)
            break;
        h->e[i] = h->e[child];
    }
    h->e[i] = x;
}

static void push(heap *h, const merge *m, uint32_t place)
{
    if (!m)
        return;
    uint64_t x = (uint64_t)m->rank << 32 | place;
    size_t i = h->n++;
    for (; i > 0 && h->e[(i - 1) / 2] > x; i = (i - 1) / 2)
        h->e[i] = h->e[(i - 1) / 2];
    h->e[i] = x;
}

static uint64_t pop(heap *h)
{
    uint64_t top = h->e[0];
    h->e[0] = h->e[--h->n];
    if (h->n)
        sift_down(h, 0);
    return top;
}

/* Any number of symbols; merged ones are left with no bytes. The heap has room for 2 n: n - 1 at first, and each of at
 * most n - 1 merges takes one out and puts at most two in. */
static void merge_long(const bpe *b, symbol *s, size_t n, uint64_t *room)
{
    heap h = {.e = room};
    for (size_t i = 0; i < n; i++) {
        s[i].prev = i ? (uint32_t)i - 1 : UINT32_MAX;
        s[i].next = i + 1 < n ? (uint32_t)i + 1 : UINT32_MAX;
        const merge *m = i + 1 < n ? find_pair(b, s[i].id, s[i + 1].id) : NULL;
        if (m)
            h.e[h.n++] = (uint64_t)m->rank << 32 | i;
    }
    for (size_t i = h.n / 2; i-- > 0;)
        sift_down(&h, i);
    while (h.n) {
        uint64_t top = pop(&h);
        uint32_t at = (uint32_t)top, right = s[at].next;
        if (s[at].bytes == 0 || right == UINT32_MAX)
            continue;
        const merge *m = find_pair(b, s[at].id, s[right].id);
        if (!m || m->rank != top >> 32) /* the pair is no longer what it was */
            continue;
        s[at].id = m->id;
        s[at].bytes += s[right].bytes;
        s[at].next = s[right].next;
        s[right].bytes = 0;
        if (s[at].next != UINT32_MAX) {
            s[s[at].next].prev = at;
            push(&h, find_pair(b, s[at].id, s[s[at].next].id), at);
        }
        if (s[at].prev != UINT32_MAX)
            push(&h, find_pair(b, s[s[at].prev].id, s[at].id), s[at].prev);
    }
}

/* The symbols that are left of n, at the beginning of s. */
static size_t merge_all(const bpe *b, symbol *s, size_t n, uint64_t *room)
{
    size_t left = 0;
    if (n <= SHORT)
        return merge_short(b, s, n);
    merge_long(b, s, n, room);
    for (size_t i = 0; i < n; i++)
        if (s[i].bytes)
            s[left++] = s[i];
    return left;
}

/* ------------------------------------------------------------------ encode */

static bool is_joined(const bpe *b, uint32_t cp)
{
    for (size_t i = 0; i < b->n_joined; i++)
        if (b->joined[i] == cp)
            return true;
    return false;
}

/* Symbols to tokens: bytes of the piece back to characters. */
static bool put_tokens(const symbol *s, size_t n, const ilki_text_char *c, size_t n_chars, ilki_text_tokens *out)
{
    size_t at = 0, first = 0, past = 0; /* byte; the character that holds it and the byte where that begins */
    for (size_t i = 0; i < n; i++) {
        if (s[i].bytes == 0)
            continue;
        size_t end = at + s[i].bytes;
        while (first + 1 < n_chars && past + utf8_bytes(c[first].cp) <= at)
            past += utf8_bytes(c[first++].cp);
        uint32_t start = c[first].at.start;
        while (first + 1 < n_chars && past + utf8_bytes(c[first].cp) < end)
            past += utf8_bytes(c[first++].cp);
        if (!ilki_text_tokens_put(out, s[i].id, start, c[first].at.end))
            return false;
        at = end;
    }
    return true;
}

/* The token that the piece is as a whole. */
static bool whole_word(const ilki_vocab *v, ilki_text_scratch *s, const ilki_text_char *c, size_t n, int32_t *id)
{
    size_t bytes = 0;
    *id = NONE;
    if (n > ILKI_ADDED_MAX_BYTES) /* longer than any token that a merge-free vocabulary has */
        return true;
    if (!ilki_text_work_reserve(s, n, 4))
        return false;
    char *text = s->work;
    for (size_t i = 0; i < n; i++)
        bytes += ilki_base_utf8_put(c[i].cp, text + bytes);
    *id = ilki_text_vocab_get(v, text, bytes);
    return true;
}

/* ---- a long word, window by window */

typedef struct window {
    const word *w;
    size_t from, end; /* characters */
    symbol *symbols;  /* as they are before any merge */
    size_t n;
    symbol *tokens; /* what becomes of them */
    size_t n_tokens;
    symbol *spare;  /* room for n */
    uint64_t *heap; /* room for 2 n */
} window;

/* Symbols of a window whose last character has a token of its own, so that no unknown token is under way behind it. False
 * when memory is short; no symbols where there is no such window, or where a character is dropped. */
static bool open_window(window *x, ilki_text_scratch *s)
{
    const word *w = x->w;
    size_t bytes = 0;
    x->n = 0;
    x->end = x->from + WINDOW;
    while (x->end < w->n && x->end - x->from < 2 * WINDOW && id_at(w, x->end - 1) < 0)
        x->end++;
    if (x->end >= w->n || id_at(w, x->end - 1) < 0)
        return true;
    size_t room = room_for(w->b, x->end - x->from);
    if (!ilki_text_work_reserve(s, room, 3 * sizeof(symbol) + 2 * sizeof(uint64_t)))
        return false;
    x->heap = s->work;
    x->symbols = (symbol *)(void *)(x->heap + 2 * room);
    x->tokens = x->symbols + room;
    x->spare = x->tokens + room;
    x->n = make_symbols(w, x->from, x->end, x->symbols);
    for (size_t i = x->from; i < x->end; i++)
        bytes += utf8_bytes(w->c[i].cp);
    for (size_t i = 0; i < x->n; i++)
        bytes -= x->symbols[i].bytes;
    if (bytes)
        x->n = 0;
    memcpy(x->tokens, x->symbols, x->n * sizeof(symbol));
    x->n_tokens = merge_all(w->b, x->tokens, x->n, x->heap);
    return true;
}

/* Whether every way to go on behind the window leaves token `k`, of the symbols from `first` on, as it is, and the border
 * behind it. */
static bool stays(const window *x, size_t k, size_t first)
{
    const bpe *b = x->w->b;
    for (size_t end = x->n; end > x->n - b->longest; end--) {
        memcpy(x->spare, x->symbols + first, (end - first) * sizeof(symbol));
        merge_all(b, x->spare, end - first, x->heap);
        if (x->spare[0].id != x->tokens[k].id || x->spare[0].bytes != x->tokens[k].bytes)
            return false;
    }
    return true;
}

/* The last token of which that can be said among those that end `margin` symbols or more before the places where the next
 * border may be, as a count of tokens; `*n_chars` is what they spell. 0: none. */
static size_t last_that_stays(const window *x, size_t margin, size_t *n_chars)
{
    const word *w = x->w;
    size_t i = 0, c = x->from, bytes = 0, spelt = 0, found = 0, first = 0;
    if (x->n < w->b->longest + margin)
        return 0;
    for (size_t k = 0; k < x->n_tokens; k++) {
        size_t begins = i, end = bytes + x->tokens[k].bytes;
        for (; bytes < end; i++)
            bytes += x->symbols[i].bytes;
        while (c < x->end && spelt < bytes)
            spelt += utf8_bytes(w->c[c++].cp);
        if (i > x->n - w->b->longest - margin)
            break;
        if (spelt != bytes || id_at(w, c - 1) < 0)
            continue; /* inside a character, or where an unknown token may be under way */
        found = k + 1;
        first = begins;
        *n_chars = c - x->from;
    }
    return found && stays(x, found - 1, first) ? found : 0;
}

/* Windows as long as they last: `*at` is how far. */
static bool encode_windows(const word *w, ilki_text_scratch *s, size_t *at, ilki_text_tokens *out)
{
    while (w->n - *at > WINDOW && w->b->longest <= LONGEST && out->n < s->stop) {
        window x = {.w = w, .from = *at};
        size_t n_chars = 0, n = 0;
        if (!open_window(&x, s))
            return false;
        for (size_t margin = 32; x.n && !n && margin <= 2048; margin *= 8)
            n = last_that_stays(&x, margin, &n_chars);
        if (!n)
            break;
        if (!put_tokens(x.tokens, n, w->c + *at, n_chars, out))
            return false;
        *at += n_chars;
    }
    return true;
}

static bool encode_part(const word *w, ilki_text_scratch *s, ilki_text_tokens *out)
{
    symbol few[SHORT];
    size_t at = 0, room;
    if (w->n > WINDOW && !encode_windows(w, s, &at, out))
        return false;
    if (w->open || (at && out->n >= s->stop)) {
        s->left_off = true;
        return true;
    }
    room = room_for(w->b, w->n - at);
    if (room <= SHORT) {
        size_t left = merge_short(w->b, few, make_symbols(w, at, w->n, few));
        return put_tokens(few, left, w->c + at, w->n - at, out);
    }
    if (room > UINT32_MAX - 1 || !ilki_text_work_reserve(s, room, sizeof(symbol) + 2 * sizeof(uint64_t)))
        return false;
    uint64_t *heap_room = s->work;
    symbol *symbols = (symbol *)(void *)(heap_room + 2 * room);
    size_t left = merge_all(w->b, symbols, make_symbols(w, at, w->n, symbols), heap_room);
    return put_tokens(symbols, left, w->c + at, w->n - at, out);
}

/* A piece of many words, none of whose merges joins one with the space before the next, goes word by word: no symbol
 * of one ever meets a symbol of the next. Not where characters are dropped, which shifts the places of all that follow. */
static bool bpe_encode(const void *state, const ilki_vocab *v, ilki_text_scratch *s, const ilki_text_char *c, size_t n,
                       ilki_text_tokens *out)
{
    const bpe *b = state;
    size_t start = 0;
    if (b->ignore_merges) {
        int32_t id;
        if (s->open && n <= ILKI_ADDED_MAX_BYTES)
            return true;
        if (!whole_word(v, s, c, n, &id))
            return false;
        if (id >= 0)
            return ilki_text_tokens_put(out, id, c[0].at.start, c[n - 1].at.end);
    }
    bool parts = b->by_words && n > 2;
    for (size_t i = 1; i < n && parts; i++)
        if (c[i].cp == MARK && c[i - 1].cp != MARK && !is_joined(b, c[i - 1].cp)) {
            if (!encode_part(&(word){b, v, c + start, i - start, false}, s, out))
                return false;
            start = i;
        }
    return encode_part(&(word){b, v, c + start, n - start, s->open}, s, out);
}

static int32_t bpe_get_unk(const void *state)
{
    return ((const bpe *)state)->unk;
}

static bool bpe_ends_before_space(const void *state, uint32_t cp)
{
    const bpe *b = state;
    return b->by_words && !is_joined(b, cp);
}

const ilki_text_model_row ilki_text_bpe = {.type = "BPE",
                                           .takes_open = true,
                                           .read = bpe_read,
                                           .encode = bpe_encode,
                                           .get_unk = bpe_get_unk,
                                           .ends_before_space = bpe_ends_before_space};
