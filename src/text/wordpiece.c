/* SPDX-License-Identifier: Apache-2.0
 * WordPiece: the longest piece from the left, pieces behind the first under a prefix ("##"); a word with a place where
 * no piece fits, or of too many characters, is one unknown token. Follows tokenizers 0.23, `models/wordpiece`.
 * One trie serves both kinds of piece: a first piece is walked from the root, the others from the prefix's node. */
#include <string.h>

#include "text/part.h"

enum { MAX_CHARS = 100 }; /* where the file does not say */

typedef struct wordpiece {
    int32_t unk;
    bool has_prefix; /* some string begins with the prefix; otherwise no word has a second piece */
    uint32_t prefix; /* its node */
    uint64_t max_chars;
} wordpiece;

static ilk_status set_up(wordpiece *w, const ilki_vocab *v, const char *unk, size_t n_unk, const ilki_text_reader *r)
{
    w->unk = ilki_text_vocab_get(v, unk, n_unk);
    if (w->unk < 0)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: the vocabulary does not hold its unknown token \"%s\"",
                              r->name, unk);
    return ILK_OK;
}

ilk_status ilki_text_wordpiece_new(void **state, const ilki_vocab *v, const char *unk, size_t n_unk,
                                   const ilki_text_reader *r)
{
    wordpiece *w = ilki_base_arena_alloc(r->arena, 1, sizeof *w);
    if (!w)
        return ilki_base_fail_memory(r->err, sizeof *w, "WordPiece");
    w->max_chars = MAX_CHARS;
    w->has_prefix = ilki_text_vocab_walk(v, "##", 2, &w->prefix);
    *state = w;
    return set_up(w, v, unk, n_unk, r);
}

ilk_status ilki_text_read_vocab(ilki_vocab *v, const ilki_text_reader *r, ilki_json_node vocab)
{
    const ilki_json *j = r->json;
    if (ilki_base_json_type(j, vocab) != ILKI_JSON_OBJECT)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: model.vocab: expected an object of tokens and ids", r->name);
    if (!ilki_text_vocab_reserve(v, ilki_base_json_count(j, vocab)))
        return ilki_base_fail_memory(r->err, ilki_base_json_count(j, vocab), "the vocabulary");
    for (ilki_json_node i = ilki_base_json_first(j, vocab); i; i = ilki_base_json_next(j, i)) {
        size_t n;
        int64_t id;
        const char *token = ilki_base_json_key(j, i, &n);
        if (!ilki_base_json_int(j, i, 0, UINT32_MAX, &id))
            return ilki_base_fail(r->err, ILK_BAD_FORMAT,
                                  "%s: model.vocab: the id of \"%s\" is no integer from 0 to 2^32-1", r->name, token);
        ilk_status status = ilki_text_vocab_add(v, token, n, id, r->name, r->err);
        if (status)
            return status;
    }
    return ILK_OK;
}

static ilk_status wordpiece_read(void **state, ilki_vocab *v, const ilki_text_reader *r, ilki_json_node node)
{
    const char *unk, *prefix;
    size_t n_unk, n_prefix;
    int64_t max_chars = MAX_CHARS;
    ilki_json_node max = ilki_base_json_get(r->json, node, "max_input_chars_per_word");
    ilk_status status = ilki_text_read_vocab(v, r, ilki_base_json_get(r->json, node, "vocab"));
    if (!status)
        status = ilki_text_read_string(r, node, "unk_token", "[UNK]", &unk, &n_unk);
    if (!status)
        status = ilki_text_read_string(r, node, "continuing_subword_prefix", "##", &prefix, &n_prefix);
    if (!status && max && !ilki_base_json_int(r->json, max, 0, INT64_MAX, &max_chars))
        status = ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: model.max_input_chars_per_word is no integer", r->name);
    if (status)
        return status;
    wordpiece *w = ilki_base_arena_alloc(r->arena, 1, sizeof *w);
    if (!w)
        return ilki_base_fail_memory(r->err, sizeof *w, "WordPiece");
    w->max_chars = (uint64_t)max_chars;
    w->has_prefix = ilki_text_vocab_walk(v, prefix, n_prefix, &w->prefix);
    *state = w;
    return set_up(w, v, unk, n_unk, r);
}

/* The whole word becomes one unknown token: what was put of it is taken back. */
static bool put_unknown(const wordpiece *w, ilki_text_tokens *out, size_t mark, uint32_t start, uint32_t end)
{
    out->n = mark;
    return ilki_text_tokens_put(out, w->unk, start, end);
}

static bool wordpiece_encode(const void *state, const ilki_vocab *v, ilki_text_scratch *s, const ilki_text_char *c,
                             size_t n, ilki_text_tokens *out)
{
    const wordpiece *w = state;
    (void)s;
    size_t mark = out->n, at = 0;
    uint32_t node = 0;
    bool known = n <= w->max_chars;
    while (known && at < n) {
        size_t end = at;
        int32_t id = -1;
        for (size_t i = at; i < n; i++) {
            const ilki_text_edge *e = ilki_text_trie_step(&v->trie, node, c[i].cp);
            if (!e)
                break;
            node = e->node;
            if (e->id >= 0) {
                id = e->id;
                end = i + 1;
            }
        }
        if (id >= 0 && !ilki_text_tokens_put(out, id, c[at].at.start, c[end - 1].at.end))
            return false;
        known = id >= 0 && (w->has_prefix || end == n);
        node = w->prefix;
        at = end;
    }
    return known || put_unknown(w, out, mark, c[0].at.start, c[n - 1].at.end);
}

static bool wordpiece_encode_ascii(const void *state, const ilki_vocab *v, const char *s, size_t n, size_t base,
                                   bool lower, ilki_text_tokens *out)
{
    const wordpiece *w = state;
    size_t mark = out->n, at = 0;
    uint32_t node = 0;
    bool known = n <= w->max_chars;
    while (known && at < n) {
        size_t end = at;
        int32_t id = -1;
        for (size_t i = at; i < n; i++) {
            uint32_t cp = (unsigned char)s[i];
            if (lower && cp >= 'A' && cp <= 'Z')
                cp += 32;
            const ilki_text_edge *e = ilki_text_trie_step(&v->trie, node, cp);
            if (!e)
                break;
            node = e->node;
            if (e->id >= 0) {
                id = e->id;
                end = i + 1;
            }
        }
        if (id >= 0 && !ilki_text_tokens_put(out, id, (uint32_t)(base + at), (uint32_t)(base + end)))
            return false;
        known = id >= 0 && (w->has_prefix || end == n);
        node = w->prefix;
        at = end;
    }
    return known || put_unknown(w, out, mark, (uint32_t)base, (uint32_t)(base + n));
}

static int32_t wordpiece_get_unk(const void *state)
{
    return ((const wordpiece *)state)->unk;
}

const ilki_text_model_row ilki_text_wordpiece = {.type = "WordPiece",
                                                 .read = wordpiece_read,
                                                 .encode = wordpiece_encode,
                                                 .encode_ascii = wordpiece_encode_ascii,
                                                 .get_unk = wordpiece_get_unk};
