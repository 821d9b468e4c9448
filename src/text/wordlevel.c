/* SPDX-License-Identifier: Apache-2.0
 * WordLevel: a word is a token of the vocabulary or the unknown one. Follows tokenizers 0.23, `models/wordlevel`, which
 * fails at the first unknown word where the vocabulary does not hold its unknown token; that is refused at once here. */
#include "text/part.h"

typedef struct wordlevel {
    int32_t unk;
} wordlevel;

static ilk_status wordlevel_read(void **state, ilki_vocab *v, const ilki_text_reader *r, ilki_json_node node)
{
    const char *unk;
    size_t n;
    ilk_status status = ilki_text_read_vocab(v, r, ilki_base_json_get(r->json, node, "vocab"));
    if (!status)
        status = ilki_text_read_string(r, node, "unk_token", "<unk>", &unk, &n);
    if (status)
        return status;
    wordlevel *w = ilki_base_arena_alloc(r->arena, 1, sizeof *w);
    if (!w)
        return ilki_base_fail_memory(r->err, sizeof *w, "WordLevel");
    *state = w;
    w->unk = ilki_text_vocab_get(v, unk, n);
    if (w->unk < 0)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: the vocabulary does not hold its unknown token \"%s\"",
                              r->name, unk);
    return ILK_OK;
}

static bool wordlevel_encode(const void *state, const ilki_vocab *v, ilki_text_scratch *s, const ilki_text_char *c,
                             size_t n, ilki_text_tokens *out)
{
    const wordlevel *w = state;
    const ilki_text_edge *e = NULL;
    (void)s;
    for (size_t i = 0; i < n && (i == 0 || e); i++)
        e = ilki_text_trie_step(&v->trie, e ? e->node : 0, c[i].cp);
    return ilki_text_tokens_put(out, e && e->id >= 0 ? e->id : w->unk, c[0].at.start, c[n - 1].at.end);
}

static int32_t wordlevel_get_unk(const void *state)
{
    return ((const wordlevel *)state)->unk;
}

const ilki_text_model_row ilki_text_wordlevel = {
    .type = "WordLevel", .read = wordlevel_read, .encode = wordlevel_encode, .get_unk = wordlevel_get_unk};
